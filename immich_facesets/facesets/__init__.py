"""The face set of an identity: which faces are taken, how they are ranked, and what the set lacks."""
