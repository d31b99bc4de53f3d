"""A library of any size as rows of the database alone: people by a power law, pictures of several faces, dates, names."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import Connection, insert

from immich_facesets.dates import DateKind
from service.store.database import Store
from service.store.named_values import write_value
from service.store.tables import (
    assets,
    contents,
    crops,
    embeddings,
    faces,
    identities,
    memberships,
    people,
    sources,
    vectors,
)

SPACE = "space-1"
START = datetime(2004, 1, 1, 12, tzinfo=UTC)
FACES_A_PICTURE = 1.7
_ROWS_AT_ONCE = 20_000


@dataclass(frozen=True, slots=True)
class BrowsedLibrary:
    """The number of faces of each identity, in the order of their numbers from 1 on, and the faces of nobody."""

    sizes: tuple[int, ...]
    strangers: int = 0
    dimension: int = 8
    named_share: float = 0.2

    @property
    def faces(self) -> int:
        return sum(self.sizes) + self.strangers


def power_law(faces: int, identities: int, *, strangers: float = 0.3) -> BrowsedLibrary:
    """A library of that size whose largest people have thousands of faces, and the smallest three."""
    members = round(faces * (1 - strangers))
    weights = 1 / (np.arange(identities) + 4.0)
    sizes = np.maximum(3, np.floor(weights / weights.sum() * (members - 3 * identities))).astype(int)
    sizes[: members - int(sizes.sum())] += 1
    return BrowsedLibrary(tuple(sizes.tolist()), faces - int(sizes.sum()), dimension=512)


def fill(store: Store, library: BrowsedLibrary, *, seed: int = 0) -> None:
    """Write the rows of a library into an empty, migrated store."""
    rng = np.random.default_rng(seed)
    owners = np.zeros(library.faces, dtype=np.int64)
    ends = np.cumsum(library.sizes)
    owners[: ends[-1] if len(ends) else 0] = np.repeat(np.arange(1, len(library.sizes) + 1), library.sizes)
    owners = owners[rng.permutation(len(owners))]
    pictures = np.sort(rng.integers(0, max(1, round(library.faces / FACES_A_PICTURE)), library.faces))
    store.write_now(_write_pictures, sorted(set(pictures.tolist())))
    store.write_now(_write_identities, library)
    centres = rng.standard_normal((len(library.sizes) + 1, library.dimension), dtype=np.float32)
    for first in range(0, library.faces, _ROWS_AT_ONCE):
        rows = range(first, min(first + _ROWS_AT_ONCE, library.faces))
        noise = rng.standard_normal((len(rows), library.dimension), dtype=np.float32)
        matrix = centres[owners[first : rows.stop]] + 0.5 * noise
        matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
        store.write_now(_write_faces, rows, pictures, owners, matrix.astype("<f4"), rng)


def sha256_of(picture: int) -> str:
    """The invented content hash of a picture."""
    return f"{picture * 7_919_000_003 % (1 << 64):016x}" * 4


def crop_of(picture: int, face_id: int) -> str:
    """The invented file of a crop."""
    return f"{sha256_of(picture)[:2]}/{sha256_of(picture)}.{face_id:064x}.jpg"


def _write_pictures(tx: Connection, pictures: list[int]) -> None:
    for source in ("anna", "scans"):
        kind = "immich" if source == "anna" else "folder"
        tx.execute(insert(sources).values(name=source, kind=kind, user_id=source))
    write_value(tx, "space", SPACE)
    for at in range(0, len(pictures), _ROWS_AT_ONCE):
        some = pictures[at : at + _ROWS_AT_ONCE]
        tx.execute(insert(contents), [_content(number) for number in some])
        tx.execute(insert(embeddings), [_embedding(number) for number in some])
        tx.execute(insert(assets), [_asset(number) for number in some])


def _content(number: int) -> dict[str, Any]:
    return {"sha256": sha256_of(number), "sha1": "0" * 40, "size_bytes": 1234, "width": 4000, "height": 3000}


def _embedding(number: int) -> dict[str, Any]:
    shared = {"space": SPACE, "crop_short": 100.0, "embedded_at": START, "detection": "full"}
    return {"sha256": sha256_of(number), "crop_size": 512, "crop_padding": 0.5, **shared}


def _asset(number: int) -> dict[str, Any]:
    taken = START + timedelta(hours=2 * (number * 37 % 80_000))
    is_dated = number % 9 > 0
    return {
        "source": "scans" if number % 5 == 0 else "anna",
        "asset_id": f"a{number}",
        "fingerprint": f"f{number}",
        "rendition": "original",
        "path": f"/photos/{taken.year}/IMG_{number:06}.jpg",
        "file_name": f"IMG_{number:06}.jpg",
        "mime_type": "image/jpeg",
        "taken_at": taken,
        "local_date": taken.isoformat()[:19],
        "date_kind": DateKind.CAMERA if is_dated else DateKind.FILE,
        "created_at": taken,
        "updated_at": taken,
        "width": 4000,
        "height": 3000,
        "visibility": "timeline",
        "is_external": False,
        "is_edited": False,
        "is_offline": False,
        "is_wanted": True,
        "content": sha256_of(number),
    }


def _write_identities(tx: Connection, library: BrowsedLibrary) -> None:
    numbers = range(1, len(library.sizes) + 1)
    named = [number for number in numbers if number % max(1, round(1 / library.named_share)) == 0]
    rows = [
        {
            "number": number,
            "origin": "discovered",
            "is_locked": number % 50 == 1,
            "never_export": number % 40 == 2,
            "created_at": START,
        }
        for number in numbers
    ]
    if rows:
        tx.execute(insert(identities), rows)
    if named:
        tx.execute(
            insert(people),
            [
                {"source": "anna", "person_id": f"p{n}", "name": f"Person {n}", "is_hidden": False, "identity": n}
                for n in named
            ],
        )


def _write_faces(tx: Connection, rows: range, pictures: Any, owners: Any, matrix: Any, rng: Any) -> None:
    found, members, kept, held = [], [], [], []
    for row in rows:
        face_id, x = row + 1, float(200 * (row % 8))
        found.append(_face(face_id, sha256_of(int(pictures[row])), x, float(rng.uniform(0, 300))))
        held.append({"face_id": face_id, "vector": matrix[row - rows.start].tobytes()})
        if owners[row]:
            members.append(
                {
                    "face_id": face_id,
                    "identity": int(owners[row]),
                    "distance": round(float(rng.uniform(0.05, 0.6)), 6),
                    "how": "matched",
                    "confidence": None if row % 50 == 0 else round(float(rng.uniform(0.2, 1.0)), 6),
                }
            )
        if row % 5:
            area = {"x1": x, "y1": 0.0, "x2": x + 400, "y2": 400.0}
            kept.append({"face_id": face_id, "file": crop_of(int(pictures[row]), face_id), **area})
    for table, values in ((faces, found), (vectors, held), (memberships, members), (crops, kept)):
        if values:
            tx.execute(insert(table), values)


def _face(face_id: int, sha256: str, x: float, blur: float) -> dict[str, Any]:
    return {
        "face_id": face_id,
        "sha256": sha256,
        "space": SPACE,
        "x1": x + 100,
        "y1": 100.0 + face_id % 7,
        "x2": x + 260 + face_id % 90,
        "y2": 320.0,
        "landmarks": [[x + 140, 160.0], [x + 220, 160.0], [x + 180, 200.0], [x + 150, 240.0], [x + 210, 240.0]],
        "det_score": 0.6 + face_id % 40 / 100,
        "blur": blur,
        "blur_size": 112,
        "brightness": 120.0,
        "contrast": 40.0,
        "yaw": float(face_id % 60 - 30),
        "pitch": float(face_id % 20 - 10),
        "roll": 0.0,
        "quality": None,
    }
