"""
Pre-flight: what a face set lacks before it is used for training or swapping, and which faces were left out, and why.

Every finding has a stable code, a sentence, and the figure and threshold it comes from.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from immich_facesets.facesets.coverage import EXPRESSIONS, LIGHTS, PITCHES, YAWS, Coverage
from immich_facesets.facesets.faceset import FEW_SHARP, SHARP, Faceset

FEW_FACES = 20
"""Fewer faces than an era needs (docs/eras.md) are few for any training."""

FEW_EVENTS = 5
"""Pictures of fewer days show clothes and lighting rather than the face."""

LARGE_EVENT = 0.5
"""The largest share of the dated faces that one event may have."""

MUCH_UNDATED = 0.5
"""The share of undated faces from which on events say little."""

ONE_LIGHT = 0.9
"""The largest share of the faces that one light may have."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A deficiency of a face set; ``value`` is the counted figure, ``threshold`` the limit it was compared with."""

    code: str
    message: str
    value: float
    threshold: float


@dataclass(frozen=True, slots=True)
class Preflight:
    """``shown``: how many faces each bin of each aspect has."""

    findings: tuple[Finding, ...]
    shown: dict[str, dict[str, int]]
    events: int
    largest_event: int
    undated: int


def check_faceset(faceset: Faceset, top: int) -> Preflight:
    """Return the report on a face set whose small bundle takes ``top`` faces."""
    coverage = Coverage.of([face.candidate for face in faceset.faces])
    shown = {
        "yaw": _counts(coverage.yaw, YAWS),
        "pitch": _counts(coverage.pitch, PITCHES),
        "light": _counts(coverage.light, LIGHTS),
        "expression": _counts(coverage.expression, EXPRESSIONS),
    }
    sizes = Counter(coverage.event[coverage.event >= 0].tolist())
    undated = int((coverage.event < 0).sum())
    findings = [
        *_few(faceset, top),
        *_held(faceset),
        *_not_included(faceset),
        *_events(sizes, undated, len(faceset.faces)),
        *_looks(shown, len(faceset.faces)),
    ]
    return Preflight(tuple(findings), shown, len(sizes), max(sizes.values(), default=0), undated)


def as_json(faceset: Faceset, report: Preflight) -> dict[str, Any]:
    """Return the report as a value for JSON: names, counts and positions, without timestamps and names of people."""
    return {
        "schema": 1,
        "name": faceset.name,
        "identity": faceset.identity,
        "faces": len(faceset.faces),
        "findings": [asdict(finding) for finding in report.findings],
        "shown": report.shown,
        "events": {"count": report.events, "largest": report.largest_event, "undated": report.undated},
        "known": faceset.known,
        "left_out": faceset.left_out,
        **_included(faceset),
        "left_out_faces": [
            {
                "reason": str(omission.reason),
                "sha256": omission.candidate.face.sha256,
                "crop_sha256": omission.candidate.crop_sha256,
                "taken": omission.candidate.taken,
                "assets": [asdict(place) for place in sorted(omission.candidate.places)],
                **({"is_included": True} if omission.candidate.is_included else {}),
            }
            for omission in faceset.omitted
        ],
    }


def _few(faceset: Faceset, top: int) -> list[Finding]:
    count, bundled = len(faceset.faces), len(faceset.averaged)
    sharp = sum(face.quality.sharpness >= SHARP for face in faceset.faces)
    findings = []
    if count < FEW_FACES:
        findings.append(Finding("few_faces", f"{count} of the {FEW_FACES} faces that are a start", count, FEW_FACES))
    if bundled < top:
        message = f"the small bundle has room for {top} and holds {bundled}"
        findings.append(Finding("top_not_full", message, bundled, top))
    if sharp < min(FEW_SHARP, count):
        findings.append(Finding("few_sharp", f"sharp faces: {sharp} of {count}", sharp, FEW_SHARP))
    return findings


def _held(faceset: Faceset) -> list[Finding]:
    number = faceset.held_back.total()
    if not number:
        return []
    message = f"{number} of {len(faceset.faces)} faces may show a minor and are in no bundle for swapping"
    return [Finding("held_back", message, number, 0)]


def _included(faceset: Faceset) -> dict[str, Any]:
    """Return the counts of faces that were included by hand; nothing where there is none."""
    refused = faceset.not_included
    if not faceset.included and not refused:
        return {}
    return {"included": {"faces": faceset.included, "left_out": refused}}


def _not_included(faceset: Faceset) -> list[Finding]:
    refused = faceset.not_included
    if not refused:
        return []
    number = sum(refused.values())
    told = ", ".join(f"{reason.replace('_', ' ')} {count}" for reason, count in refused.items())
    return [Finding("not_included", f"faces included by hand and left out: {number} ({told})", number, 0)]


def _events(sizes: Counter[int], undated: int, count: int) -> list[Finding]:
    findings = []
    dated = count - undated
    if undated > MUCH_UNDATED * count:
        message = f"{undated} of {count} faces have no date, so that events cannot be told apart"
        findings.append(Finding("undated", message, undated / count, MUCH_UNDATED))
    if dated > 1 and len(sizes) == 1:
        findings.append(Finding("one_event", f"all {dated} dated faces are of one day", 1, 2))
    elif dated > 1 and len(sizes) < FEW_EVENTS:
        findings.append(Finding("few_events", f"the dated faces are of {len(sizes)} days only", len(sizes), FEW_EVENTS))
    largest = max(sizes.values(), default=0)
    if len(sizes) > 1 and largest > LARGE_EVENT * dated:
        message = f"{largest} of {dated} dated faces are of one day"
        findings.append(Finding("large_event", message, round(largest / dated, 4), LARGE_EVENT))
    return findings


def _looks(shown: dict[str, dict[str, int]], count: int) -> list[Finding]:
    findings = []
    yaw, light, expression = shown["yaw"], shown["light"], shown["expression"]
    profiles = yaw["profile_left"] + yaw["profile_right"]
    if not profiles:
        findings.append(Finding("no_profile_views", "no face is seen from the side", 0, 1))
    findings += [
        Finding(f"none_to_the_{side}", f"no face looks to the {side} of the picture", 0, 1)
        for side in ("left", "right")
        if not yaw[f"half_{side}"] + yaw[f"profile_{side}"]
    ]
    if not yaw["front"]:
        findings.append(Finding("no_front_views", "no face looks into the camera", 0, 1))
    most = max(light.values())
    if count >= FEW_EVENTS and most > ONE_LIGHT * count:
        findings.append(
            Finding("one_light", f"{most} of {count} faces are in one light", round(most / count, 4), ONE_LIGHT)
        )
    if expression["eyes_closed"]:
        number = expression["eyes_closed"]
        findings.append(Finding("eyes_closed", f"faces with closed eyes: {number}", number, 1))
    return findings


def _counts(bins: NDArray[np.int64], names: Sequence[str]) -> dict[str, int]:
    counts = Counter(bins.tolist())
    return {name: counts[place] for place, name in enumerate(names)}
