"""The face set of an identity: which faces are selected, how they are ranked, and what the set lacks."""
