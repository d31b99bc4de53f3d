"""Settings of all property tests: no deadline, because a busy machine stalls any example for longer than that."""

from hypothesis import settings

settings.register_profile("tests", parent=settings(deadline=None))
settings.load_profile("tests")
