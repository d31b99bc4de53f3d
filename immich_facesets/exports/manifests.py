"""
The three manifests and the notes beside them, as bytes. docs/exports.md defines the keys that other programs rely on.

JSON, UTF-8, keys in a fixed order, no timestamp but ``generated_at`` of the top manifest: equal facts give equal bytes.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, astuple
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from immich_facesets.exports.face_choice import picked
from immich_facesets.exports.profile import PictureFile
from immich_facesets.faces import Box
from immich_facesets.facesets.faceset import Candidate, EraYears, ExportFace, ExportRules, Faceset, FacesetFolder

SCHEMA = 1
NO_NOTES: Mapping[str, str | None] = MappingProxyType({})
NO_PICTURES: Mapping[int, PictureFile] = MappingProxyType({})
Json = dict[str, Any]


def face_file(rank: int) -> str:
    """Return the file of the face of this rank (from 1), relative to its faceset's directory."""
    return f"faces/{rank:04d}.png"


def bundle_names(faceset: Faceset, top: int) -> dict[str, str | None]:
    """
    Return the file names of the small and the whole bundle; None when no face of the faceset may be bundled.

    Where both hold the same faces, both are one file.
    """
    if not faceset.swappable:
        return {"top": None, "all": None}
    whole = f"{faceset.name}_all.fsz"
    is_one = len(faceset.averaged) == len(faceset.swappable) <= top
    return {"top": whole if is_one else f"{faceset.name}_top{top}.fsz", "all": whole}


def faceset_entry(faceset: Faceset, top: int) -> Json:
    """Return the entry of one faceset in the top manifest."""
    return {
        "name": faceset.name,
        "identity": faceset.identity,
        "label": faceset.label,
        "era": years(faceset.era),
        "directory": faceset.directory,
        "faces": len(faceset.faces),
        "bundles": bundle_names(faceset, top),
    }


def top_manifest(entries: Iterable[Mapping[str, Any]], *, space: str, now: datetime, previous: bytes | None) -> bytes:
    """
    Return the manifest of the whole export folder; ``entries`` as made by ``faceset_entry``, in any order.

    ``previous``: the bytes on disk. They are returned unchanged when they have the same content, whatever their date.
    """
    ordered = [dict(entry) for entry in sorted(entries, key=lambda entry: (entry["identity"], entry["name"]))]
    manifest: Json = {
        "schema": SCHEMA,
        "space": space,
        "generated_at": now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "facesets": _on(FacesetFolder.MAIN, ordered),
        "thin_eras": _on(FacesetFolder.THIN, ordered),
        "candidates": _on(FacesetFolder.CANDIDATES, ordered),
    }
    before = _parsed(previous)
    if previous is not None and {**before, "generated_at": None} == {**manifest, "generated_at": None}:
        return previous
    return json_bytes(manifest)


def faceset_manifest(
    faceset: Faceset,
    *,
    space: str,
    rules: ExportRules,
    notes: Mapping[str, str | None] = NO_NOTES,
    pictures: Mapping[int, PictureFile] = NO_PICTURES,
) -> bytes:
    """
    Return the manifest of one faceset: everything its files are made of (see ``facesets.digest``).

    ``notes``: files for users by name, with a digest where that is known before they are drawn. ``pictures``: by
    face id.
    """
    is_candidates = faceset.folder is FacesetFolder.CANDIDATES
    top = {face.candidate.face.face_id for face in picked(faceset, rules.top, is_for_swapping=True)}
    return json_bytes(
        {
            "schema": SCHEMA,
            "name": faceset.name,
            "identity": faceset.identity,
            "label": faceset.label,
            "era": years(faceset.era),
            "is_thin": faceset.folder is FacesetFolder.THIN,
            "is_candidates": is_candidates,
            "space": space,
            "settings": asdict(rules),
            "bundles": bundle_names(faceset, rules.top),
            "notes": dict(notes),
            "provenance": _provenance(faceset),
            "faces": [
                face_entry(rank, face, face_file(rank), pictures.get(face.candidate.face.face_id))
                | {"in_top": face.candidate.face.face_id in top}
                | ({"nearest": {"identity": faceset.identity, "distance": face.distance}} if is_candidates else {})
                for rank, face in enumerate(faceset.faces, start=1)
            ],
            "known": faceset.known,
            "left_out": faceset.left_out,
        }
    )


def user_manifest(user: str, facesets: Iterable[Faceset]) -> bytes:
    """Return the facesets as seen by one user: the user's assets in each, and those left out, with reasons."""
    ordered = sorted(facesets, key=lambda faceset: (faceset.identity, faceset.name))
    seen = [
        (faceset, _assets_of(user, faceset)) for faceset in ordered if faceset.folder is not FacesetFolder.CANDIDATES
    ]
    return json_bytes(
        {
            "schema": SCHEMA,
            "user": user,
            "facesets": [
                {
                    "name": faceset.name,
                    "identity": faceset.identity,
                    "label": faceset.label,
                    "directory": faceset.directory,
                    "assets": assets,
                }
                for faceset, assets in seen
                if assets
            ],
        }
    )


def marker(faceset: Faceset) -> bytes:
    """Return a note for users who browse the folder: the person, the sources, and the number of faces."""
    places = [place for face in faceset.faces for place in face.candidate.places]
    users = Counter(place.user for place in sorted(set(places)))
    taken = sorted(face.candidate.taken[:10] for face in faceset.faces if face.candidate.taken)
    lines = [
        _line(faceset.label or faceset.name),
        "",
        f"Identity {faceset.identity}, {faceset.name}",
        f"Faces: {len(faceset.faces)} of {faceset.known} known, best first in faces/",
        f"In the bundles for face swapping: {len(faceset.swappable)}",
    ]
    if taken:
        lines.append(f"Taken: {_line(taken[0])} to {_line(taken[-1])}")
    lines += [f"Pictures of {_line(user)}: {count}" for user, count in sorted(users.items())]
    for source in _provenance(faceset):
        ways = ", ".join(f"{count} {how}" for how, count in source["how"].items())
        lines.append(f"Faces from {_line(source['user'])}: {ways}")
    lines += [f"Left out, {reason.replace('_', ' ')}: {count}" for reason, count in faceset.left_out.items()]
    lines += ["", "Made by immich-facesets. manifest.json says where every file came from.", ""]
    return _utf8("\n".join(lines))


def _provenance(faceset: Faceset) -> list[Json]:
    """Return the users the faces come from, and how the faces became members; shared faces count for each user."""
    brought: dict[str, Counter[str]] = {}
    for face in faceset.faces:
        for user in {place.user for place in face.candidate.places}:
            brought.setdefault(user, Counter())[face.candidate.how or "candidate"] += 1
    return [
        {"user": user, "faces": ways.total(), "how": dict(sorted(ways.items()))}
        for user, ways in sorted(brought.items())
    ]


def thin_note(faceset: Faceset) -> bytes:
    """Return the note on why a faceset is under ``_thin/``."""
    return _utf8(
        f"{faceset.name} holds {len(faceset.faces)} faces.\n\n"
        "That is too few to trust: the period is real, but one odd picture weighs a lot in it. It is kept apart\n"
        "from the other facesets until more pictures of these years appear, and moves there by itself.\n"
    )


def face_entry(
    rank: int, face: ExportFace, file: str | None, shown: PictureFile | None = None, further: Sequence[str] = ()
) -> Json:
    """
    Return the manifest entry of one face. ``file``: the name of its picture ``shown``, relative to the manifest; both are
    None without a picture. ``further``: its other pictures.
    """
    candidate = face.candidate
    return {
        "file": file,
        "rank": rank,
        "score": face.quality.score,
        "quality": asdict(face.quality),
        "distance": face.distance,
        "box": _box(candidate.face.box),
        "sha256": candidate.face.sha256,
        "crop_sha256": candidate.crop_sha256,
        "scale": None if shown is None else shown.scale,
        "is_masked": face.is_masked,
        "alpha_mask": shown is not None and shown.has_alpha_mask,
        "frame": None if face.frame is None else [round(edge, 4) for edge in astuple(face.frame)],
        "is_minor": candidate.held is not None,
        "held_back": candidate.held,
        "taken": candidate.taken,
        "how": candidate.how,
        "era_confidence": candidate.era_confidence,
        "assets": [asdict(place) for place in sorted(candidate.places)],
        **({} if shown is None else shown.facts),
        **({"further": list(further)} if further else {}),
    }


def _assets_of(user: str, faceset: Faceset) -> Sequence[Json]:
    rows: list[tuple[Candidate, str | None, str | None]] = [
        (face.candidate, face_file(rank), None) for rank, face in enumerate(faceset.faces, start=1)
    ]
    rows += [(omission.candidate, None, str(omission.reason)) for omission in faceset.omitted]
    assets: list[Json] = [
        {
            "asset_id": place.asset_id,
            "path": place.path,
            "box": _box(candidate.face.box),
            "file": file,
            "left_out": reason,
        }
        for candidate, file, reason in rows
        for place in candidate.places
        if place.user == user
    ]
    return sorted(assets, key=lambda asset: (asset["asset_id"], asset["path"], asset["box"]))


def years(era: EraYears | None) -> Json | None:
    """Return an era as represented in manifests."""
    return None if era is None else {"from": era.first, "to": era.last}


def _box(box: Box) -> list[float]:
    return [round(edge, 2) for edge in (box.x1, box.y1, box.x2, box.y2)]


def _on(folder: FacesetFolder, entries: Iterable[Json]) -> list[Json]:
    """Return the entries whose directories are in one folder."""
    return [entry for entry in entries if str(entry["directory"]).rpartition("/")[0] == folder]


def _parsed(body: bytes | None) -> Json:
    try:
        value = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def json_bytes(value: Json) -> bytes:
    """Return a manifest as it is written."""
    return _utf8(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def _utf8(text: str) -> bytes:
    """Return UTF-8; characters that UTF-8 cannot encode (file names that are not text) are escaped as in JSON."""
    return text.encode(errors="backslashreplace")


def _line(text: str) -> str:
    return " ".join(text.split())
