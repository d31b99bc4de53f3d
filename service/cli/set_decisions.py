"""The commands below ``identities`` that decide what is exported of a person: single faces, and profiles."""

import asyncio
from typing import Annotated

import msgspec
import typer

from immich_facesets.errors import RequestError
from immich_facesets.exports.registry import SWITCHABLE
from immich_facesets.moderation.requests import HoldFromSets, IncludeInSets, SwitchProfiles
from service.cli.deciding import DryRun, FaceNames, Json, Reason, decide, faces_of
from service.cli.identity_decisions import Identity, Off, identities
from service.cli.terminal import print_json, print_line
from service.settings import Settings, load_settings
from service.storage import open_reading
from service.store.browsing.identity_details import survivor
from service.store.browsing.standing import standing

__all__ = ["identities"]

ProfileNames = list[str] | None


class ProfilesOfIdentity(msgspec.Struct, frozen=True):
    """The profiles of an identity: whether each of the settings is written, and all that are off."""

    identity: int
    profiles: dict[str, bool]
    off: tuple[str, ...]


@identities.command("for-sets")
def for_sets(
    faces: FaceNames, *, off: Off = False, reason: Reason = "", dry_run: DryRun = False, json: Json = False
) -> None:
    """Include faces in the face sets of their person, whatever rule would leave them out."""
    decide(IncludeInSets(faces=faces_of(faces), is_on=not off), reason=reason, dry_run=dry_run, json=json)


@identities.command("not-for-sets")
def not_for_sets(
    faces: FaceNames, *, off: Off = False, reason: Reason = "", dry_run: DryRun = False, json: Json = False
) -> None:
    """Keep faces of the right person out of every export: sunglasses, a costume, a bad moment."""
    decide(HoldFromSets(faces=faces_of(faces), is_on=not off), reason=reason, dry_run=dry_run, json=json)


@identities.command("profiles")
def profiles(
    number: Identity,
    off: Annotated[
        ProfileNames,
        typer.Option("--off", metavar="NAME", help="A profile that is no longer written for this identity."),
    ] = None,
    on: Annotated[
        ProfileNames, typer.Option("--on", metavar="NAME", help="A profile that is written for this identity again.")
    ] = None,
    *,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Show the export profiles that are written for an identity, or switch them off and on. Files of a profile that is off are removed at once."""
    if not off and not on:
        _show(asyncio.run(_profiles(load_settings(), number)), json=json)
        return
    try:
        request = SwitchProfiles(identity=number, off=tuple(off or ()), on=tuple(on or ()))
    except ValueError as error:
        raise RequestError(f"{error}", status=400) from error
    decide(request, reason=reason, dry_run=dry_run, json=json)


async def _profiles(settings: Settings, number: int) -> ProfilesOfIdentity:
    async with open_reading(settings) as store:
        current = await store.read(survivor, number)
        if current is None:
            raise RequestError(
                f"there is no identity {number}: 'immich-facesets identities list' lists those that have faces",
                status=404,
            )
        off = (await store.read(standing)).profiles_off(current)
    names = [one.profile.name for one in settings.export_requests if one.profile.name in SWITCHABLE]
    return ProfilesOfIdentity(current, {name: name not in off for name in names}, off)


def _show(found: ProfilesOfIdentity, *, json: bool) -> None:
    if json:
        print_json(found)
        return
    for name, is_on in found.profiles.items():
        print_line(f"{name}: {'written' if is_on else 'off'}")
    for name in found.off:
        if name not in found.profiles:
            print_line(f"{name}: off, and not among FACESETS_EXPORT_PROFILES")
    if not found.profiles and not found.off:
        print_line("FACESETS_EXPORT_PROFILES names no profile that can be switched off.")
