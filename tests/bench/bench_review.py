"""
The review queue: whether its probabilities hold, which planted mistakes it finds, and what it costs.

    python tests/bench/bench_review.py [--fit] [--cost FACES]

The libraries are invented hard ones with relatives of several likenesses, LFW, and the labelled photos. Each is grouped.
Then four of ten people with enough faces are split in two, by date or by chance. Of one in ten, most faces go to another
person. One face of fifty becomes a member of the nearest other person. ``--fit`` prints the odds that fit the pairs of every second library; the tables are about the
others. ``--cost`` measures an invented library of that size instead.
"""

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TypeVar
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

import hard_library as hard  # noqa: E402  the repository must be found first
from labelled_photos import labelled_photos  # noqa: E402  the repository must be found first
from large_library import large_library, persons_of  # noqa: E402  the repository must be found first
from mixtures import table_of, unit  # noqa: E402  the repository must be found first
from planted_mistakes import Planted, Who  # noqa: E402  the repository must be found first

from immich_facesets.grouping.face_table import FaceTable  # noqa: E402  the repository must be found first
from immich_facesets.grouping.identities import Known  # noqa: E402  the repository must be found first
from immich_facesets.grouping.problem import grouping_problem  # noqa: E402  the repository must be found first
from immich_facesets.grouping.report import GroupingReport  # noqa: E402  the repository must be found first
from immich_facesets.grouping.rivals import doubtful_members, rivals  # noqa: E402  the repository must be found first
from immich_facesets.grouping.rules import GroupingRules  # noqa: E402  the repository must be found first
from immich_facesets.grouping.state import initial_state, placed_identities  # noqa: E402  the repository must be found first
from immich_facesets.grouping.suggestions import overlaps, suggested_merges  # noqa: E402  the repository must be found first
from immich_facesets.moderation.constraints import Constraints  # noqa: E402  the repository must be found first
from immich_facesets.review import mixing  # noqa: E402  the repository must be found first
from immich_facesets.review.finding import find_items  # noqa: E402  the repository must be found first
from immich_facesets.review.items import Item  # noqa: E402  the repository must be found first
from immich_facesets.review.mixing import FEWEST_FACES, FEWEST_OF_PART, part_identities  # noqa: E402  the repository must be found first
from immich_facesets.spaces import operating_points  # noqa: E402  the repository must be found first
from service.store import review_items  # noqa: E402  the repository must be found first
from service.store.database import Store, migrate, open_engine  # noqa: E402  the repository must be found first

T = TypeVar("T")
Labels = NDArray[np.int64]
DATA = Path(os.environ.get("FACESETS_TEST_DATA") or ROOT.parent / "shared") / "data"
POINTS = operating_points("w600k_mbf")
KIN = (0.40, 0.60, 0.50, 0.65, 0.55, 0.60, 0.45, 0.55)
SPLIT, MIXED, WRONG, BY_DATE = 0.4, 0.1, 0.02, 0.6
FURTHER = range(20, 40)
"""Seeds of invented libraries that only the odds of proposed parts are fitted on."""

EDGES = (0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0001)


@dataclass(frozen=True)
class Given:
    """A library with its labels; ``min_faces`` for an identity."""

    name: str
    table: FaceTable
    who: Who
    min_faces: int


def invented(seed: int) -> Given:
    with patch.object(hard, "KIN", KIN[seed % len(KIN)]):
        found = hard.hard_library(seed, 4000)
    table = found.table()
    if seed % 4 > 1:  # relatives are never in one picture
        table = replace(table, pictures=np.arange(len(found.who)))
    return Given(f"hard {seed}", table, found.who.astype(str), 6)


def libraries() -> Iterator[Given]:
    yield from map(invented, range(len(KIN)))
    if not DATA.is_dir():
        print(f"no real faces at {DATA.name!r}: set FACESETS_TEST_DATA")
        return
    lfw = np.load(DATA / "lfw_embeddings.npz")
    names, vectors = lfw["identity"].astype(str), unit(lfw["embedding"].astype(np.float32))
    half = np.unique(names, return_inverse=True)[1] % 2
    for part in (0, 1):
        yield Given(f"LFW {part}", table_of(vectors[half == part]), names[half == part], 4)
    photos = labelled_photos(DATA)
    labels = np.array([name or f"unknown {row}" for row, name in enumerate(photos.names)])
    yield Given("labelled photos", photos.table, labels, 3)
    yield Given("labelled photos, once more", photos.table, labels, 3)


def plant(given: Given, seed: int) -> Planted:
    """The library as grouped, with people split in two, and faces in the wrong identity."""
    rng = np.random.default_rng(seed)
    planted, table = Planted.group(given.table, given.who, POINTS, given.min_faces), given.table
    rows = planted.rows
    for number in sorted(planted.people()):
        faces = np.array(sorted(planted.library.faces_of(number)))
        if len(faces) < 2 * given.min_faces or rng.random() > SPLIT:
            continue
        taken = table.taken[[rows[face] for face in faces.tolist()]]
        is_dated = bool(np.isfinite(taken).all()) and rng.random() < BY_DATE
        ordered = faces[np.argsort(taken)] if is_dated else rng.permutation(faces)
        planted.split(ordered[: max(2, int(rng.uniform(0.15, 0.85) * len(faces)))].tolist())
    mix(planted, rng)
    people, owner = planted.people(), np.array(planted.library.labels())
    numbers = sorted(people)
    centres = centres_of(table, owner, numbers)
    members = np.flatnonzero(owner > 0)
    for row in rng.choice(members, size=max(3, int(WRONG * len(members))), replace=False).tolist():
        nearest = (numbers[place] for place in np.argsort(1.0 - centres @ table.vectors[row]).tolist())
        other = next((number for number in nearest if people[number] != given.who[row]), None)
        if other is not None and not np.any(
            (table.pictures == table.pictures[row]) & (owner > 0) & (owner != owner[row])
        ):
            planted.misplace(int(table.face_ids[row]), other)
    return planted


def centres_of(table: FaceTable, owner: Labels, numbers: Sequence[int]) -> NDArray[np.float32]:
    """The normalised mean of each identity, (k, d)."""
    means = [table.vectors[owner == number].mean(axis=0) for number in numbers]
    return unit(np.array(means, dtype=np.float32).reshape(len(means), table.vectors.shape[1]))


def mix(planted: Planted, rng: np.random.Generator, share: float = MIXED) -> None:
    """Make most faces of some people members of another person, often of the nearest one."""
    table, owner = planted.library.table, np.array(planted.library.labels())
    people = planted.people()
    numbers = [number for number in sorted(people) if np.count_nonzero(owner == number) >= FEWEST_FACES]
    centres = centres_of(table, owner, numbers)
    for number in numbers if len(numbers) > 1 else ():
        if rng.random() > share:
            continue
        near = np.argsort(1.0 - centres @ centres[numbers.index(number)])
        order = near if rng.random() < 0.5 else rng.permutation(near)
        other = next(numbers[place] for place in order.tolist() if people[numbers[place]] != people[number])
        taken = set(table.pictures[owner == number].tolist())
        faces = [row for row in np.flatnonzero(owner == other).tolist() if table.pictures[row] not in taken]
        for row in faces[: int(rng.uniform(0.4, 1.0) * len(faces))]:
            planted.misplace(int(table.face_ids[row]), number)
        owner = np.array(planted.library.labels())
        planted.mixed.add(number)


@dataclass(frozen=True)
class Judged:
    """A question of the queue, and whether something was wrong."""

    item: Item
    is_wrong: bool


def judge(planted: Planted, items: Sequence[Item]) -> list[Judged]:
    people, rows = planted.people(), planted.rows
    found = []
    for item in items:
        shown = {people[number] for number in item.identities}
        if item.kind == "merge":
            is_wrong = len(shown) == 1
        elif item.kind == "mixed":
            rest = planted.library.faces_of(item.identities[0]).difference(item.part)
            is_wrong = most_are(planted, rest) not in {most_are(planted, part) for part in item.parts}
        elif item.kind == "nearly":
            is_wrong = len({str(planted.who[rows[face]]) for face in item.part}) == 1
        elif item.face_id is not None:
            who = str(planted.who[rows[item.face_id]])
            is_member = item.face_id in planted.library.memberships
            is_wrong = who != people[item.identities[0]] if is_member else who in shown
        found.append(Judged(item, is_wrong))
    return found


def most_are(planted: Planted, faces: Collection[int]) -> str:
    """The person that most of these faces show."""
    return Counter(str(planted.who[planted.rows[face]]) for face in faces).most_common(1)[0][0]


def wrong_members(planted: Planted) -> set[int]:
    people, rows = planted.people(), planted.rows
    return {face for face, number in planted.library.memberships.items() if planted.who[rows[face]] != people[number]}


def print_reliability(judged: Sequence[Judged]) -> None:
    print(f"\n{'kind':10} {'probability':14} {'questions':>9} {'mean':>6} {'wrong':>6}")
    for kind in ("merge", "mixed", "member", "ambiguous", "nearly"):
        for low, high in pairwise(EDGES):
            here = [one for one in judged if one.item.kind == kind and low <= one.item.probability < high]
            if here:
                mean = np.mean([one.item.probability for one in here])
                wrong = np.mean([one.is_wrong for one in here])
                print(f"{kind:10} {low:.2f} to {min(high, 1):.2f}   {len(here):9} {mean:6.2f} {wrong:6.2f}")


def print_calibration(*, fits: bool) -> None:
    every: list[Judged] = []
    between: list[bool] = []
    pairs: list[tuple[float, float, bool]] = []
    print(
        f"{'library':28} {'faces':>6} {'clean':>6} {'split: found':>13} {'wrong: found':>13} {'mixed: found':>13} {'questions':>9}"
    )
    for place, given in enumerate(libraries()):
        clean = Planted.group(given.table, given.who, POINTS, given.min_faces)
        asked, shown = sum(one.kind != "nearly" for one in clean.items()), clean.people()
        between += [
            str(given.who[clean.rows[one.face_id]]) in {shown.get(one.identity), shown.get(one.other)}
            for one in clean.first.ambiguous
            if not one.is_member
        ]
        planted = plant(given, place)
        report, people = planted.library.plan().report, planted.people()
        if place % 2 == 0:
            pairs += [
                (one.reach, one.excess, people[one.identity] == people[one.other]) for one in report.suggested_merges
            ]
            continue
        judged = judge(planted, planted.items())
        every += judged
        of_faces = {one.item.face_id for one in judged}
        first = {
            one.item.identities[0] for one in judged if one.item.kind == "mixed"
        }  # the others are asked about later
        later = {people[number] for number in first}
        twins = sum(count > 1 and who not in later for who, count in Counter(people.values()).items())
        merged = {people[one.item.identities[0]] for one in judged if one.item.kind == "merge" and one.is_wrong} - later
        divided = {one.item.identities[0] for one in judged if one.item.kind == "mixed" and one.is_wrong}
        wrong = {face for face in wrong_members(planted) if planted.library.memberships[face] not in first}
        print(
            f"{given.name:28} {len(given.table):6} {asked:6} {len(merged):6} of {twins:3} "
            f"{len(wrong & of_faces):6} of {len(wrong):3} {len(divided):6} of {len(planted.mixed):3} {len(judged):9}",
            flush=True,
        )
    print_reliability(every)
    print(f"faces left out between two identities: {len(between)}, of one of the two: {sum(between)}")
    if fits:
        print_fit(pairs)
        print_fit_of_parts()


def print_fit(pairs: Sequence[tuple[float, float, bool]]) -> None:
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415  only here

    known = np.array([(reach, 0.0 if np.isnan(excess) else excess / POINTS.cluster) for reach, excess, _ in pairs])
    same = np.array([is_same for _, _, is_same in pairs])
    found = LogisticRegression(C=1000).fit(known, same)
    print(f"\n{len(pairs)} pairs, {int(same.sum())} of one person: the odds are {found.intercept_} {found.coef_}")


def print_fit_of_parts() -> None:
    """The odds of proposed parts by their reach, without the screen, and what the screen lets through."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415  only here

    reaches: list[float] = []
    others: list[bool] = []
    counts: Counter[tuple[bool, bool]] = Counter()
    for given in (*list(libraries())[::2], *map(invented, FURTHER)):
        planted = Planted.group(given.table, given.who, POINTS, given.min_faces)
        mix(planted, np.random.default_rng(1), 0.3)
        screened = planted.parted().keys()
        with patch.object(mixing, "SCREEN", np.inf):
            parted = planted.parted()
        for number, one in parted.items():
            faces = [str(planted.who[planted.rows[face]]) for face in planted.library.faces_of(number)]
            is_mixed = len(faces) - Counter(faces).most_common(1)[0][1] >= FEWEST_OF_PART
            counts[is_mixed, number in screened] += 1
            if one.parts:
                reaches.append(one.reach)
                first, *further = (most_are(planted, part) for part in one.parts)
                others.append(first not in further)
    found = LogisticRegression(C=1000).fit(np.array(reaches)[:, None], others)
    print(f"{len(others)} proposals, {sum(others)} of other people: the odds are {found.intercept_} {found.coef_}")
    print(f"the screen lets {counts[True, True]} mixed ones through and stops {counts[True, False]}")
    print(f"of one person it lets {counts[False, True]} through and stops {counts[False, False]}")


def timed(label: str, work: Callable[[], T]) -> T:
    begun = time.perf_counter()
    done = work()
    print(f"{label:60} {time.perf_counter() - begun:7.2f} s", flush=True)
    return done


def grow_up(vectors: NDArray[np.float32], taken: NDArray[np.float64], owner: Labels, rng: np.random.Generator) -> None:
    """Make the older third of every eighth person's faces those of a child, who looks half alike, fifteen years before."""
    for number in range(1, int(owner.max()) + 1, 8):
        rows = np.flatnonzero(owner == number)
        young = rows[np.argsort(taken[rows])][: len(rows) // 3]
        other = unit(rng.normal(size=(1, vectors.shape[1])))
        vectors[young] = unit(0.5 * vectors[young] + np.sqrt(0.75) * other)
        taken[young] -= 15 * 365.25


def print_cost(faces: int) -> None:
    """The parts of a queue's computation, against the bare product of faces and centroids."""
    vectors, who = large_library(faces), persons_of(faces)
    numbers = np.flatnonzero(np.bincount(who) >= 6)
    rng = np.random.default_rng(0)
    members = np.flatnonzero(np.isin(who, numbers))
    owner = dict(zip((members + 1).tolist(), (np.searchsorted(numbers, who[members]) + 1).tolist(), strict=True))
    for face in rng.choice(members, size=len(members) // 100, replace=False).tolist():  # planted mistakes
        owner[face + 1] = int(rng.integers(1, len(numbers) + 1))
    taken = rng.uniform(0, 7300, faces)
    grow_up(vectors, taken, np.fromiter((owner.get(face, 0) for face in range(1, faces + 1)), dtype=np.int64), rng)
    table = table_of(vectors, taken=taken)
    known = [Known(number, "discovered", is_locked=False, people=frozenset()) for number in range(1, len(numbers) + 1)]
    rules, nothing = GroupingRules(), Constraints()
    problem = grouping_problem(table, owner, known, nothing, POINTS, rules, ())
    state = initial_state(problem, nothing, known, owner, len(numbers) + 1, frozenset(), (), {})
    placed = timed("centroids, which a grouping has", lambda: placed_identities(state.owner, problem.centroids))
    print(f"{faces} faces, {len(owner)} members of {len(numbers)} identities")

    def bare() -> None:
        for start in range(0, len(members), 2048):
            (vectors[members[start : start + 2048]] @ placed.centroids.T).argmax(axis=1)

    timed("the bare product of members and centroids", bare)
    people = state.identities.people
    movable = timed("nearest other identity of each member", lambda: rivals(problem, state, placed))
    doubtful = timed("doubtful members", lambda: doubtful_members(problem, state, placed, movable))
    merges = timed("pairs that are alike", lambda: suggested_merges(problem, people, placed))
    both = timed("pairs that overlap", lambda: overlaps(problem, people, placed, doubtful))
    report = replace(_empty_report(), doubtful=doubtful, suggested_merges=merges, overlaps=both)
    parted = timed("proposals", lambda: part_identities(table, owner, points=POINTS, rules=rules))
    sizes = Counter(owner.values())
    print(f"the screen named {len(parted)} with {sum(sizes[one] for one in parted)} faces")
    known_parts = partial(part_identities, points=POINTS, rules=rules, before=parted)
    timed("proposals when all are known", lambda: known_parts(table, owner))
    find = partial(find_items, report, table, owner, points=POINTS, parted=parted)
    items = timed("questions with evidence", find)
    timed("the same when all are known", lambda: find(stored={item.key: item for item in items}))
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(f"sqlite:///{folder}/facesets.db")
        migrate(engine)
        store = Store(engine)
        written = [replace(item, face_id=None) if item.face_id else item for item in items]  # the store has no faces
        unique = list({item.key: item for item in written}.values())
        timed("written", lambda: store.write_now(review_items.write_queue, unique))
        timed("written again, unchanged", lambda: store.write_now(review_items.write_queue, unique))
        store.close()
    print(f"{len(items)} questions")


def _empty_report() -> GroupingReport:
    from builders import nothing_to_report  # noqa: PLC0415  it imports the service

    return nothing_to_report()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--fit", action="store_true", help="print the odds that fit every second library")
    parser.add_argument("--cost", type=int, default=0, help="measure a library of so many faces instead")
    asked = parser.parse_args()
    if asked.cost:
        print_cost(asked.cost)
    else:
        print_calibration(fits=asked.fit)


if __name__ == "__main__":
    main()
