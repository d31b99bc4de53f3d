"""One sync: its schedule, its runner, and how it ended."""
