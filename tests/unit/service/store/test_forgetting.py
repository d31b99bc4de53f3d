"""A person who is forgotten is in no table any more, and does not come back by any way."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from builders import NOON, RECIPE, asset, content, face_answer, hint, plans, unit_like
from moderated_library import Moderated
from sqlalchemy import Connection, select

from immich_facesets.assets import Person
from immich_facesets.eras import KeptEra
from immich_facesets.errors import RequestError
from immich_facesets.faces import Box
from immich_facesets.imports.plan import plan_import
from immich_facesets.imports.sorted_faces import SortedFace, SortedSet
from immich_facesets.moderation.decisions import Merge
from immich_facesets.moderation.records import Author, Line, from_lines, to_lines
from immich_facesets.moderation.requests import (
    ConfirmFaces,
    ForgetPerson,
    IgnoreStrangers,
    LockIdentity,
    MergePeople,
    MoveFaces,
    NameIdentity,
    NeverExportIdentity,
    RedoDecision,
    RejectFaces,
    SplitPerson,
    UndoDecision,
)
from immich_facesets.quality.landmarks import NOTHING_FOUND
from service.store import (
    assets,
    contents,
    cuts,
    decision_imports,
    enrichments,
    eras,
    erasures,
    exports,
    forgotten,
    imports,
    runs,
    source_names,
    sources,
)
from service.store import tables as t
from service.store.database import Store, open_engine
from service.store.eras import EraVersion
from service.store.moderation import preview_decisions

NAME = "Adalgisa Quibble"
OTHER = replace(RECIPE, space="space-2")
FACE = Box(100, 100, 300, 300)


@pytest.fixture
def library(store: Store) -> Moderated:
    """
    Three people with 7, 5 and 4 pictures: identities 1, 2 and 3. p16 shows the second and the third.

    The second is a person of Immich, with a name.
    """
    return filled(store)


def filled(store: Store) -> Moderated:
    found = Moderated(store)
    found.store.write_now(sources.remember_source, "anna", "immich", "user-1")
    found.name_people(ada=NAME)
    for person, count in ((1, 7), (2, 5), (3, 4)):
        found.add(person, count=count, given="ada" if person == 2 else None)
    found.add(2, 3)
    found.group()
    numbers = [found.number(name) for name in ("p0", "p7", "p12")]
    assert None not in numbers
    return found


def her(library: Moderated) -> int:
    found = library.number("p7") or 0
    assert found
    return found


def forget(library: Moderated, **changes: bool) -> None:
    number = her(library)
    library.decide(ForgetPerson(identity=number, confirm=number, **changes))


def everything(tx: Connection) -> str:
    """All rows of all tables as text, bytes as hex digits."""
    return "\n".join(
        str([value.hex() if isinstance(value, bytes) else value for value in row])
        for table in t.metadata.sorted_tables
        for row in tx.execute(select(table))
    )


def members(library: Moderated) -> dict[tuple[str, float], int]:
    """The identity of each member, by picture and left side of the box."""

    def read(tx: Connection) -> dict[tuple[str, float], int]:
        rows = tx.execute(select(t.faces, t.memberships.c.identity).join(t.memberships))
        return {(f"p{int(row.sha256, 16) - 1}", row.x1): row.identity for row in rows}

    return library.store.read_now(read)


def pictures(library: Moderated) -> set[str]:
    """The pictures with a member of anybody."""
    return {name for name, _ in members(library)}


def vectors_of(library: Moderated, number: int) -> list[bytes]:
    def read(tx: Connection) -> list[bytes]:
        rows = select(t.vectors.c.vector).join(t.memberships, t.memberships.c.face_id == t.vectors.c.face_id)
        return list(tx.scalars(rows.where(t.memberships.c.identity == number)))

    return library.store.read_now(read)


class TestErasing:
    def test_no_table_has_her_name_her_vectors_or_her_crops(self, library: Moderated) -> None:
        number = her(library)
        library.decide(NameIdentity(identity=number, label=f"{NAME} junior"), by=Author("anna", "command", NAME))
        library.decide(ConfirmFaces(faces=(library.face("p8"),)), MoveFaces(faces=(library.face("p0"),)))
        library.store.write_now(
            exports.record_export,
            f"profiles/lora/{NAME}",
            digest="d",
            entry={"identity": number, "label": NAME, "faces": 3},
            identity=number,
            made_by="sync",
            now=NOON,
        )
        run = library.store.write_now(runs.begin_run, "full", ["anna"], NOON)
        told = f"cannot write to /exports/{NAME}"
        library.store.write_now(runs.end_run, run, outcome="setup", message=told, counts={}, now=NOON)
        vectors = vectors_of(library, number)
        assert len(vectors) == 6
        others = {key: to for key, to in members(library).items() if to != number}
        preview = library.store.read_now(preview_decisions, [ForgetPerson(identity=number, confirm=number)])
        done = library.decide(ForgetPerson(identity=number, confirm=number))
        assert done.erased == preview.erased
        assert done.erased is not None
        assert (done.erased.faces, done.erased.vectors, done.erased.crops, done.erased.people) == (6, 6, 6, 1)
        assert (done.erased.facesets, done.erased.decisions) == (1, 2)
        library.store.write_now(
            erasures.record_erased_directory, f"profiles/lora/{NAME}", is_own=True, made_by="x", now=NOON
        )
        library.store.write_now(erasures.record_erased_folder)
        text = library.store.read_now(everything)
        assert NAME.casefold() not in text.casefold()
        assert not [vector for vector in vectors if vector.hex() in text]
        assert f"{8:064x}.{'c' * 64}" not in text, "the crop of p7"
        assert members(library) == others
        assert others["p0", 100.0] == 4, "a decision about others stays"

    def test_her_number_is_never_given_again_and_nothing_about_it_can_be_decided(self, library: Moderated) -> None:
        number = her(library)
        forget(library)
        library.add(9, count=5)
        library.group()
        assert library.number("p17") == 4
        for request in (LockIdentity(identity=number), ForgetPerson(identity=number, confirm=number)):
            with pytest.raises(RequestError, match="was erased") as refused:
                library.decide(request)
            assert refused.value.status == 410

    def test_neither_it_nor_what_was_decided_of_her_can_be_undone_or_redone(self, library: Moderated) -> None:
        number = her(library)
        label = library.decide(NameIdentity(identity=number, label="Ada")).decisions[0]
        lock = library.decide(LockIdentity(identity=number)).decisions[0]
        library.decide(UndoDecision(decision=lock))
        forget(library)
        last = library.records()[-1].decision_id
        for request in (UndoDecision(decision=label), RedoDecision(decision=lock), UndoDecision(decision=last)):
            with pytest.raises(RequestError, match="erased") as refused:
                library.decide(request)
            assert refused.value.status == 410
        assert [type(one.decision).__name__ for one in library.records()] == ["Erased", "Erased", "Undo", "Forget"]

    def test_an_undone_merge_into_her_still_keeps_the_other(self, library: Moderated) -> None:
        number = her(library)
        merge = library.decide(MergePeople(numbers=(1,), into=number)).decisions[0]
        library.decide(UndoDecision(decision=merge))
        forget(library)
        kept = library.records()[0].decision
        assert isinstance(kept, Merge)
        assert [(part.number, len(part.faces)) for part in kept.parts] == [(1, 7)]
        with pytest.raises(RequestError, match="whose data was erased") as refused:
            library.decide(RedoDecision(decision=merge))
        assert refused.value.status == 410
        library.group()
        assert [library.number(f"p{place}") for place in range(7)] == [1] * 7

    def test_what_was_decided_of_others_stays(self, library: Moderated) -> None:
        number = her(library)
        third = library.face("p16", 1)
        library.decide(RejectFaces(faces=(third,), identity=number))
        library.decide(IgnoreStrangers(faces=(library.face("p0"), library.face("p8"))), by=Author("a", "api", "why"))
        library.decide(NameIdentity(identity=3, label="Bob"))
        before = [one.decision for one in library.records()]
        forget(library)
        reject, ignore_one, *rest = library.records()
        assert reject.decision == before[0]
        assert isinstance(ignore_one.decision, type(before[1]))
        assert [type(one.decision).__name__ for one in rest][-2:] == ["Label", "Forget"]
        assert library.number("p0") is None
        library.group()
        assert library.number("p0") is None

    def test_faces_that_immich_gives_her_go_with_her_unless_they_were_rejected(self, library: Moderated) -> None:
        stray, rejected = library.add(8, count=2, given="ada")
        library.decide(RejectFaces(faces=(library.face(rejected),), identity=her(library)))
        assert library.number(stray) is None
        forget(library)
        assert library.store.read_now(boxes_in, f"{int(stray[1:]) + 1:064x}") == []
        assert library.store.read_now(boxes_in, f"{int(rejected[1:]) + 1:064x}") == [(100.0,)]

    def test_merged_people_are_forgotten_as_one(self, library: Moderated) -> None:
        number = her(library)
        library.decide(MergePeople(numbers=(number,), into=1))
        with pytest.raises(RequestError, match=f"identity {number} was merged into 1: .* name 1"):
            library.decide(ForgetPerson(identity=number, confirm=number))
        library.decide(ForgetPerson(identity=1, confirm=1))
        assert set(members(library).values()) == {3}
        with pytest.raises(RequestError, match="was erased"):
            library.decide(NameIdentity(identity=1, label="x"))

    def test_it_is_asked_for_twice_alone_and_refused_for_a_locked_identity(self, library: Moderated) -> None:
        number = her(library)
        with pytest.raises(RequestError, match="'confirm' must repeat"):
            library.decide(ForgetPerson(identity=number, confirm=1))
        request = ForgetPerson(identity=number, confirm=number)
        with pytest.raises(RequestError, match="send that request alone"):
            library.decide(request, NeverExportIdentity(identity=1))
        with pytest.raises(RequestError, match="the reason has the name"):
            library.decide(request, by=Author("anna", "command", f"{NAME} asked for it"))
        library.decide(LockIdentity(identity=number))
        with pytest.raises(RequestError, match="is locked") as refused:
            library.decide(request)
        assert refused.value.status == 423
        forget(library, even_if_locked=True)
        assert number not in members(library).values()


class TestComingBack:
    def test_in_no_space_and_under_no_other_name_of_her_pictures(self, library: Moderated) -> None:
        moved_box = Box(110, 95, 305, 310)
        item = asset("p7", checksum=f"{8:040x}")
        found = msgspec.structs.replace(face_answer(box=moved_box), embedding=unit_like(2, 99))
        library.store.write_now(contents.record_content, content(item, found, sha256=f"{8:064x}", recipe=OTHER), NOON)
        forget(library)
        third = Box(600, 600, 800, 800)
        restored = asset("restored", checksum="f" * 40)
        library.store.write_now(assets.remember_page, plans(restored), run_id=2)
        for recipe, box in ((RECIPE, FACE), (OTHER, moved_box), (replace(RECIPE, space="space-3"), FACE)):
            answers = [face_answer(box=box), face_answer(box=third)]
            one = content(restored, *answers, sha256=f"{8:064x}", recipe=recipe)
            assert library.store.write_now(contents.record_content, one, NOON) <= 1
        boxes = library.store.read_now(boxes_in, f"{8:064x}")
        assert boxes == [(600.0,)] * 3, "only the other face of the picture is there"
        assert library.store.read_now(erasures.pictures_to_erase).count(f"{8:064x}") == 1

    def test_not_as_a_person_of_immich(self, library: Moderated) -> None:
        forget(library)
        born = Person("ada", NAME, "1980-01-01", is_hidden=False)
        bob = Person("bob", "Bob", None, is_hidden=False)
        library.store.write_now(sources.remember_people, "anna", [born, bob])
        item = asset("p17", hints=(hint(person_id="ada"), replace(hint("f2", person_id="bob"), birth_date=None)))
        library.store.write_now(assets.remember_page, plans(item), run_id=3)
        text = library.store.read_now(everything)
        assert NAME not in text
        assert "1980-01-01" not in text
        assert "'ada'" not in text
        rows = library.store.read_now(hints_of, "p17")
        assert rows == [("f1", None), ("f2", "bob")]
        library.store.write_now(source_names.rename_source, "anna", "ann")
        library.store.write_now(sources.remember_people, "ann", [born])
        assert NAME not in library.store.read_now(everything), "the digest is of the account"

    def test_not_by_face_sets_of_another_tool(self, library: Moderated) -> None:
        mine = [SortedFace(f"{8 + n:064x}", (f"/x/{n}.jpg",), FACE) for n in range(4)]
        stranger = SortedFace(f"{900:064x}", ("/x/900.jpg",), FACE)
        forget(library)
        sets = [
            SortedSet(1, NAME, (*mine, stranger)),
            SortedSet(2, "Bob", (mine[0], stranger, replace(stranger, sha256="e" * 64))),
        ]
        (bob,) = library.store.read_now(forgotten.without_forgotten_sets, sets)
        assert (bob.label, len(bob.faces)) == ("Bob", 2)

    def test_not_by_an_earlier_export_of_decisions(self, library: Moderated, elsewhere: Store) -> None:
        number = her(library)
        library.decide(NameIdentity(identity=number, label=NAME))
        library.decide(ConfirmFaces(faces=(library.face("p8"), library.face("p1"))))
        earlier = library.store.read_now(lines_of)
        other = filled(elsewhere)
        forget(other)
        done = other.store.write_now(decision_imports.import_decisions, earlier, NOON)
        assert done.added == len(earlier)
        text = other.store.read_now(everything)
        assert NAME not in text
        assert f"{9:064x}" not in other.store.read_now(decision_texts), "the picture p8"
        assert f"{2:064x}" in other.store.read_now(decision_texts), "what is said of p1 stays"
        other.group()
        assert "p8" not in pictures(other)


def test_a_publish_that_runs_writes_nothing_of_a_face_that_is_gone(library: Moderated) -> None:
    face_id, write = library.face("p7"), library.store.write_now
    forget(library)
    cut = cuts.StoredCut(face_id, "head", "planned", 64, "ab/x.jpg", FACE, (64, 64), "k" * 64, ())
    assert not write(cuts.record_cut, cut, None)
    write(enrichments.record_enrichment, face_id, NOTHING_FOUND, models="m")
    era = KeptEra("1999", 1999, 1999, 1999, frozenset({face_id}))
    version = EraVersion("years", "d")
    assert not write(eras.record_eras, 2, [era], leaves=(), before=None, version=version, now=NOON)
    boxes = library.store.read_now(cuts.boxes_in, RECIPE.space, {f"{8:064x}"})
    assert boxes == {f"{8:064x}": (FACE,)}, "others' pictures are painted where the face is"


class TestAnotherInstallation:
    def test_a_forget_is_carried_there_with_its_digests(self, library: Moderated, elsewhere: Store) -> None:
        other = filled(elsewhere)
        other.decide(NameIdentity(identity=her(other), label=NAME))
        other.add(2, count=2)
        other.group()
        assert list(members(other).values()).count(her(other)) == 8
        library.decide(NameIdentity(identity=her(library), label=NAME))
        forget(library)
        lines = library.store.read_now(lines_of)
        assert b"Quibble" not in msgspec.json.encode(lines)
        assert other.store.read_now(decision_imports.preview_import, lines).forgotten == 1
        done = other.store.write_now(decision_imports.import_decisions, lines, NOON)
        assert (done.added, done.forgotten) == (2, 1)
        assert NAME not in other.store.read_now(everything)
        assert pictures(other) == {f"p{n}" for n in (*range(7), *range(12, 17))}
        again = other.store.write_now(decision_imports.import_decisions, lines, NOON)
        assert (again.added, again.forgotten) == (0, 0)
        assert other.store.read_now(erasures.open_erasures).decisions

    def test_there_no_face_at_these_places_stays_whoever_has_it(self, library: Moderated, elsewhere: Store) -> None:
        other = filled(elsewhere)
        other.decide(MoveFaces(faces=(other.face("p7"),), into=1))
        other.decide(SplitPerson(faces=(other.face("p8"), other.face("p9"), other.face("p16"))))
        forget(library)
        other.store.write_now(decision_imports.import_decisions, library.store.read_now(lines_of), NOON)
        assert pictures(other) == {f"p{n}" for n in (*range(7), *range(12, 17))}
        for number in (2, 4):
            with pytest.raises(RequestError, match="was erased"):
                other.decide(NameIdentity(identity=number, label="x"))
        other.decide(NameIdentity(identity=1, label="Bob"))

    def test_there_her_name_goes_also_where_she_was_merged_into_somebody(
        self, library: Moderated, elsewhere: Store
    ) -> None:
        other = filled(elsewhere)
        other.decide(MergePeople(numbers=(her(other),), into=1))
        forget(library)
        other.store.write_now(decision_imports.import_decisions, library.store.read_now(lines_of), NOON)
        assert NAME not in other.store.read_now(everything)
        assert pictures(other) == {f"p{n}" for n in (*range(7), *range(12, 17))}

    def test_face_sets_that_were_imported_before_its_first_sync_are_of_others(
        self, library: Moderated, elsewhere: Store
    ) -> None:
        sets = [
            SortedSet(1, "Carl", (SortedFace("a" * 64, ("/x/1.jpg",), FACE),)),
            SortedSet(2, "Dora", (SortedFace("b" * 64, ("/x/2.jpg",), FACE), SortedFace(f"{8:064x}", ("/x/3",), FACE))),
        ]
        elsewhere.write_now(
            imports.record_import, plan_import(sets, elsewhere.read_now(imports.survey, sets).existing), NOON
        )
        forget(library)
        lines = library.store.read_now(lines_of)
        done = elsewhere.write_now(decision_imports.import_decisions, lines, NOON)
        assert done.renumbered == ((2, 3),)
        assert elsewhere.read_now(imported_pictures) == {"a" * 64, "b" * 64}
        labels = elsewhere.read_now(lambda tx: list(tx.scalars(select(t.identities.c.label))))
        assert labels == ["Carl", "Dora"]

    def test_a_face_set_of_her_that_was_imported_before_its_first_sync_goes_with_its_name(
        self, library: Moderated, elsewhere: Store
    ) -> None:
        hers = (
            *(SortedFace(f"{n:064x}", (f"/x/{n}.jpg",), FACE) for n in (8, 9)),
            SortedFace("b" * 64, ("/x/3",), FACE),
        )
        sets = [SortedSet(1, "Carl", (SortedFace("a" * 64, ("/x/1.jpg",), FACE),)), SortedSet(2, NAME, hers)]
        plan = plan_import(sets, elsewhere.read_now(imports.survey, sets).existing)
        elsewhere.write_now(imports.record_import, plan, NOON)
        forget(library)
        elsewhere.write_now(decision_imports.import_decisions, library.store.read_now(lines_of), NOON)
        assert NAME not in elsewhere.read_now(everything)
        labels = elsewhere.read_now(lambda tx: list(tx.scalars(select(t.identities.c.label))))
        assert labels == ["Carl", None]

    def test_before_its_first_sync(self, library: Moderated, elsewhere: Store) -> None:
        number = her(library)
        forget(library)
        other = Moderated(elsewhere)
        other.store.write_now(
            decision_imports.import_decisions, library.store.read_now(lines_of), NOON + timedelta(days=1)
        )
        other.store.write_now(sources.remember_source, "anna", "immich", "user-1")
        other.name_people(ada=NAME)
        for person, count in ((1, 7), (2, 5), (3, 4)):
            other.add(person, count=count, given="ada" if person == 2 else None)
        other.group()
        assert pictures(other) == {f"p{n}" for n in (*range(7), *range(12, 16))}
        assert number not in members(other).values()
        assert NAME not in other.store.read_now(everything)


@pytest.fixture
def elsewhere(tmp_path: Path, migrated_sqlite: Path) -> Iterator[Store]:
    """The store of another installation."""
    shutil.copyfile(migrated_sqlite, tmp_path / "elsewhere.db")
    found = Store(open_engine(f"sqlite:///{tmp_path / 'elsewhere.db'}"))
    yield found
    found.close()


def lines_of(tx: Connection) -> list[Line]:
    return from_lines(b"".join(to_lines(forgotten.exported_records(tx))))


def boxes_in(tx: Connection, sha256: str) -> list[tuple[float]]:
    return [(row.x1,) for row in tx.execute(select(t.faces.c.x1).where(t.faces.c.sha256 == sha256))]


def imported_pictures(tx: Connection) -> set[str | None]:
    return set(tx.scalars(select(t.imported_faces.c.sha256)))


def hints_of(tx: Connection, asset_id: str) -> list[tuple[str, str | None]]:
    rows = tx.execute(select(t.hints).where(t.hints.c.asset_id == asset_id).order_by(t.hints.c.face_id))
    return [(row.face_id, row.person_id) for row in rows]


def decision_texts(tx: Connection) -> str:
    return "\n".join(str(tuple(row)) for row in tx.execute(select(t.decisions)))
