"""Decisions about real photos with real models: they outlast full syncs, another model, and new pictures."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

import pytest
from fork_server import ForkServer
from journey import NOTHING, ended
from morphs import main_face, morph
from real_library import ENVIRONMENT, Photo, add_photo, labelled_photos, write_users
from service_process import environment
from sync_result import read, read_result
from testdata import shared_data

from immich_facesets.faces import Box
from service.demo.immich import FakeImmich
from service.store.spaces import active_space

pytestmark = [pytest.mark.slow, pytest.mark.models, pytest.mark.timeout(900)]

BROTHERS = ("Hugh_Grant", "Jean_Charest")
ELDER, YOUNGER = "elder brother", "younger brother"
SHARE = 0.45
"""The share of the other brother in each face: within each brother the distances are as large as between them."""

LIFE = "Albert_Einstein"
REJECTED_FROM = ("Joe_Biden", "Nancy_Pelosi", "Sheryl_Crow")
STRANGERS = (
    "Thaksin_Shinawatra",
    "Michael_Caine",
    "Leonid_Kuchma",
    "Jay_Garner",
    "Iain_Duncan_Smith",
)
STRANGE_FACES = ("Daniel_Radcliffe", "Clay_Aiken", "Cameron_Diaz", "Richard_Gere", "Renee_Zellweger")
NOT_MENTIONED = ("Charles_Schumer", "Mark_Warner")

SETTINGS = {
    **ENVIRONMENT,
    "FACESETS_MIN_FACES": "2",  # a rejected face alone is nobody
    "FACESETS_CROP_SIZE": "128",
    "FACESETS_EMBEDDER_ENGINE": "onnx",
}


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture of one person: its digest, and the box of the person's face."""

    person: str
    sha256: str
    box: Box


@dataclass(frozen=True, slots=True)
class Library:
    """
    A fake Immich with real photos and morphs, and the settings of a service beside it.

    ``shots``: by asset id. ``late``: pictures that are not in the Immich yet.
    """

    forks: ForkServer
    data: Path
    immich: FakeImmich
    environ: Mapping[str, str]
    other_model: Mapping[str, str]
    shots: dict[str, Shot]
    late: list[tuple[Shot, Photo]]

    async def run(self, *arguments: str, settings: Mapping[str, str] = NOTHING) -> str:
        """Run a command that must succeed, and return what it printed."""
        service = self.forks.start("service", *arguments, environ={**self.environ, **settings})
        assert await ended(service, 400) == 0, (service.stdout + service.stderr)[-3000:]
        return service.stdout

    def numbers(self) -> dict[Shot, int | None]:
        """The identity of the person's face in each picture, by the model in use; None for nobody's."""
        found: dict[str, list[tuple[Box, int | None]]] = defaultdict(list)
        for (sha256, *edges), row in read_result(self.data).faces.items():
            found[sha256].append((Box(*edges), row[0]))
        numbers = {}
        for shot in self.shots.values():
            overlap, number = max(
                ((box.iou(shot.box), number) for box, number in found[shot.sha256]), key=itemgetter(0)
            )
            assert overlap > 0.4, shot
            numbers[shot] = number
        return numbers

    def exported(self) -> dict[int, set[Shot]]:
        """The pictures in the face set of each identity."""
        found = {}
        for path in (self.data / "exports").glob("faceset_*/manifest.json"):
            faces = json.loads(path.read_bytes())["faces"]
            number = int(path.parent.name.removeprefix("faceset_"))
            found[number] = {self.shots[place["asset_id"]] for face in faces for place in face["assets"]}
        return found

    async def listed(self) -> set[int]:
        return {row["number"] for row in json.loads(await self.run("identities", "list", "--json"))}

    def add_late(self) -> None:
        for number, (shot, photo) in enumerate(self.late):
            asset = add_photo(self.immich, "anna", photo, 1000 + number)
            self.immich.touch(asset)
            self.shots[asset.asset_id] = shot


def shot_of(data: Path, person: str, photo: Photo, portrait: Photo) -> Shot:
    """``portrait``: the labelled photo of which ``photo`` is made."""
    return Shot(person, hashlib.sha256(photo.path.read_bytes()).hexdigest(), main_face(data, portrait).box)


def brothers(data: Path, photos: Mapping[str, Sequence[Photo]], folder: Path) -> Iterator[tuple[str, Photo, Photo]]:
    """Yield (brother, morph, its portrait): each portrait of the one with two of the other, and the other way round."""
    one, other = (photos[name] for name in BROTHERS)
    for number, mine in enumerate(one):
        for step in (0, 1):
            theirs = other[(number + step) % len(other)]
            yield ELDER, morph(data, mine, theirs, SHARE, folder / f"elder_{number}_{step}.png"), mine
            yield YOUNGER, morph(data, theirs, mine, SHARE, folder / f"younger_{number}_{step}.png"), theirs


@pytest.fixture
async def library(forks: ForkServer, tmp_path: Path) -> AsyncIterator[Library]:
    data = shared_data()
    photos = defaultdict(list)
    for photo in labelled_photos(data, folders=("lfw", "multi_age")):
        photos[photo.identity].append(photo)
    taken = list(brothers(data, photos, tmp_path / "morphs"))
    taken += [(name, photo, photo) for name in (LIFE, *REJECTED_FROM, *NOT_MENTIONED) for photo in photos[name]]
    taken += [(name, photo, photo) for name in (*STRANGERS, *STRANGE_FACES) for photo in photos[name][:3]]
    late = [(shot_of(data, name, photos[name][3], photos[name][3]), photos[name][3]) for name in STRANGERS]
    async with FakeImmich("3.1.0") as immich:
        immich.add_user("anna")
        shots = {
            add_photo(immich, "anna", photo, number).asset_id: shot_of(data, person, photo, portrait)
            for number, (person, photo, portrait) in enumerate(taken)
        }
        models = {"FACESETS_MODELS_DIR": str(data / "data" / "models")}
        environ = environment(immich.url, write_users(immich, tmp_path), tmp_path, **SETTINGS, **models)
        other_model = {"FACESETS_MODELS_DIR": str(tmp_path / "models"), "FACESETS_MODEL_PACK": "opencv_zoo"}
        yield Library(forks, tmp_path / "data", immich, environ, other_model, shots, late)


def of(numbers: Mapping[Shot, int | None], *people: str) -> Counter[int | None]:
    """The identities of these people, with the number of faces."""
    return Counter(number for shot, number in numbers.items() if shot.person in people)


def names(shots: Iterable[Shot]) -> list[str]:
    """The faces as commands take them."""
    return [f"{shot.sha256}:{shot.box.x1},{shot.box.y1},{shot.box.x2},{shot.box.y2}" for shot in shots]


async def merge_all(library: Library, person: str) -> None:
    into, *rest = [str(number) for number, _ in of(library.numbers(), person).most_common()]
    await library.run("identities", "merge", *rest, "--into", into)


async def part_brothers(library: Library) -> None:
    """Split the younger brother out of each identity that holds both, and make each brother one identity."""
    found = library.numbers()
    mixed = of(found, ELDER).keys() & of(found, YOUNGER).keys()
    are_mixed = [shot for shot, number in found.items() if shot.person == YOUNGER and number in mixed]
    assert len(are_mixed) >= 6, "grouping takes the brothers for one person"
    for one in mixed:
        theirs = [shot for shot, number in found.items() if (shot.person, number) == (YOUNGER, one)]
        await library.run("identities", "split", *names(theirs), "--reason", "two brothers")
    for brother in (ELDER, YOUNGER):
        await merge_all(library, brother)


async def ignore_strangers(library: Library) -> None:
    """Ignore five people with all that they have and will have, and the faces of five others."""
    found = library.numbers()
    strangers = of(found, *STRANGERS)
    assert sorted(strangers.values()) == [3] * len(STRANGERS)
    for number in strangers:
        await library.run("identities", "ignore", "--identity", str(number))
    strange = [shot for shot in found if shot.person in STRANGE_FACES]
    assert None not in of(found, *STRANGE_FACES)
    await library.run("identities", "ignore", *names(strange))


async def check_decided(library: Library, rejected: Sequence[Shot]) -> dict[Shot, int | None]:
    """Check all that was decided, in the database, in lists and in face sets; return the identities."""
    numbers = library.numbers()
    elder, younger, life = (set(of(numbers, person)) for person in (ELDER, YOUNGER, LIFE))
    stays = {numbers[shot] for shot in numbers if shot.person in REJECTED_FROM and shot not in rejected}
    strangers, strange = set(of(numbers, *STRANGERS)), set(of(numbers, *STRANGE_FACES))
    assert [len(one) for one in (elder, younger, life, stays)] == [1, 1, 1, len(REJECTED_FROM)]
    people = elder | younger | life | stays
    assert len(people) == 3 + len(REJECTED_FROM)
    assert {numbers[shot] for shot in rejected} == {None}
    assert len(strangers) == len(STRANGERS), "each stranger is one ignored identity, with all later pictures"
    assert strange == {None}
    listed, sets = await library.listed(), library.exported()
    assert people <= listed & sets.keys()
    assert strangers.isdisjoint(listed | sets.keys())
    for number in sets.keys() & people:
        assert {numbers[shot] for shot in sets[number]} == {number}
    return numbers


async def test_decisions_about_real_photos_outlast_syncs_and_another_model(library: Library) -> None:
    await library.run("sync", settings={"FACESETS_MIN_FACES": "1"})  # one picture of an age can be somebody
    found, first_space = library.numbers(), read(library.data, active_space)
    assert len(of(found, LIFE)) > 1, "grouping takes the ages for several people"
    assert len(of(found, *REJECTED_FROM)) == len(REJECTED_FROM)
    rejected = [next(shot for shot in found if shot.person == person) for person in REJECTED_FROM]
    await part_brothers(library)
    await merge_all(library, LIFE)
    for face in names(rejected):
        await library.run("identities", "reject", face)
    await ignore_strangers(library)
    decided = library.numbers()

    await library.run("sync", "--full")
    synced = await check_decided(library, rejected)
    assert synced == decided, "people whom no decision mentions keep their numbers, too"

    await library.run("models", "install", "opencv_zoo", settings=library.other_model)
    await library.run("sync", settings=library.other_model)
    assert read(library.data, active_space) != first_space
    assert await check_decided(library, rejected) == synced
    library.add_late()
    await library.run("sync", "--full", settings=library.other_model)
    grown = await check_decided(library, rejected)
    assert {shot: number for shot, number in grown.items() if shot in synced} == synced

    await library.run("sync", "--full")
    assert read(library.data, active_space) == first_space
    assert await check_decided(library, rejected) == grown
