"""Registry of export profiles: it has every profile that a module declares."""

import pkgutil
from importlib import import_module

from immich_facesets import exports
from immich_facesets.exports.profile import Profile
from immich_facesets.exports.registry import PROFILES


def test_every_profile_that_a_module_declares_is_in_the_registry() -> None:
    modules = [import_module(f"{exports.__name__}.{found.name}") for found in pkgutil.iter_modules(exports.__path__)]
    declared = [value for module in modules for value in vars(module).values() if isinstance(value, Profile)]
    assert {profile.name for profile in declared} == set(PROFILES)
    assert all(PROFILES[profile.name] is profile for profile in declared)


def test_no_two_profiles_write_to_one_folder() -> None:
    assert len({profile.folder for profile in PROFILES.values()}) == len(PROFILES)
