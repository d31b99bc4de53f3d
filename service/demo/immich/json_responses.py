"""
The JSON texts of assets, faces and people, as each dialect writes them.

Built with f-strings: a page of 1,000 assets takes a few milliseconds, so nothing needs to be cached.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime

from service.demo.immich.api_version import Dialect
from service.demo.immich.library import FakeAsset, FakeFace, FakePerson, FakeUser, Key, Library

NOTHING_FOUND = '"albums":{"total":0,"count":0,"items":[],"facets":[]}'

NO_EXIF: tuple[str, ...] = ("timeZone", "lensModel", "fNumber", "focalLength", "iso", "exposureTime")
NO_EXIF += ("latitude", "longitude", "city", "state", "country")

quote = json.encoder.encode_basestring_ascii


def instant(moment: datetime) -> str:
    """Return a time stamp as JavaScript writes it: in UTC, truncated to milliseconds."""
    in_utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return in_utc.isoformat("T", "milliseconds")[:-6] + "Z"


def raw_instant(moment: datetime) -> str:
    """Return a time stamp as the database writes it in JSON: microseconds without trailing zeros."""
    seconds, _, fraction = moment.astimezone(UTC).isoformat().removesuffix("+00:00").partition(".")
    return f"{seconds}.{fraction.rstrip('0')}+00:00" if fraction else f"{seconds}+00:00"


def flag(value: object) -> str:
    return "true" if value else "false"


def optional(value: str | None) -> str:
    return "null" if value is None else quote(value)


class Answers:
    """The JSON response bodies of one library in one dialect."""

    def __init__(self, library: Library, dialect: Dialect) -> None:
        self.library = library
        self.dialect = dialect

    def person(self, person: FakePerson, *, raw: bool, tail: str = "") -> str:
        """Return a person; ``raw`` is for those inside assets and faces, whose time stamp the database writes."""
        owner = self.library.users[person.owner]
        thumbnail = f"/data/thumbs/{owner.user_id}/{person.person_id[:2]}/{person.person_id[2:4]}/{person.person_id}"
        changed = person.updated_at or self.library.clock()
        shares = ',"otherPeople":[],"sharedBy":[],"sharedWith":[]' if self.dialect.filters else ""
        return (
            f'{{"id":"{person.person_id}","name":{quote(person.name)},"birthDate":{optional(person.birth_date)},'
            f'"thumbnailPath":"{thumbnail}.jpeg","isHidden":{flag(person.is_hidden)},'
            f'"isFavorite":{flag(person.is_favorite)},'
            f'"updatedAt":"{raw_instant(changed) if raw else instant(changed)}"{shares}{tail}}}'
        )

    def box(self, face: FakeFace, tail: str = "") -> str:
        x1, y1, x2, y2 = face.box
        return (
            f'{{"id":"{face.face_id}","boundingBoxX1":{x1},"boundingBoxY1":{y1},"boundingBoxX2":{x2},'
            f'"boundingBoxY2":{y2},"imageWidth":{face.image_width},"imageHeight":{face.image_height},'
            f'"sourceType":"{face.source_type}"{tail}}}'
        )

    def faces(self, asset: FakeAsset, viewer: FakeUser) -> str:
        """Return the body of `/faces`: boxes after edits, with only the viewer's own people."""
        texts = []
        for face in asset.faces if asset.edited_faces is None else asset.edited_faces:
            known = None if face.person_id is None else self.library.people.get((viewer.name, face.person_id))
            person = "null" if known is None else self.person(known, raw=True)
            texts.append(self.box(face, f',"person":{person}'))
        return f"[{','.join(texts)}]"

    def people_of(self, namer: str, faces: list[FakeFace]) -> str:
        """Return `people`, and in 2.7 `unassignedFaces`; ``namer`` is the user whose names are used."""
        groups: dict[str, list[FakeFace]] = {}
        loose = []
        for face in faces:
            if face.person_id is None:
                loose.append(face)
            elif (namer, face.person_id) in self.library.people:
                groups.setdefault(face.person_id, []).append(face)
        people = []
        for person_id, members in groups.items():
            boxes = f',"faces":[{",".join(map(self.box, members))}]' if self.dialect.two else ""
            people.append(self.person(self.library.people[namer, person_id], raw=True, tail=boxes))
        unassigned = f',"unassignedFaces":[{",".join(map(self.box, loose))}]' if self.dialect.two else ""
        return f'"people":[{",".join(people)}]{unassigned}'

    def exif(self, asset: FakeAsset) -> str:
        plain = {
            "make": None,
            "model": None,
            "exifImageWidth": asset.width,
            "exifImageHeight": asset.height,
            "fileSizeInByte": asset.size,
            "orientation": "1",
            "dateTimeOriginal": asset.taken_at.astimezone(UTC).isoformat(),
            "modifyDate": asset.changed_at.astimezone(UTC).isoformat(),
        }
        plain |= dict.fromkeys(NO_EXIF) | {"description": "", "projectionType": None, "rating": None}
        return f'"exifInfo":{json.dumps(plain | (asset.exif or {}))},'

    def asset(
        self, asset: FakeAsset, *, people: str, exif: bool, owner: str = "", tags: str = "", stack: str = ""
    ) -> str:
        two = self.dialect.two
        owner_id = self.library.users[asset.owner].user_id
        taken, born = instant(asset.taken_at), instant(asset.created_at or asset.taken_at)
        same = asset.updated_at is None or asset.updated_at is asset.created_at
        changed = born if same else instant(asset.updated_at or asset.taken_at)
        modified = instant(asset.changed_at)
        width = "null" if asset.width is None else asset.width
        height = "null" if asset.height is None else asset.height
        local = taken if asset.local_taken_at is None else instant(asset.local_taken_at)
        device_asset = f'"deviceAssetId":{quote(asset.file_name)},' if two else ""
        device = '"deviceId":"fake",' if two else ""
        details = self.exif(asset) if exif and asset.exif is not None else ""
        if two:
            millis = asset.duration_ms or 0
            length = f'"{millis // 3600000:02}:{millis // 60000 % 60:02}:{millis / 1000 % 60:06.3f}"'
            duration = length if millis else '"0:00:00.00000"'
        else:
            duration = "null" if asset.duration_ms is None else str(asset.duration_ms)
        return (
            f'{{"id":"{asset.asset_id}","createdAt":"{born}",'
            f'{device_asset}"ownerId":"{owner_id}",{owner}{device}'
            f'"libraryId":{optional(asset.library_id)},"type":"{asset.type}",'
            f'"originalPath":{quote(asset.path(owner_id))},"originalFileName":{quote(asset.file_name)},'
            f'"originalMimeType":"{asset.mime_type}",'
            f'"thumbhash":{optional(asset.thumbhash)},"fileCreatedAt":"{taken}",'
            f'"fileModifiedAt":"{modified}",'
            f'"localDateTime":"{local}","updatedAt":"{changed}",'
            f'"isFavorite":{flag(asset.is_favorite)},'
            f'"isArchived":{flag(asset.visibility == "archive")},"isTrashed":{flag(asset.trashed)},'
            f'"visibility":"{asset.visibility}","duration":{duration},'
            f'{details}"livePhotoVideoId":{optional(asset.live_photo_video_id)},{tags}{people},'
            f'"checksum":"{asset.checksum}",{stack}"isOffline":{flag(asset.is_offline)},"hasMetadata":true,'
            f'"duplicateId":null,"resized":true,"width":{width},"height":{height},'
            f'"isEdited":{flag(asset.is_edited)}}}'
        )

    def listed(self, asset: FakeAsset, viewer: FakeUser, *, with_people: bool, with_exif: bool) -> str:
        """Return an asset as in search results: boxes of the unedited picture; before 3.2, the owner's people."""
        if with_people:
            people = self.people_of(viewer.name if self.dialect.filters else asset.owner, asset.faces)
        else:
            people = '"people":[]'
        return self.asset(asset, people=people, exif=with_exif)

    def detailed(self, asset: FakeAsset, viewer: FakeUser) -> str:
        """Return an asset as in `GET /assets/{id}`: all fields, with only the viewer's own people."""
        faces = asset.faces if asset.edited_faces is None else asset.edited_faces
        return self.asset(
            asset,
            people=self.people_of(viewer.name, faces),
            exif=True,
            owner=f'"owner":{json.dumps(self.user(self.library.users[asset.owner]))},',
            tags='"tags":[],',
            stack='"stack":null,',
        )

    def page(self, items: Iterable[str], next_page: int | None, next_cursor: str | None) -> str:
        texts = list(items)
        cursor = f',"nextCursor":{optional(next_cursor)}' if self.dialect.filters else ""
        following = "null" if next_page is None else f'"{next_page}"'
        return (
            f'{{{NOTHING_FOUND},"assets":{{"total":{len(texts)},"count":{len(texts)},"items":[{",".join(texts)}],'
            f'"facets":[],"nextPage":{following}{cursor}}}}}'
        )

    def user(self, user: FakeUser) -> dict[str, object]:
        return {
            "id": user.user_id,
            "email": user.email,
            "name": user.name,
            "profileImagePath": "",
            "avatarColor": "purple",
            "profileChangedAt": raw_instant(user.created_at),
        }

    def me(self, user: FakeUser) -> str:
        born = instant(user.created_at)
        used = sum(asset.size or 0 for asset in self.library.assets.values() if asset.owner == user.name)
        own = self.user(user) | {"profileChangedAt": born}
        rest: dict[str, object] = {
            "storageLabel": "admin" if user.is_admin else None,
            "shouldChangePassword": False,
            "isAdmin": user.is_admin,
            "createdAt": born,
            "deletedAt": None,
            "updatedAt": born,
            "oauthId": "",
            "quotaSizeInBytes": None,
            "quotaUsageInBytes": used,
            "status": "active",
            "license": None,
        }
        return json.dumps(own | rest | ({"clusterGroupId": user.user_id} if self.dialect.filters else {}))

    def key(self, key: Key) -> str:
        born = instant(key.created_at)
        return json.dumps(
            {
                "id": key.key_id,
                "name": f"key of {key.user.name}",
                "createdAt": born,
                "updatedAt": born,
                "permissions": sorted(key.permissions),
            }
        )

    def people(self, viewer: FakeUser, *, page: int, size: int, with_hidden: bool) -> str:
        """Return the viewer's people, ordered as in Immich; unnamed ones with too few faces are counted, not listed."""
        counts = self.library.face_counts(viewer.name)
        seen = [
            person
            for (owner, person_id), person in self.library.people.items()
            if owner == viewer.name and counts.get(person_id)
        ]
        listed = [
            person
            for person in seen
            if (person.name or counts[person.person_id] >= self.library.minimum_faces)
            and (with_hidden or not person.is_hidden)
        ]
        listed.sort(key=lambda p: (p.is_hidden, not p.is_favorite, not p.name, -counts[p.person_id], p.name))
        start = (page - 1) * size
        shown = ",".join(self.person(person, raw=False) for person in listed[start : start + size])
        return (
            f'{{"people":[{shown}],"hasNextPage":{flag(len(listed) > start + size)},"total":{len(seen)},'
            f'"hidden":{sum(person.is_hidden for person in seen)}}}'
        )
