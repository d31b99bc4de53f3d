"""Values for tests, valid by default."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from mixtures import table_of

from immich_facesets.assets import Asset, FaceHint, Rendition
from immich_facesets.dates import DateKind
from immich_facesets.faces import Box, Measures
from immich_facesets.grouping.plan import GroupingPlan, GroupingReport, GroupingRules, Join, NewIdentity, plan_grouping
from immich_facesets.listing import AssetPlan, ListingRules, plan_page
from immich_facesets.moderation.constraints import constraints
from immich_facesets.spaces import BUFFALO_L
from immich_facesets.wire import CropAnswer, FaceAnswer, Info, Limits
from service.store.contents import EmbeddedContent, FoundFace
from service.store.embedding_work import Recipe

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
RULES = ListingRules()
RECIPE = Recipe(space="space-1", detection="full", crop_size=512, crop_padding=0.5, crop_short=100.0)

INFO = Info(
    space=RECIPE.space,
    family="w600k_mbf",
    dimension=512,
    engine="onnx",
    pack="p",
    licence="",
    models=(),
    provider="cpu",
    limits=Limits(max_pixels=1, max_bytes=1, max_in_flight=1),
    version="1",
)
"""The description of an embedder that serves the space of ``RECIPE``."""


def hint(face_id: str = "f1", *, box: Box | None = None, person_id: str | None = None, size: int = 1000) -> FaceHint:
    return FaceHint(face_id, box or Box(100, 100, 300, 300), size, size, person_id)


def asset(asset_id: str = "a1", **changes: Any) -> Asset:
    fields: dict[str, Any] = {
        "source": "anna",
        "asset_id": asset_id,
        "checksum": f"{abs(hash(asset_id)):040x}"[:40],
        "path": f"/photos/{asset_id}.jpg",
        "file_name": f"{asset_id}.jpg",
        "mime_type": "image/jpeg",
        "taken_at": NOON - timedelta(days=365),
        "local_date": "2025-05-01T12:00:00",
        "date_kind": DateKind.METADATA,
        "created_at": NOON - timedelta(days=300),
        "updated_at": NOON - timedelta(days=300),
        "width": 1000,
        "height": 1000,
        "visibility": "timeline",
        "is_external": False,
        "is_edited": False,
        "is_offline": False,
        "rendition": Rendition.ORIGINAL,
        "hints": (hint(),),
    }
    return Asset(**(fields | changes))


def _small(side: float, *, size: int = 1000) -> FaceHint:
    return hint(box=Box(0, 0, side, 500), size=size)


WORTH_FETCHING = [
    (asset(hints=(hint("f0", box=Box(0, 0, 20, 20)), _small(90))), True),
    (asset(hints=(hint("f0", box=Box(0, 0, 20, 20)), _small(89.9))), False),
    (asset(hints=(_small(50, size=500),)), True),
    (asset(hints=(_small(50, size=500),), width=500, height=500), False),
    (asset(hints=(_small(50, size=500),), width=None, height=None), False),  # unknown: the box counts as it is
    (asset(hints=(_small(90, size=0),)), True),
    (asset(hints=()), False),
]
"""Assets, and whether ``RULES`` select them for fetching: the face size in the original counts, not in the preview."""


def plans(*assets: Asset, now: datetime = NOON) -> tuple[AssetPlan, ...]:
    return plan_page(assets, {}, now, RULES)


def unit(seed: int, dimension: int = 512) -> bytes:
    vector = np.random.default_rng(seed).normal(size=dimension).astype(np.float32)
    return (vector / np.linalg.norm(vector)).astype("<f4").tobytes()


def unit_like(seed: int, number: int) -> bytes:
    """Another face of the person of ``unit(seed)``, 0.07 away from it and 0.14 from others."""
    one, other = (np.frombuffer(unit(value), dtype="<f4") for value in (seed, 1000 + number))
    both = one + 0.4 * other
    return (both / np.linalg.norm(both)).astype("<f4").tobytes()


def face_answer(seed: int = 1, *, box: Box | None = None, crop: bool = True) -> FaceAnswer:
    place = box or Box(100, 100, 300, 300)
    x, y = place.x1, place.y1
    return FaceAnswer(
        box=(place.x1, place.y1, place.x2, place.y2),
        landmarks=((x + 60, y + 80), (x + 140, y + 80), (x + 100, y + 120), (x + 70, y + 160), (x + 130, y + 160)),
        det_score=0.9,
        embedding=unit(seed),
        quality=Measures(blur=100.0, blur_size=200, brightness=120.0, contrast=40.0, yaw=0.0, pitch=0.0, roll=0.0),
        crop=CropAnswer(image=b"jpeg", area=(0.0, 0.0, 400.0, 400.0)) if crop else None,
    )


def content(of: Asset, *faces: FaceAnswer, sha256: str | None = None, recipe: Recipe = RECIPE) -> EmbeddedContent:
    digest = sha256 or f"{abs(hash(of.fingerprint)):064x}"[:64]
    return EmbeddedContent(
        fingerprint=of.fingerprint,
        sha256=digest,
        sha1="0" * 40,
        size_bytes=1234,
        width=1000,
        height=1000,
        recipe=recipe,
        faces=tuple(FoundFace(face, f"ab/{digest}.{'c' * 64}.jpg" if face.crop else None) for face in faces),
    )


def one_identity(*face_ids: int) -> GroupingPlan:
    """A plan in which these faces are a new identity, number 1."""
    return GroupingPlan(
        new=(NewIdentity(1, "discovered", frozenset()),),
        joins=tuple(Join(face_id, 1, 0.1, "discovered") for face_id in face_ids),
        leaves=(),
        links=(),
        report=nothing_to_report(),
    )


def nothing_to_report() -> GroupingReport:
    nobody = table_of(np.empty((0, 512), np.float32))
    return plan_grouping(
        nobody,
        memberships={},
        known=[],
        assertions=[],
        constraints=constraints([], lambda _: None),
        thresholds=BUFFALO_L,
        rules=GroupingRules(),
        next_number=1,
    ).report
