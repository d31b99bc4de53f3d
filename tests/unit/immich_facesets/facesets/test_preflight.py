"""Pre-flight report: it names every defect of a face set and no other."""

from dataclasses import replace

import pytest
from faceset_builders import RULES, candidate, face, vectors

from immich_facesets.faces import Face
from immich_facesets.facesets.coverage import LIGHTS, YAWS
from immich_facesets.facesets.curation import build_faceset, choose, curate
from immich_facesets.facesets.faceset import Candidate, Check, Faceset, Verdict
from immich_facesets.facesets.minors import Held
from immich_facesets.facesets.preflight import Preflight, as_json, check_faceset
from immich_facesets.quality.landmarks import Details

EVERY_WAY = (-60.0, -30.0, 0.0, 30.0, 60.0)


def seen(number: int, *, yaw: float = 0.0, brightness: float = 120.0, blur: float = 400.0) -> Face:
    found = face(number, yaw=yaw, blur=blur)
    return replace(found, measures=replace(found.measures, brightness=brightness))


def rows(count: int = 24) -> list[Candidate]:
    """Faces without a defect: every angle, two kinds of light, a day each."""
    return [
        candidate(
            number,
            of=seen(number, yaw=EVERY_WAY[number % 5], brightness=(90.0, 120.0)[number % 2]),
            taken=f"2020-{1 + number % 12:02d}-{1 + number:02d}",
        )
        for number in range(count)
    ]


def built(candidates: list[Candidate], failing: tuple[int, ...] = ()) -> Faceset:
    checks = {
        item.face.face_id: Check(Verdict.SECOND if item.face.face_id in failing else Verdict.OK) for item in candidates
    }
    found = build_faceset(
        choose(curate(candidates, vectors(len(candidates), spread=0.5), RULES), checks), identity=3, label="Anna"
    )
    assert found is not None
    return found


def codes(report: Preflight) -> set[str]:
    return {finding.code for finding in report.findings}


def test_a_face_set_with_all_it_needs_gets_no_finding() -> None:
    report = check_faceset(built(rows()), 20)
    assert codes(report) == set()
    assert (report.events, report.largest_event, report.undated) == (24, 1, 0)
    assert sum(report.shown["yaw"].values()) == 24
    assert set(report.shown["yaw"]) == set(YAWS)
    assert set(report.shown["light"]) == set(LIGHTS)


HOLDING = {"held_back", "top_not_full"}
"""The findings that come together where faces are held back."""


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("no_profile_views", {"of": lambda number: seen(number, yaw=(-30.0, 0.0, 30.0)[number % 3])}),
        ("none_to_the_left", {"of": lambda number: seen(number, yaw=abs(EVERY_WAY[number % 5]))}),
        ("none_to_the_right", {"of": lambda number: seen(number, yaw=-abs(EVERY_WAY[number % 5]))}),
        ("no_front_views", {"of": lambda number: seen(number, yaw=(-60.0, 60.0)[number % 2])}),
        ("one_event", {"taken": lambda _: "2020-05-01"}),
        ("few_events", {"taken": lambda number: f"2020-05-0{1 + number % 4}"}),
        ("large_event", {"taken": lambda number: "2020-05-01" if number < 14 else f"2020-06-{number:02d}"}),
        ("undated", {"taken": lambda number: None if number < 14 else f"2020-06-{number:02d}"}),
        ("few_sharp", {"of": lambda number: seen(number, yaw=EVERY_WAY[number % 5], blur=45.0)}),
        ("one_light", {"of": lambda number: seen(number, yaw=EVERY_WAY[number % 5])}),
        ("eyes_closed", {"details": lambda number: Details(eyes=0.1 if number == 3 else 0.3, mouth=0.1)}),
        ("top_not_full", {"held": lambda number: Held.MINOR if number < 10 else None}),
        ("held_back", {"held": lambda number: Held.UNDATED if number < 10 else None}),
    ],
)
def test_what_is_missing_is_said_with_the_figure_and_its_threshold(code: str, change: dict[str, object]) -> None:
    ((name, value),) = change.items()
    assert callable(value)
    changed = [replace(item, **{"face" if name == "of" else name: value(item.face.face_id)}) for item in rows()]
    found = {finding.code: finding for finding in check_faceset(built(changed), 20).findings}
    assert code in found
    assert found[code].value != found[code].threshold or code == "eyes_closed"
    assert found.keys() - {code} <= {"one_light", "no_profile_views", "large_event"} | HOLDING


def test_closed_eyes_are_not_reported_without_landmarks() -> None:
    assert check_faceset(built(rows()), 20).shown["expression"] == {
        "eyes_closed": 0,
        "mouth_closed": 0,
        "mouth_open": 0,
    }


def test_few_faces_are_said_to_be_few() -> None:
    assert {"few_faces", "top_not_full"} <= codes(check_faceset(built(rows(5)), 20))


def test_every_face_that_was_left_out_is_in_the_report_with_its_reason_and_its_places() -> None:
    faceset = built(rows(), failing=(4, 7))
    told = as_json(faceset, check_faceset(faceset, 20))
    assert told["left_out"] == {"second_face_in_crop": 2}
    assert told["known"] == told["faces"] + 2 == 24
    assert {one["assets"][0]["asset_id"] for one in told["left_out_faces"]} == {"asset-4", "asset-7"}
    assert {one["reason"] for one in told["left_out_faces"]} == {"second_face_in_crop"}
    assert "Anna" not in str(told)


def test_faces_that_may_show_a_minor_are_counted_by_reason() -> None:
    items = [replace(item, held=Held.ALIKE if item.face.face_id in {1, 2} else None) for item in rows()]
    faceset = built(items)
    told = as_json(faceset, check_faceset(faceset, 20))
    assert told["left_out"] == {"like_a_minor_not_in_swap_bundles": 2}
    (finding,) = (one for one in told["findings"] if one["code"] == "held_back")
    assert finding["message"] == "2 of 24 faces may show a minor and are in no bundle for swapping"
