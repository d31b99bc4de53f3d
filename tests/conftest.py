"""Settings of all property tests.

No example has a deadline, because a busy machine stalls any of them. The suite draws the same examples each time, so
that a run tells about the change it is run on. `make test-random` draws others.
"""

from hypothesis import settings

settings.register_profile("tests", deadline=None, derandomize=True, database=None)
settings.register_profile("random", deadline=None, derandomize=False, print_blob=True)
settings.load_profile("tests")
