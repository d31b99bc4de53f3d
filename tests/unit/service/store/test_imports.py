"""Imports in the store, on every database: assertions and imported eras."""

from dataclasses import replace

import pytest
from builders import NOON, RECIPE, asset, content, face_answer, one_identity, plans

from immich_facesets.eras import KeptEra
from immich_facesets.faces import Box
from immich_facesets.grouping.plan import Join, NewIdentity
from immich_facesets.imports.plan import ImportOutcome, plan_import
from immich_facesets.imports.sorted_faces import Period, SortedFace, SortedSet
from service.store import assets, contents, eras, identities, imports, members, named_values, sources, spaces
from service.store.database import Store
from service.store.folders import Folder, add_folder

PICTURES = [asset(f"2019/{number}.jpg", source="album", path=f"2019/{number}.jpg") for number in (1, 2, 3)]
HERE = Box(101, 99, 298, 301)
THIRD = Join(3, 2, 0.1, "discovered")


@pytest.fixture
def album(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Three pictures of a folder with a face each; the first two are identity 1, the third is identity 2."""
    store.write_now(add_folder, Folder("album", tmp_path_factory.mktemp("album"), "mixed"))
    store.write_now(sources.remember_source, "album", "folder", "")
    store.write_now(assets.remember_page, plans(*PICTURES), run_id=1)
    for number, picture in enumerate(PICTURES):
        store.write_now(contents.record_content, content(picture, face_answer(number)), NOON)
    first = one_identity(1, 2)
    both = replace(first, new=(*first.new, NewIdentity(2, "discovered", frozenset())), joins=(*first.joins, THIRD))
    store.write_now(spaces.use_space, RECIPE.space, both, NOON)
    return store


def brought(store: Store, one: SortedSet) -> ImportOutcome:
    """Import one set; return the result."""
    plan = plan_import([one], store.read_now(imports.survey, [one]).existing)
    store.write_now(imports.record_import, plan, NOON)
    return plan.sets[0].outcome


def test_an_imported_set_asserts_its_faces_by_content_or_by_path(album: Store) -> None:
    faces = (SortedFace(content(PICTURES[1]).sha256, (), HERE), SortedFace(None, ("D:\\a\\2019\\3.jpg",), HERE))
    album.write_now(named_values.write_scope, named_values.Scope("basis", 3, NOON))
    assert brought(album, SortedSet(9, "Ida", faces)) is ImportOutcome.NEW, "half of the faces are no majority"
    (said,) = album.read_now(identities.assertions, RECIPE.space)
    assert (said.face_ids, said.label) == ((2, 3), "")
    assert album.read_now(identities.labels) == {9: "Ida"}
    known = {one.number: (one.origin, one.people) for one in album.read_now(identities.all_known)}
    assert known[9] == ("asserted", frozenset({said.person}))
    assert album.read_now(named_values.read_scope) is None, "the next sync groups all faces"
    assert [row.number for row in album.read_now(members.list_identities)] == [1, 2], "until then the identity has none"


def test_eras_come_along_with_their_names_and_stay_when_others_are_kept(album: Store) -> None:
    period = Period("2011", 2010, 2013)
    faces = tuple(SortedFace(content(picture).sha256, (), HERE, period) for picture in PICTURES)
    assert brought(album, SortedSet(1, None, faces)) is ImportOutcome.JOINS
    life = album.read_now(eras.stored_eras)[1]
    (era,) = life.eras
    assert (era.name, era.from_year, era.main_year, era.to_year) == ("2011", 2010, 2011, 2013)
    assert era.founders == {1, 2}, "the third face belongs to another identity by now"
    version = eras.EraVersion("years", "d")
    renamed = (replace(era, name="1999"),)
    assert album.write_now(eras.record_eras, 1, renamed, leaves=(), before=life.version, version=version, now=NOON)
    (life,) = album.read_now(eras.stored_eras).values()
    assert [era.name for era in life.eras] == ["1999"]


def test_an_era_of_its_year_has_the_imported_name_from_the_next_writing_on(album: Store) -> None:
    version = eras.EraVersion("years", "d")
    here = KeptEra("2012", 2011, 2012, 2013, frozenset({1, 2}))
    album.write_now(eras.record_eras, 1, [here], leaves=(), before=None, version=version, now=NOON)
    faces = tuple(SortedFace(content(picture).sha256, (), HERE, Period("school", None, None)) for picture in PICTURES)
    brought(album, SortedSet(1, None, faces))
    life = album.read_now(eras.stored_eras)[1]
    assert life.eras == (replace(here, name="school"),)
    album.write_now(eras.record_eras, 1, life.eras, leaves=(), before=version, version=version, now=NOON)
    assert album.read_now(eras.stored_eras)[1] == life


def test_importing_again_writes_nothing(album: Store) -> None:
    one = SortedSet(9, "Ida", (SortedFace(content(PICTURES[0]).sha256, (), None),))
    brought(album, one)
    album.write_now(named_values.write_value, "grouped", "as it was")
    assert brought(album, one) is ImportOutcome.KNOWN
    assert album.read_now(named_values.read_value, "grouped") == "as it was"
