"""One sync: its schedule, its runner, and its outcome."""
