"""The export folder as an export of some people finds it: all that is of everybody else stays as it is, and is listed, too."""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from immich_facesets.errors import SetupError
from immich_facesets.exports.artifacts import ExportArtifact
from immich_facesets.exports.combined import EVERYBODY, form_of_everybody
from immich_facesets.exports.file_names import FacesetKey
from immich_facesets.exports.manifest_entries import entries_of
from immich_facesets.exports.manifests import Json
from immich_facesets.exports.profile import Content, FacesetProfile
from immich_facesets.facesets.faceset import FacesetFolder, digest
from immich_facesets.imports.manifests import MANIFEST
from immich_facesets.names import faceset_name, name_key
from service.computation import compute
from service.files.export_tree import ExportTree
from service.files.ownership import object_in
from service.passes.publishing.directory_writes import InPlace
from service.store import export_folder, exports
from service.store.database import Store

_CHANGED = "files of somebody else in it were changed"
_OF_PEOPLE = (FacesetFolder.MAIN, FacesetFolder.THIN)


@dataclass(frozen=True, slots=True)
class OtherPeople:
    """
    The export folder before some ``people`` are exported alone; numbers that were merged into theirs are theirs.

    ``owners``: the identity of each directory of ours, None for one of several people. ``entries``: the list of all
    face sets.
    """

    people: frozenset[int]
    owners: Mapping[str, int | None] = field(repr=False)
    entries: tuple[Json, ...] = field(repr=False)

    def labels(self, labels: Mapping[int, str]) -> dict[FacesetKey, str | None]:
        """Return the face sets of others that have names of files and directories: by identity and era, with the label."""
        return {
            (entry["identity"], _era_of(entry)): labels.get(entry["identity"])
            for entry in self.entries
            if entry["identity"] not in self.people and _place_of(entry["directory"]) == FacesetFolder.MAIN
        }

    def is_taken(self, artifact: ExportArtifact) -> bool:
        """
        Return whether the place of a directory belongs to somebody else until everybody is exported.

        Some file systems take two spellings of a name for one directory, so case and composition do not count.
        """
        place, key = _place_of(artifact.path), name_key(artifact.path)
        same = (path for path in self.owners if _place_of(path) == place and name_key(path) == key)
        return any(self.owners[path] not in {artifact.identity, *self.people} for path in same)

    def own_beside(self, artifact: ExportArtifact) -> frozenset[str]:
        """Return the directories of the identity of an artifact in the same profile."""
        place = _place_of(artifact.path)
        return frozenset(
            path for path, owner in self.owners.items() if owner == artifact.identity and _place_of(path) == place
        )

    def expected_in(
        self, profile: FacesetProfile, labels: Mapping[int, str], profiles_off: Mapping[int, Collection[str]]
    ) -> list[str]:
        """
        Return the directory in a profile of each face set of others that is listed and has faces for swapping.

        ``profile``: one whose directories have the names of the face sets. A directory that is on the disk and not listed is
        left out, because it may be of a person who must not be exported.
        """
        return [
            f"{profile.folder}/{entry['name']}"
            for entry in self.entries
            if entry["identity"] not in self.people
            and _place_of(entry["directory"]) == FacesetFolder.MAIN
            and (profile.has_eras or _era_of(entry) is None)
            and (not profile.needs_name or entry["identity"] in labels)
            and profile.name not in profiles_off.get(entry["identity"], ())
            and entry.get("bundles", {}).get("all") is not None
        ]

    def concerns(self, path: str, profiles: Iterable[FacesetProfile]) -> bool:
        """Return whether a directory is of these people and of the face sets, or of one of these profiles."""
        return self.owners.get(path) in self.people and _place_of(path) in _places(profiles)


async def read_other_people(store: Store, tree: ExportTree, people: Collection[int], space: str) -> OtherPeople:
    """Return what is there; ``SetupError`` where the folder has no list of all face sets of this space."""
    body = await compute(tree.read_file, MANIFEST)
    manifest = {} if body is None else object_in(body)
    if manifest.get("space") != space:
        raise SetupError(
            "the export folder has no list of all face sets of these models: write those of everybody first, with "
            "'immich-facesets export' or a sync"
        )
    owners = await compute(_owners, tree)
    numbers = await store.read(export_folder.numbers_of, people)
    return OtherPeople(numbers, owners, tuple(entries_of(manifest)))


async def directories_in_place(
    store: Store, tree: ExportTree, others: OtherPeople, profiles: Collection[FacesetProfile], further: Collection[str]
) -> InPlace:
    """Return the directories of these people in these profiles, and ``further`` ones."""
    theirs = {path for path in others.owners if others.concerns(path, profiles)} | set(further)
    on_disk = await compute(_digests, tree, theirs)
    recorded = await store.read(exports.recorded)
    of_them = await store.read(export_folder.directories_of, others.people)
    places = _places(profiles)
    known = theirs | {path for path in of_them if _place_of(path) in places and path not in others.owners}
    return InPlace(on_disk, {path: digest for path, digest in recorded.items() if path in known})


def everybody_with(
    tree: ExportTree, theirs: Mapping[str, str], profile: FacesetProfile, own: Sequence[ExportArtifact], space: str
) -> ExportArtifact | None:
    """
    Return the directory about all people of a profile: of the directories of others, and these ``own`` ones.

    ``theirs``: the recorded digest of each directory of others. None where nobody has any. Raises a ``SetupError`` where
    one of others is not as it was written. Blocks.
    """
    found = [*own, *(_stored(tree, path, digest_before, profile) for path, digest_before in theirs.items())]
    found.sort(key=lambda artifact: _order(object_in(artifact.manifest)))
    return form_of_everybody(profile, found, space=space)


def place_of_everybody(profile: FacesetProfile) -> str:
    """Return the directory about all people of a profile."""
    return f"{profile.folder}/{EVERYBODY}"


def _stored(tree: ExportTree, path: str, digest_before: str, profile: FacesetProfile) -> ExportArtifact:
    body = tree.read_file(f"{path}/{MANIFEST}") or b""
    if digest(body) != digest_before:
        raise SetupError(_CHANGED)
    manifest = object_in(body)
    notes = {name: tree.read_file(f"{path}/{name}") or b"" for name in manifest["notes"]}
    if any(hashlib.sha256(notes[name]).hexdigest() != known for name, known in manifest["notes"].items()):
        raise SetupError(_CHANGED)

    def files() -> Iterator[tuple[str, Content]]:
        yield from notes.items()
        yield MANIFEST, body

    return ExportArtifact(path, profile, manifest.get("identity"), body, {}, files)


def _order(manifest: Json) -> tuple[int, bool, float, str]:
    """Return a key that sorts manifests as a publish of everybody does: by person, all years first, then by years."""
    era = manifest["era"]
    first = None if era is None else era["from"]
    return manifest["identity"], era is not None, float("inf") if first is None else first, manifest["faceset"]


def _digests(tree: ExportTree, paths: Iterable[str]) -> dict[str, str]:
    found = {path: tree.digest_of(path) for path in sorted(paths)}
    return {path: digest for path, digest in found.items() if digest is not None}


def _owners(tree: ExportTree) -> dict[str, int | None]:
    return {path: manifest.get("identity") for path, manifest in tree.manifests()}


def _places(profiles: Iterable[FacesetProfile]) -> set[str]:
    """Return the folders of the face sets and of these profiles."""
    return {*_OF_PEOPLE, *(profile.folder for profile in profiles)}


def _place_of(path: str) -> str:
    return path.rpartition("/")[0]


def _era_of(entry: Json) -> str | None:
    beginning = faceset_name(entry["identity"], "")
    name = str(entry["name"])
    return name.removeprefix(beginning) if name.startswith(beginning) else None
