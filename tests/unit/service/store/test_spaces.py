"""Two embedding spaces in one store: queries about one return nothing of the other."""

import dataclasses
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from builders import NOON, RECIPE, asset, content, face_answer, hint, nothing_to_report, one_identity, plans
from sqlalchemy import Connection, insert
from web_scene import invented_thresholds

import service.store
from immich_facesets.assets import Person
from immich_facesets.eras import KeptEra
from immich_facesets.errors import ItemError, SetupError
from immich_facesets.faces import Box, Gate
from immich_facesets.grouping.nearly_there import NearlyThere
from immich_facesets.grouping.plan import GroupingPlan, Join, Link
from immich_facesets.imports.plan import ImportOutcome, ImportPlan, PlannedSet
from immich_facesets.imports.sorted_faces import SortedFace, SortedSet
from immich_facesets.moderation.constraints import Constraints, constraints
from immich_facesets.moderation.decisions import EraFace, Eras, FaceRef, Lock, Reject
from immich_facesets.moderation.effects import Effect
from immich_facesets.moderation.era_pins import EraPlace, EraSpan
from immich_facesets.moderation.records import Author, Line
from immich_facesets.moderation.requests import FaceSelection, LockIdentity
from immich_facesets.quality.landmarks import Enriched
from immich_facesets.quality.pose import Pose
from immich_facesets.review.answered import AnsweredQuestion
from immich_facesets.review.items import Item
from immich_facesets.review.mixing import Parting
from service.store import (
    assets,
    births,
    contents,
    cuts,
    decided_once,
    decision_imports,
    decisions,
    embedding_work,
    enrichments,
    era_pins,
    eras,
    erasing,
    erasures,
    exemplars,
    export_folder,
    exports,
    face_readings,
    face_tables,
    faces,
    failures,
    folders,
    forgotten,
    former_members,
    identities,
    imported_faces,
    imports,
    kept_answers,
    members,
    moderation,
    named_values,
    past_people,
    picture_copies,
    placed_pictures,
    reference_pictures,
    reference_questions,
    references,
    review_items,
    runs,
    selections,
    source_names,
    sources,
    spaces,
    tables,
    traces,
)
from service.store.browsing import (
    exported,
    failed_items,
    finding,
    identity_details,
    identity_faces,
    identity_figures,
    identity_lists,
    identity_records,
    made_decisions,
    merged_numbers,
    review_page,
    standing,
    summaries,
    whole_pictures,
)
from service.store.browsing.kept import Kept
from service.store.browsing.slices import Slice
from service.store.database import Store
from service.store.eras import EraVersion
from service.store.kept_answers import Key

OTHER = replace(RECIPE, space="space-2")
ANNA = asset("a1", hints=(hint(person_id="p1"),))
BEN = asset("a2")
NEW = asset("a3")
BROKEN = asset("a4")
SHA256 = content(ANNA).sha256
SORTED = SortedFace(SHA256, (), Box(100, 100, 300, 300))

KEY = "k" * 64
HELD = EraFace(FaceRef(SHA256, Box(100, 100, 300, 300)), None, EraPlace(0, is_founder=True))
SPLIT = Eras(1, "split", (EraSpan("1999", "years"),), (HELD,))
DECIDED = constraints([(1, SPLIT)], lambda _: None)
LINE = Line(uid="u", batch="u", made_by="anna", made_from="command", made_at=NOON, decision=Lock(identity=1))
SENT = references.SentReference(
    reference_pictures.KeptPicture("f" * 64, FaceRef("f" * 64, Box(1, 1, 9, 9)), Box(0, 0, 10, 10), ""),
    RECIPE.space,
    face_answer(3),
)

READS: dict[Callable[..., Any], tuple[Any, ...]] = {
    assets.known_assets: ("anna", ["a1", "a2", "a3"]),
    face_readings.to_look_at: ("anna", NOON + timedelta(days=999)),
    face_readings.count_due: ("anna", NOON),
    face_readings.count_readings: (NOON, NOON - timedelta(days=1)),
    assets.unseen: ("anna", 2),
    face_readings.without_hints: ("anna", NOON),
    face_readings.count_due_without_hints: ("anna", NOON, 2),
    assets.stamps: ("anna", ["a1"]),
    assets.has_any: ("anna",),
    embedding_work.to_embed: (RECIPE, NOON),
    embedding_work.count_to_embed: (RECIPE, NOON),
    embedding_work.boxes_of: (ANNA.fingerprint,),
    embedding_work.is_embedded: (SHA256, RECIPE),
    contents.crop_files: (RECIPE.space,),
    cuts.cuts_of: ([1, 2], "head"),
    cuts.boxes_in: (RECIPE.space, [SHA256]),
    cuts.places_to_cut: (SHA256, NOON),
    contents.vectors_of: ([1, 2], 512),
    embedding_work.other_place: (RECIPE, NOON, NEW.fingerprint, [], ["anna"]),
    contents.orphaned_faces: (RECIPE.space,),
    picture_copies.copies: (RECIPE.space,),
    picture_copies.looks: (RECIPE.space,),
    picture_copies.faces_in: (RECIPE.space, [SHA256]),
    picture_copies.face_crops: (RECIPE.space,),
    decisions.all_decisions: (),
    decisions.all_records: (),
    decisions.constraints_now: (RECIPE.space,),
    decisions.last_id: (),
    moderation.preview_decisions: ([LockIdentity(identity=1)],),
    decided_once.preview_after: ([LockIdentity(identity=1)],),
    decided_once.decided_under: (Key("a key", "d"),),
    kept_answers.kept_answer: (Key("a key", "d"),),
    moderation.faces_in_pictures: (RECIPE.space, [SHA256]),
    decision_imports.preview_import: ([LINE],),
    eras.stored_eras: (),
    eras.written_eras: (),
    era_pins.pins_now: (),
    era_pins.member_pins: (DECIDED,),
    era_pins.member_places: (1,),
    enrichments.enriched_faces: (RECIPE.space,),
    enrichments.enriched_of: ([1, 2],),
    enrichments.to_enrich: (RECIPE.space, "other", 50.0),
    exports.members: (RECIPE.space,),
    exports.strays: (RECIPE.space,),
    exports.places: (RECIPE.space,),
    exports.crop_facts: ([1, 2], KEY),
    exports.crops_without_hash: (RECIPE.space,),
    exports.users_of_sources: (),
    exports.recorded: (),
    embedding_work.fetched_again: (RECIPE, NOON),
    embedding_work.unread: (RECIPE, NOON, NOON, ["anna", "album"]),
    named_values.read_value: ("space",),
    named_values.read_ended_sessions: (),
    named_values.read_nearly_there: (),
    named_values.read_partings: (),
    named_values.read_answered: (),
    review_items.stored_queue: (),
    export_folder.barred_directories: ([7],),
    export_folder.barred_identities: (),
    export_folder.switched_off: (),
    export_folder.unwanted_now: (),
    export_folder.directories_of_barred: (),
    export_folder.numbers_of: ([7],),
    export_folder.directories_of: ([7],),
    export_folder.is_first_export: (),
    exemplars.known_people: (),
    exemplars.members_for_exemplars: (
        [1],
        RECIPE.space,
        Gate(),
        exemplars.PlacedFaces(frozenset({1}), {}, ()),
    ),
    export_folder.knows_people: (),
    failures.items_at_crash: ("embed",),
    failures.list_failures: (),
    failures.count_by_reason: (),
    face_tables.face_table: (RECIPE.space, 512),
    face_tables.members_table: (RECIPE.space, 512, 1),
    face_tables.members_and_near: (RECIPE.space, 1, np.eye(1, 512, dtype=np.float32)[0], 2.0),
    identities.all_memberships: (),
    identities.all_known: (),
    identities.given_names: (),
    identities.assertions: (RECIPE.space,),
    identities.labels: (),
    births.births_of_people: (),
    identities.birth_dates: (),
    imported_faces.imported_people: (),
    imports.survey: ([SortedSet(3, None, (SORTED,))],),
    members.list_identities: (),
    past_people.dated_faces: (RECIPE.space,),
    past_people.people_of_identities: ({("anna", "p1")},),
    past_people.minors_alike: (),
    past_people.people_of_faces: (RECIPE.space, {("anna", "p1")}),
    members.members_of: (1,),
    former_members.returned_members: (RECIPE.space,),
    former_members.dissolved_members: (RECIPE.space,),
    former_members.incomplete_identities: (RECIPE.space,),
    placed_pictures.placed_pictures: (RECIPE.space,),
    placed_pictures.exportable_faces: (RECIPE.space,),
    reference_pictures.all_pictures: (),
    reference_pictures.display_files: ([1],),
    reference_pictures.embedded_references: (RECIPE.space, {"d" * 64: 1}),
    reference_pictures.known_references: ([1],),
    reference_pictures.ids_of: (["d" * 64],),
    reference_pictures.reference_faces: (RECIPE.space, 512),
    reference_pictures.original_file: (1,),
    reference_pictures.reference_files: (),
    reference_pictures.waiting_pictures: (RECIPE.space,),
    reference_questions.open_references: (Constraints(),),
    reference_questions.undecided_pictures: (),
    references.preview_reference: (SENT, 1),
    references.references_of: (1,),
    runs.last_runs: (),
    runs.run_page: (Slice(50),),
    runs.one_run: (1,),
    sources.absent_people: ("anna", ["p2"]),
    runs.census: (),
    runs.source_counts: (),
    runs.highest_number: (),
    sources.bound_accounts: (),
    source_names.dropped_users: (["ben"],),
    source_names.sources_in_use: (["anna"],),
    spaces.active_space: (),
    spaces.grouped_points: (),
    faces.boxes_of_faces: ([1, 2],),
    faces.dimension_of: (RECIPE.space,),
    faces.read_library: (RECIPE.space,),
    folders.folders: (),
    folders.has_work: (),
    folders.stored_sources: (),
    failed_items.failure_page: ("", Slice(50)),
    exported.directory_page: ("", 50, None),
    exported.one_directory: ("faceset_001",),
    exported.ledger_page: (Slice(50), None),
    exported.directories_of: ([1, 2],),
    exported.directories_of_everybody: (),
    exported.members_in_pictures: (1, [SHA256]),
    exported.counts_by_profile: (),
    exported.exported_numbers: (),
    finding.pictures_by_date: ("2025", 50),
    finding.pictures_by_file_name: ("a", 50),
    identity_details.companions: (1, Slice(50), Kept()),
    identity_details.eras_of: (1,),
    identity_details.examples_of_eras: (1, 8),
    identity_details.identity_details: (1, Kept()),
    identity_details.survivor: (1,),
    identity_details.why_not_exported: (
        [
            identity_lists.ListedIdentity(
                number=1, label=None, origin="discovered", is_locked=False, is_never_exported=False, faces=1
            )
        ],
    ),
    identity_faces.dates_of_faces: ([1, 2, 3, 4, 5, 6],),
    identity_faces.browsed_faces: ([1, 2, 3, 4, 5, 6],),
    identity_faces.count_faces: (FaceSelection(identity=1),),
    identity_faces.faces_by_column: (FaceSelection(identity=1), "time", Slice(50), Kept()),
    identity_faces.faces_by_quality: (FaceSelection(identity=1), Slice(50), None),
    identity_faces.places_of: ([SHA256],),
    identity_records.read_identities: ({}, False),
    identity_figures.identity_figures: (1,),
    identity_lists.covers_of: ([1], Kept()),
    summaries.days_of: ([1],),
    identity_lists.identities_from: ("anna",),
    identity_lists.questions_about: (),
    identity_lists.exported_directories: ([1],),
    identity_lists.files_of_crops: ([1, 2],),
    identity_lists.identity_page: (identity_lists.IdentityFilter(least_pictures=1), "faces", Slice(50), Kept()),
    identity_lists.shown_labels: (),
    merged_numbers.seen_survivor: (1,),
    made_decisions.decisions_about_face: (FaceRef(SHA256, Box(100, 100, 300, 300)), 50),
    made_decisions.decisions_about_identity: (7, Slice(50)),
    made_decisions.decision_with_id: (1,),
    made_decisions.decision_page: (Slice(50),),
    selections.selected_faces: (FaceSelection(identity=1),),
    review_page.review_page: (Slice(50), None, Kept()),
    whole_pictures.whole_picture: (SHA256,),
    whole_pictures.has_picture: (SHA256,),
    whole_pictures.has_crop: (SHA256, f"{SHA256}.{'c' * 64}.jpg"),
    standing.faces_at: ({1: FaceRef(SHA256, Box(100, 100, 300, 300))}, RECIPE.space),
    standing.standing: (),
    summaries.mean_vectors: ({1: (1, 1, 1, 1)}, {}),
    summaries.signatures: (),
    summaries.summaries: ({1: (1, 1, 1, 1)}, {}, {}),
    summaries.vector_of: (1,),
}
"""Every query of the store, with its arguments for the space in use."""

PARTS = {
    "add_import_assertions",
    "imported_eras",
    "resolver_of",
    "moved",
    "resolver",
    "whole_eras",
    "facts_of",
    "distances_to_centroids",
    "nearest_identities",
    "resolve_selections",
    "with_names",
} | {
    "database_bytes",
    "read_state",
    "read_versions",
    "data_folder",
    "read_scope",
    "read_last_complete_sync",
    "read_thresholds",
    "forgotten_places",
    "forgotten_numbers",
    "read_directories_to_erase",
    "forgotten_in",
    "forgotten_people",
    "without_forgotten_people",
    "without_forgotten_sets",
    "account_of",
    "faces_there",
    "open_erasures",
    "added_under",
    "pictures_to_erase",
    "directories_to_erase",
    "recorded_directories",
    "exported_records",
    "refuse_named_reason",
}  # data of no space
"""Functions that take a transaction, as parts of the tested queries."""

OF_ANOTHER = {
    contents.needed_files,
    spaces.coming_space,
    spaces.carried_members,
    spaces.count_late_members,
    spaces.may_wait,
    spaces.reembedding,
    spaces.progress_of,
    erasures.files_needed,
    erasing.count_traces,
    erasing.preview_erasure,
    forgotten.places_here,
    traces.traces_of,
}
"""The queries that concern another space, too."""

CHANGES = {
    "forget mark has_changed renewing reading note_read delete_others claim_data_folder add_folder forget_removed remove_source replace_hints record_moves upsert",
    "move_links move_former_members",
    "remember_members remember_left_behind forget_returned record_dissolved",
    "remember_source apply_size_rule remember_page record_look mark_gone finish_listing remember_people remember_births keep_links keep_hints record_alias",
    "mark_person_gone",
    "record_content drop_orphans forget_lost record_decision record_phash record_crop_facts record_cut record_export record_copy record_export_folder",
    "record_removal record_enrichment rename_in_decisions keep_places keep_dates keep_likenesses",
    "write_value write_ended_sessions write_scope forget_scope write_last_complete_sync write_thresholds write_nearly_there write_partings write_answered record_failure record_crash clear clear_places forget_gone apply_grouping begin_run end_run",
    "record_batch decide decide_once keep_answer write_queue settle_questions apply_step refuse_unclear write_decided_eras write_members attach_to move_eras follow_settings import_decisions",
    "remember_forgotten forget_person forget_findings replace_record record_erased_pictures record_erased_directory record_erased_folder end_erasures add_directories_to_erase forget_directories_to_erase write_ledger scrub_ledger",
    "add_reference insert_picture insert_vector record_vector drop_pictures ask_open_references ask_about_open",
    "retry_above_limits announce_space use_space mark_unasked rename_source begin_reading_faces finish_reading_faces record_no_faces make_due see_again record_unlisted forget_unlisted record_import record_eras write_eras decide_eras carry_eras",
}


def plain(value: Any) -> Any:
    """Return a value that can be compared."""
    if isinstance(value, np.ndarray):
        return (
            value.tolist() if value.dtype.kind != "f" else np.nan_to_num(value, nan=-9e9).tolist()
        )  # NaN differs from itself
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return value


def answers(store: Store) -> dict[str, Any]:
    return {question.__name__: plain(store.read_now(question, *args)) for question, args in READS.items()}


def add_former_member(tx: Connection) -> None:
    """The second picture's face was a member of identity 1 before."""
    place = {"sha256": content(BEN, face_answer(2)).sha256, "x1": 100.0, "y1": 100.0, "x2": 300.0, "y2": 300.0}
    tx.execute(insert(tables.former_members).values(**place, identity=1, how="matched"))


def fill(store: Store) -> None:
    """Two pictures done in the space in use, with an identity, a decision, an export and a failure; one is not done."""
    store.write_now(sources.remember_source, "anna", "immich", "user-1")
    store.write_now(named_values.write_nearly_there, NearlyThere(needed=6, library=2, identities=1))
    store.write_now(named_values.write_partings, {1: Parting(basis=3)})
    store.write_now(folders.add_folder, folders.Folder("album", Path("/album"), "mixed"))
    store.write_now(assets.remember_page, plans(ANNA, BEN, NEW, BROKEN), run_id=1)
    store.write_now(runs.begin_run, "full", ["anna"], NOON)
    store.write_now(sources.remember_people, "anna", [Person("p1", "Mira", "1980-01-01", is_hidden=False)])
    for item, seed in ((ANNA, 1), (BEN, 2)):
        store.write_now(contents.record_content, content(item, face_answer(seed)), NOON)
    broken = ItemError("the picture is cut short", reason="corrupt")
    store.write_now(failures.record_failure, "embed", "anna", BROKEN.fingerprint, error=broken, now=NOON)
    cut = cuts.StoredCut(1, "head", "planned", 512, "ab/file.jpg", Box(0, 0, 300, 300), (300, 300), KEY, ())
    store.write_now(cuts.record_cut, cut, ANNA)
    plan = dataclasses.replace(one_identity(1), links=(Link("anna", "p1", 1),))
    store.write_now(spaces.use_space, RECIPE.space, plan, NOON)
    store.write_now(named_values.write_ended_sessions, {"ended": 1})
    answer = msgspec.json.encode(moderation.MadeDecisions((), (), Effect()))
    store.write_now(kept_answers.keep_answer, Key("a key", "d"), answer, NOON)
    store.write_now(named_values.write_thresholds, dataclasses.replace(invented_thresholds(), space=RECIPE.space))
    store.write_now(add_former_member)
    store.write_now(past_people.keep_likenesses, [Link("anna", "p1", 1)])
    imported = PlannedSet(3, 3, "faceset_003", ImportOutcome.NEW, "Ida", (SORTED,))
    store.write_now(imports.record_import, ImportPlan((imported,), ()), NOON)
    found = KeptEra("1999", 1999, 1999, 1999, frozenset({1}))
    assert store.write_now(
        eras.record_eras, 1, [found], leaves=(), before=None, version=EraVersion("years", "d"), now=NOON
    )
    reject = Reject((FaceRef(SHA256, Box(100, 100, 300, 300)),), identity=7)
    store.write_now(decisions.record_decision, reject, made_by="anna", now=NOON)
    store.write_now(decisions.record_decision, SPLIT, made_by="anna", now=NOON)
    store.write_now(exports.record_crop_facts, 1, key=KEY, seen=b"facts")
    store.write_now(enrichments.record_enrichment, 2, Enriched(pose=Pose(1.0, 2.0, 3.0)), models="models")
    doubt = Item(
        kind="member",
        reason="far",
        identities=(1,),
        faces=(1,),
        probability=0.5,
        settles=1,
        face_id=1,
        evidence=((1,),),
    )
    store.write_now(review_items.write_queue, [doubt])
    kept = reference_pictures.KeptPicture(
        "d" * 64, FaceRef("e" * 64, Box(1, 1, 9, 9)), Box(0, 0, 10, 10), "ee/file.jpg", original="ee/file.original"
    )
    sent = references.SentReference(kept, RECIPE.space, face_answer(3))
    store.write_now(references.add_reference, sent, 1, Author("anna", "api"), NOON)
    store.write_now(named_values.write_answered, [AnsweredQuestion(9, doubt, ((1, 1),))])
    entry = {"faces": 1, "identity": 1}
    store.write_now(exports.record_export, "faceset_001", digest="d", entry=entry, identity=1, made_by="sync", now=NOON)


def fill_other(store: Store) -> None:
    """Add faces in another space, whose detector finds other boxes and one face more in each picture."""
    store.write_now(spaces.announce_space, OTHER.space, NOON)
    for item, seed in ((ANNA, 11), (BEN, 12), (NEW, 13)):
        found = face_answer(seed, box=Box(110, 105, 305, 302)), face_answer(seed + 20, box=Box(600, 600, 760, 780))
        store.write_now(contents.record_content, content(item, *found, recipe=OTHER), NOON)
    store.write_now(reference_pictures.record_vector, 1, OTHER.space, face_answer(14), None)


def test_every_question_to_the_store_is_among_those_that_are_asked() -> None:
    walked = pkgutil.walk_packages(service.store.__path__, "service.store.")
    modules = [import_module(found.name) for found in walked if ".migrations" not in found.name]
    found = {
        function.__name__
        for module in modules
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
        if next(iter(inspect.signature(function).parameters), "") == "tx"
    }
    asked = {question.__name__ for question in (*READS, *OF_ANOTHER)}
    assert found == asked | PARTS | set(" ".join(CHANGES).split())


def test_a_library_without_a_grouping_in_its_space_asks_for_a_sync(store: Store) -> None:
    points = dataclasses.replace(invented_thresholds(), space=OTHER.space)
    for write in (None, (named_values.write_value, "space", RECIPE.space), (named_values.write_thresholds, points)):
        if write is not None:
            store.write_now(*write)
        with pytest.raises(SetupError, match="run 'immich-facesets sync' first"):
            store.read_now(spaces.grouped_points)
    store.write_now(named_values.write_thresholds, dataclasses.replace(points, space=RECIPE.space))
    assert store.read_now(spaces.grouped_points).points == points.points


def test_no_question_about_the_space_in_use_is_answered_with_anything_of_another(store: Store) -> None:
    fill(store)
    before = answers(store)
    fill_other(store)
    after = answers(store)
    assert after["census"].pop("contents") == before["census"].pop("contents") + 1, (
        "a known asset without an embedded picture"
    )
    known, now_known = (one["read_library"].pop("pictures") for one in (before, after))
    assert [old.asset_id for old, new in zip(known, now_known, strict=True) if old != new] == [NEW.asset_id], (
        "the hash of its bytes is known now, and belongs to no space"
    )
    assert after == before
    told = {name for name, answer in before.items() if not answer}
    own_tests = {"dissolved_members", "incomplete_identities", "directories_of_everybody"}
    empty = {
        "to_look_at",
        "without_hints",
        "count_due_without_hints",
        "items_at_crash",
        "stamps",
        "orphaned_faces",
        "is_first_export",
        "waiting_pictures",
        "undecided_pictures",
        "barred_directories",
        "barred_identities",
        "switched_off",
        "unwanted_now",
        "directories_of_barred",
    }
    assert told <= own_tests | empty, "a query without rows proves nothing"


def carried_plan(store: Store, number: int = 1) -> GroupingPlan:
    carried = store.read_now(spaces.carried_members, *pair(store))
    joins = tuple(Join(face, number, 0.2, member.how) for face, member in carried.items())
    return GroupingPlan(new=(), joins=joins, leaves=(), links=(), report=nothing_to_report())


def pair(store: Store) -> tuple[str, str]:
    active = store.read_now(spaces.active_space)
    assert active is not None
    return (active, OTHER.space if active == RECIPE.space else RECIPE.space)


def test_members_are_carried_to_the_faces_at_their_places_and_back_again(store: Store) -> None:
    fill(store)
    fill_other(store)
    old = store.read_now(members.members_of, 1)
    carried = store.read_now(spaces.carried_members, RECIPE.space, OTHER.space)
    ((face_id, member),) = carried.items()
    assert (member.identity, member.how) == (1, "discovered")
    assert store.read_now(spaces.progress_of, OTHER.space, ["anna"]) == spaces.Reembedding(OTHER.space, 3, 4)
    store.write_now(spaces.use_space, OTHER.space, carried_plan(store), NOON)
    assert store.read_now(spaces.reembedding, ["anna"]) is None
    (life,) = store.read_now(eras.stored_eras).values()
    assert (life.eras[0].name, life.eras[0].founders) == ("1999", frozenset({face_id}))
    (new,) = store.read_now(members.members_of, 1)
    assert (new.face_id, new.box, new.sha256) == (face_id, Box(110, 105, 305, 302), old[0].sha256)
    assert store.read_now(decisions.constraints_now, OTHER.space).must_not == {(face_id, 7)}
    assert len(store.read_now(face_tables.face_table, RECIPE.space, 512).face_ids) == 2, (
        "kept for a return to that space"
    )
    store.write_now(spaces.use_space, RECIPE.space, carried_plan(store), NOON)
    (back,) = store.read_now(members.members_of, 1)
    assert back.face_id == old[0].face_id
    assert back.distance == pytest.approx(0.2)


def test_two_spaces_are_kept_and_no_third(store: Store) -> None:
    fill(store)
    fill_other(store)
    store.write_now(spaces.use_space, OTHER.space, carried_plan(store), NOON)
    third = replace(RECIPE, space="space-3")
    store.write_now(contents.record_content, content(ANNA, face_answer(31), recipe=third), NOON)
    nobody = GroupingPlan(new=(), joins=(), leaves=(), links=(), report=nothing_to_report())
    store.write_now(spaces.use_space, third.space, nobody, NOON)
    sizes = [
        len(store.read_now(face_tables.face_table, name, 512).face_ids)
        for name in (RECIPE.space, OTHER.space, third.space)
    ]
    assert sizes == [0, 6, 1]
    assert store.read_now(embedding_work.is_embedded, SHA256, RECIPE) is False


def test_of_two_old_faces_at_one_new_place_the_nearer_is_carried(store: Store) -> None:
    store.write_now(sources.remember_source, "anna", "immich", "user-1")
    store.write_now(assets.remember_page, plans(ANNA), run_id=1)
    near, far = face_answer(1, box=Box(100, 100, 300, 300)), face_answer(2, box=Box(160, 100, 360, 300))
    store.write_now(contents.record_content, content(ANNA, far, near), NOON)
    store.write_now(spaces.use_space, RECIPE.space, one_identity(2), NOON)
    other = face_answer(3, box=Box(105, 100, 305, 300))
    store.write_now(contents.record_content, content(ANNA, other, recipe=OTHER), NOON)
    (member,) = store.read_now(spaces.carried_members, RECIPE.space, OTHER.space).values()
    assert member.identity == 1


def test_a_crop_that_is_lost_is_made_again_in_its_own_space_alone(store: Store) -> None:
    fill(store)
    fill_other(store)
    lost = store.read_now(contents.crop_files, RECIPE.space)
    store.write_now(contents.forget_lost, lost, RECIPE.space)
    assert not store.read_now(embedding_work.is_embedded, SHA256, RECIPE)
    assert store.read_now(embedding_work.is_embedded, SHA256, OTHER)


def test_a_space_announced_by_an_earlier_version_does_not_wait(store: Store) -> None:
    store.write_now(spaces.announce_space, OTHER.space, NOON)
    assert store.read_now(spaces.may_wait, NOON + timedelta(days=13))
    assert not store.read_now(spaces.may_wait, NOON + timedelta(days=14))
    assert not store.read_now(spaces.may_wait, NOON - timedelta(days=1)), "the clock was set back"
    store.write_now(named_values.write_value, "coming_space_since", None)
    assert not store.read_now(spaces.may_wait, NOON)


def test_members_of_a_source_that_is_not_in_the_settings_hold_up_no_other_space(store: Store) -> None:
    fill(store)
    assert store.read_now(spaces.count_late_members, RECIPE.space, OTHER.space, ["anna"]) == 1
    assert store.read_now(spaces.count_late_members, RECIPE.space, OTHER.space, ["ben"]) == 0


def test_the_progress_of_a_space_counts_only_pictures_that_a_sync_reads(store: Store) -> None:
    """A dropped user, a removed folder and a folder in use have one picture each that is not done."""
    fill(store)
    fill_other(store)
    store.write_now(sources.remember_source, "ben", "immich", "user-2")
    store.write_now(folders.add_folder, folders.Folder("old", Path("/old"), "mixed"))
    for number, name in enumerate(("ben", "old", "album")):
        unfinished = asset(f"b{number}", source=name, checksum=f"{number}" * 40)
        store.write_now(assets.remember_page, plans(unfinished), run_id=1)
    store.write_now(folders.remove_source, "old")

    def progress(users: list[str] | None) -> tuple[int, int]:
        found = store.read_now(spaces.reembedding, users)
        assert found is not None
        return found.done, found.total

    assert progress(["anna"]) == (3, 5), "anna's four, and the album's one"
    assert progress(["anna", "ben"]) == (3, 6)
    assert progress(None) == (3, 6), "without settings that can be read, every known user counts"
    assert progress(["cara"]) == (0, 1)
