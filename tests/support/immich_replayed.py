"""A fake Immich with the content of recorded servers, so that their recorded requests can be repeated against it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from testdata import shared_data

from service.demo.immich import ALL_NEEDED, FakeAsset, FakeFace, FakeImmich, FakePerson

Json = dict[str, Any]
ALICE, BOB, CAROL = "Alice Admin", "Bob", "Carol Partner"
MORE = {"album.read", "tag.read", "timeline.read"}
KEYS = {
    "alice_full": (ALICE, {"all"}),
    "alice_ro": (ALICE, ALL_NEEDED | MORE),
    "alice_min": (ALICE, {"asset.read"}),
    "alice_none_useful": (ALICE, {"tag.read"}),
    "bob_ro": (BOB, ALL_NEEDED | MORE),
}


@dataclass(frozen=True)
class Recording:
    """One recorded request to a real server and its answer."""

    name: str
    method: str
    path: str
    key: str | None
    asked: object
    status: int
    headers: dict[str, str]
    body: Any


def recordings(folder: str) -> list[Recording]:
    found = []
    for file in sorted((shared_data() / "recordings" / folder).glob("*.json")):
        told = json.loads(file.read_text())
        asked, said = told["request"], told["response"]
        found.append(
            Recording(
                file.stem,
                asked["method"],
                asked["path"],
                asked["key"],
                asked["body"],
                said["status"],
                said["headers"],
                said["body"],
            )
        )
    return found


def recorded_assets(told: list[Recording]) -> dict[str, Json]:
    """Every asset in any answer, with all its fields from all answers."""
    assets: dict[str, Json] = {}
    for recording in told:
        for item in assets_in(recording):
            known = assets.setdefault(item["id"], {})
            # An answer may lack people and faces; values of other answers stay.
            fuller = {name: value for name, value in item.items() if value or name not in known}
            known.update(fuller)
    return assets


def assets_in(recording: Recording) -> Iterator[Json]:
    body = recording.body
    if not isinstance(body, dict) or recording.status != 200:
        return
    if recording.name.startswith("search_") and "assets" in body:
        yield from body["assets"]["items"]
    elif recording.name.startswith("asset_") and "originalFileName" in body:
        yield {name: value for name, value in body.items() if name not in {"people", "unassignedFaces"}} | {
            name: body[name] for name in ("people", "unassignedFaces") if not body["isEdited"] and name in body
        }


def recorded_faces(told: list[Recording]) -> dict[str, list[Json]]:
    return {
        recording.path.partition("id=")[2]: recording.body
        for recording in told
        if recording.name.startswith("faces_") and recording.status == 200
    }


def face_of(told: Json, person_id: str | None) -> FakeFace:
    x1, y1, x2, y2 = (told[f"boundingBox{side}"] for side in ("X1", "Y1", "X2", "Y2"))
    size = (told["imageWidth"], told["imageHeight"])
    return FakeFace((x1, y1, x2, y2), *size, person_id, told["id"], told["sourceType"])


def inline_faces(asset: Json) -> list[FakeFace]:
    """Boxes as in answers of 2.7; later versions name the people only, so each gets an invented box."""
    faces = []
    for person in asset.get("people", ()):
        boxes = person.get("faces")
        if boxes is None:
            faces.append(FakeFace((0, 0, 10, 10), 100, 100, person["id"]))
        faces += [face_of(box, person["id"]) for box in boxes or ()]
    return faces + [face_of(box, None) for box in asset.get("unassignedFaces", ())]


class Replayed:
    """A fake that holds what the recorded server held; `secrets` has the API key for each recorded key."""

    def __init__(self, folder: str, version: str) -> None:
        self.recordings = recordings(folder)
        # The build with the later search had the same library as the 3.1.0 that it is based on.
        library = recordings("immich-3.1.0") if folder == "immich-3.2-dialect" else self.recordings
        self.immich = FakeImmich(version)
        self.secrets: dict[str | None, str] = {"invalid": "no-such-key"}
        self.faces = recorded_faces(library)
        self.with_faces = {
            asset["id"] for told in self.recordings if told.name == "search_has_people" for asset in assets_in(told)
        }
        assets = recorded_assets(library)
        self._add_users(library, assets)
        names = {user.user_id: user.name for user in self.immich.library.users.values()}
        for asset in assets.values():
            self._add_asset(asset, names[asset["ownerId"]])
        self._add_people(library, assets, names)
        locked = next((told.path for told in library if told.name == "asset_locked"), None)
        if locked is not None:
            taken = datetime.fromisoformat("2018-01-01T00:00:00Z")
            self.immich.add_asset(
                FakeAsset(b"", "locked.jpg", ALICE, 1, 1, taken, asset_id=Path(locked).name, visibility="locked")
            )

    def _add_users(self, told: list[Recording], assets: dict[str, Json]) -> None:
        alice = next(recording.body["id"] for recording in told if recording.name == "users_me")
        bob = next(
            recording.body["assets"]["items"][0]["ownerId"] for recording in told if recording.name == "search_bob"
        )
        carol = next(asset["ownerId"] for asset in assets.values() if asset["ownerId"] not in {alice, bob})
        self.immich.add_user(ALICE, is_admin=True, user_id=alice)
        self.immich.add_user(BOB, user_id=bob)
        self.immich.add_user(CAROL, user_id=carol, shares_with=[ALICE])
        for name, (owner, permissions) in KEYS.items():
            self.secrets[name] = self.immich.add_key(self.immich.library.users[owner], permissions)

    def _add_asset(self, told: Json, owner: str) -> None:
        exif = told.get("exifInfo")
        size = 100 if exif is None else exif["fileSizeInByte"]
        faces = inline_faces(told)
        listed = self.faces.get(told["id"])
        edited = None
        if listed is not None:
            shown = [face_of(face, (face["person"] or {}).get("id")) for face in listed]
            if told["isEdited"]:
                edited = shown
            if owner != ALICE:  # only the search names a partner's people
                whose = [face.person_id for face in faces]
                faces = [replace(face, person_id=who) for face, who in zip(shown, whose, strict=True)]
            elif not (told["isEdited"] and faces):
                faces = shown
        if not faces and told["id"] in self.with_faces:
            faces = [FakeFace((0, 0, 10, 10), 100, 100)]
        self.immich.add_asset(
            FakeAsset(
                bytes(size),
                told["originalFileName"],
                owner,
                told["width"],
                told["height"],
                datetime.fromisoformat(told["fileCreatedAt"]),
                mime_type=told["originalMimeType"],
                asset_id=told["id"],
                checksum=told["checksum"],
                created_at=datetime.fromisoformat(told["createdAt"]),
                updated_at=datetime.fromisoformat(told["updatedAt"]),
                modified_at=datetime.fromisoformat(told["fileModifiedAt"]),
                local_taken_at=datetime.fromisoformat(told["localDateTime"]),
                visibility=told["visibility"],
                type=told["type"],
                is_trashed=told["isTrashed"],
                is_offline=told["isOffline"],
                is_edited=told["isEdited"],
                is_favorite=told["isFavorite"],
                library_id=told["libraryId"],
                original_path=told["originalPath"],
                faces=faces,
                edited_faces=edited,
                edited_data=bytes(29868) if told["isEdited"] else None,
                preview_data=bytes(1000),
                has_preview=told["originalFileName"] != "corrupt.jpg",
                thumbhash=told["thumbhash"],
                exif={} if exif is None else exif,
                duration_ms=milliseconds(told["duration"]),
                live_photo_video_id=told["livePhotoVideoId"],
                size=size,
            )
        )

    def _add_people(self, told: list[Recording], assets: dict[str, Json], names: dict[str, str]) -> None:
        for asset in assets.values():
            for person in asset.get("people", ()):
                self._add_person(person, names[asset["ownerId"]])
        for recording in told:
            if recording.name == "people":
                for person in recording.body["people"]:
                    self._add_person(person, ALICE)

    def _add_person(self, told: Json, owner: str) -> None:
        known = self.immich.library.people.get((owner, told["id"]))
        changed = datetime.fromisoformat(told["updatedAt"])
        if known is not None and known.updated_at is not None:
            changed = max(changed, known.updated_at)  # /people cuts microseconds
        self.immich.add_person(
            FakePerson(
                told["id"], told["name"], owner, told["birthDate"], told["isHidden"], told["isFavorite"], changed
            )
        )


def milliseconds(duration: str | int | None) -> int | None:
    if isinstance(duration, str):
        hours, minutes, seconds = duration.split(":")
        return round((int(hours) * 3600 + int(minutes) * 60 + float(seconds)) * 1000) or None
    return duration
