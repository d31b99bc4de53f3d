"""The registry of profiles: every profile has its line here, and nothing else needs to know it."""

from collections.abc import Mapping
from types import MappingProxyType

from immich_facesets.exports import (
    aligned,
    frigate,
    fsz,
    imagefolder,
    kohya,
    lora,
    npz,
    picture_folder,
    portrait,
    reactor,
    visomaster,
    xmp,
)
from immich_facesets.exports.profile import FolderProfile, Profile

PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        profile.name: profile
        for profile in (
            fsz.FSZ,
            picture_folder.FACEFUSION,
            portrait.PORTRAIT,
            visomaster.VISOMASTER,
            reactor.REACTOR,
            kohya.KOHYA,
            frigate.FRIGATE,
            lora.LORA,
            imagefolder.IMAGEFOLDER,
            aligned.ALIGNED,
            xmp.XMP,
            npz.NPZ,
            picture_folder.PLAIN,
        )
    }
)
"""Every profile by its name."""

SWITCHABLE = frozenset(name for name, profile in PROFILES.items() if not isinstance(profile, FolderProfile))
"""The profiles that can be switched off for a person: all but the face sets themselves."""
