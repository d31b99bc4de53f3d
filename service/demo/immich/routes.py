"""The handlers of the routes, called after authentication and permission checks."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qs, urlencode

from service.demo.immich.api_version import Dialect
from service.demo.immich.error_responses import RefusedError, internal_error, no_access
from service.demo.immich.files import UnsatisfiableError, cut, file_headers
from service.demo.immich.json_responses import Answers
from service.demo.immich.library import Data, FakeAsset, FakeUser, Key, Library, load
from service.demo.immich.listing import Listings, cut_page
from service.demo.immich.search_requests import Question, order_key, read_question, refused, write_cursor
from service.demo.immich.server_info import about, config, features, media_types, version
from service.demo.immich.validation import Check, Choice, Number, UnfitError, checked, identifier, truth, wrong_type

JSON = "application/json; charset=utf-8"
WEB_IMAGES = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif", "image/avif"})
SIZES = ("fullsize", "preview", "thumbnail")


@dataclass(slots=True)
class Reply:
    """A complete response before it is sent."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": JSON})


@dataclass(frozen=True, slots=True)
class Ask:
    """The parts of a request that a route needs."""

    key: Key | None
    raw_path: str
    query: str
    headers: Mapping[str, str]
    body: object
    item_id: str

    @property
    def user(self) -> FakeUser:
        if self.key is None:
            raise RefusedError(401, "Authentication required")
        return self.key.user


def measure_all(assets: Sequence[FakeAsset]) -> None:
    for asset in assets:
        asset.measure()


def json_reply(text: str) -> Reply:
    return Reply(body=text.encode())


class Routes:
    """The routes of one server over its library."""

    def __init__(self, library: Library, dialect: Dialect, page_limit: int) -> None:
        self.library = library
        self.dialect = dialect
        self.page_limit = page_limit
        self.answers = Answers(library, dialect)
        self.listings = Listings(library)

    # the server

    async def ping(self, _ask: Ask) -> Reply:
        return json_reply('{"res":"pong"}')

    async def version(self, _ask: Ask) -> Reply:
        return json_reply(version(self.dialect))

    async def config(self, _ask: Ask) -> Reply:
        return json_reply(config(self.dialect, self.library.minimum_faces))

    async def features(self, _ask: Ask) -> Reply:
        return json_reply(features(self.dialect))

    async def media_types(self, _ask: Ask) -> Reply:
        return json_reply(media_types())

    async def about(self, _ask: Ask) -> Reply:
        return json_reply(about(self.dialect))

    async def statistics(self, ask: Ask) -> Reply:
        if not ask.user.is_admin:
            raise RefusedError(403, "Forbidden")
        return json_reply(json.dumps(self.usage()))

    def usage(self) -> dict[str, object]:
        by_user = []
        for user in self.library.users.values():
            own = [asset for asset in self.library.assets.values() if asset.owner == user.name]
            photos = [asset.size or 0 for asset in own if asset.type == "IMAGE"]
            videos = [asset.size or 0 for asset in own if asset.type == "VIDEO"]
            counts = {"photos": len(photos), "videos": len(videos), "usage": sum(photos) + sum(videos)}
            counts |= {"usagePhotos": sum(photos), "usageVideos": sum(videos)}
            by_user.append((user, counts))
        totals = {name: sum(counts[name] for _, counts in by_user) for name in by_user[0][1]} if by_user else {}
        each = [
            {"userId": user.user_id, "userName": user.name, "quotaSizeInBytes": None} | counts
            for user, counts in by_user
        ]
        return totals | {"usageByUser": each}

    # the caller

    async def key(self, ask: Ask) -> Reply:
        if ask.key is None:
            raise RefusedError(401, "Authentication required")
        return json_reply(self.answers.key(ask.key))

    async def me(self, ask: Ask) -> Reply:
        return json_reply(self.answers.me(ask.user))

    # pictures

    async def search(self, ask: Ask) -> Reply:
        question = read_question({} if ask.body is None else ask.body, self.dialect, self.page_limit)
        if question.needs_content:
            await self.measure(self.listings.of(ask.user).assets, sizes=True)
        assets, more = self.found(question, ask.user)
        await self.measure(assets, sizes=question.with_exif)
        texts = (
            self.answers.listed(asset, ask.user, with_people=question.with_people, with_exif=question.with_exif)
            for asset in assets
        )
        following = question.offset + question.size
        by_cursor = question.page is None
        next_page = question.page + 1 if question.page is not None and more else None
        return json_reply(self.answers.page(texts, next_page, write_cursor(following) if more and by_cursor else None))

    def found(self, question: Question, viewer: FakeUser) -> tuple[list[FakeAsset], bool]:
        """Return the assets on the requested page, and whether more follow."""
        listing = self.listings.of(viewer)
        by_date = question.order_field == "fileCreatedAt"
        candidates = listing.between(question.first, question.last, descending=question.descending)
        matches = filter(question.test, candidates)
        if not by_date:
            ranked = sorted(matches, key=lambda asset: order_key(question, asset), reverse=question.descending)
            matches = filter(None, ranked)
        assets, more = cut_page(
            matches,
            offset=question.offset,
            size=question.size,
            shuffle_ties=self.dialect.two,
            tie_of=lambda asset: asset.taken_at,
        )
        return list(assets), more

    async def measure(self, assets: Sequence[FakeAsset], *, sizes: bool) -> None:
        """Fill in the checksums (and sizes) of these assets, in a thread where data must be read."""
        unknown = [asset for asset in assets if asset.checksum is None or (sizes and asset.size is None)]
        for asset in unknown:
            if asset.is_offline:
                asset.checksum, asset.size = asset.checksum or "", asset.size or 0
            elif isinstance(asset.data, bytes):
                asset.measure()
        slow = [asset for asset in unknown if asset.checksum is None or (sizes and asset.size is None)]
        if slow:
            await asyncio.to_thread(measure_all, slow)

    def readable(self, ask: Ask, permission: str) -> FakeAsset:
        """Return the asset of the path; raise `RefusedError` for a malformed, foreign, locked or unknown id."""
        self.checked({"id": identifier}, {"id": ask.item_id})
        asset = self.library.readable(ask.user, ask.item_id.lower())
        if asset is None:
            raise no_access(permission)
        return asset

    def checked(self, fields: Mapping[str, Check], values: Mapping[str, Any]) -> dict[str, Any]:
        good, wrong = checked(fields, values)
        if wrong:
            raise refused(wrong, self.dialect)
        return good

    async def faces(self, ask: Ask) -> Reply:
        asked = parse_qs(ask.query, keep_blank_values=True).get("id", [])
        if len(asked) != 1:
            error = wrong_type("string", asked, "must be a UUID")
            if not asked:
                error = UnfitError(
                    {"expected": "string", "code": "invalid_type"}
                    | {"message": "Invalid input: expected string, received undefined"},
                    "must be a UUID",
                )
            raise refused({"id": error}, self.dialect)
        asset = self.library.readable(ask.user, self.checked({"id": identifier}, {"id": asked[0]})["id"])
        if asset is None:
            raise no_access("asset.read")
        return json_reply(self.answers.faces(asset, ask.user))

    async def asset(self, ask: Ask) -> Reply:
        asset = self.readable(ask, "asset.read")
        await self.measure([asset], sizes=True)
        return json_reply(self.answers.detailed(asset, ask.user))

    async def original(self, ask: Ask) -> Reply:
        wants_edited = self.options(ask).get("edited", False)
        try:
            asset = self.readable(ask, "asset.download")
        except RefusedError as refusal:
            raise self.hidden_file(refusal) from None
        edited = asset.edited_data if wants_edited and asset.is_edited else None
        if edited is not None:
            name = f"{PurePosixPath(asset.file_name).stem}.jpeg"
            return await self.file(ask, asset, edited, "image/jpeg", name)
        return await self.file(ask, asset, asset.data, asset.mime_type, asset.file_name)

    def hidden_file(self, refusal: RefusedError) -> RefusedError:
        """Return the error for a file without access: 404 in 3.x, the usual 400 in 2.x."""
        if refusal.issues is not None or isinstance(refusal.message, list):
            return refusal
        if not self.dialect.two:
            return RefusedError(404, "Not Found")
        refusal.headers["Cache-Control"] = "none"
        return refusal

    def options(self, ask: Ask) -> dict[str, Any]:
        if not ask.query:
            return {}
        query = {name: values[-1] for name, values in parse_qs(ask.query).items()}
        flags: dict[str, Any] = {"true": True, "false": False}
        edited = {"edited": flags.get(query["edited"], query["edited"])} if "edited" in query else {}
        size = {"size": query["size"]} if "size" in query else {}
        return self.checked({"edited": truth, "size": Choice(("original", *SIZES))}, edited | size)

    async def file(self, ask: Ask, asset: FakeAsset, data: Data, content_type: str, name: str) -> Reply:
        """Return the file, or the part of it that the request headers select."""
        own = data is asset.data
        modified = asset.changed_at if own else (asset.updated_at or asset.taken_at)
        try:
            if own and asset.is_offline:
                raise FileNotFoundError
            content = data if isinstance(data, bytes) else await asyncio.to_thread(load, data)
        except OSError:
            raise self.lost_file(content_type, name) from None
        headers = file_headers(content_type, name, len(content), modified)
        try:
            part = cut(ask.headers, len(content), headers["ETag"])
        except UnsatisfiableError:
            raise internal_error() from None
        if part.status == 206:
            headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{len(content)}"
        whole = part.stop - part.start == len(content)
        return Reply(part.status, content if whole else content[part.start : part.stop], headers)

    def lost_file(self, content_type: str, name: str) -> RefusedError:
        if not self.dialect.two:
            return RefusedError(404, "Not Found")
        refusal = internal_error()
        refusal.headers |= {"Content-Type": f"{content_type}; charset=utf-8", "Cache-Control": "none"}
        refusal.headers["Content-Disposition"] = f"inline; filename*=UTF-8''{name}"
        return refusal

    async def thumbnail(self, ask: Ask) -> Reply:
        options = self.options(ask)
        asset = self.readable(ask, "asset.view")
        size = options.get("size", "thumbnail")
        edited = asset.edited_data if options.get("edited") and asset.is_edited else None
        stem = PurePosixPath(asset.file_name).stem
        if edited is not None and size != "original":
            return await self.file(ask, asset, edited, "image/jpeg", f"{stem}_{size}.jpeg")
        if size == "fullsize" and asset.fullsize_data is not None:
            return await self.file(ask, asset, asset.fullsize_data, "image/jpeg", f"{stem}_fullsize.jpeg")
        if size == "original" or (size == "fullsize" and asset.mime_type in WEB_IMAGES):
            return self.redirect("original", ask.query, drop="size")
        if size == "fullsize":
            return self.redirect(ask.raw_path.partition("?")[0], ask.query, size="preview")
        data = asset.preview_data
        if data is None and asset.mime_type == "image/jpeg" and not asset.is_offline:
            data = asset.data
        if data is None or not asset.has_preview:
            raise RefusedError(404, "Asset media not found")
        return await self.file(ask, asset, data, "image/jpeg", f"{stem}_{size}.jpeg")

    def redirect(self, path: str, query: str, *, drop: str | None = None, size: str | None = None) -> Reply:
        asked = {name: values[-1] for name, values in parse_qs(query).items() if name != drop}
        target = f"{path}?{urlencode(asked | ({} if size is None else {'size': size}))}"
        headers = {"Content-Type": "text/plain; charset=utf-8", "Location": target}
        return Reply(302, f"Found. Redirecting to {target}".encode(), headers)

    # people

    async def people(self, ask: Ask) -> Reply:
        query: dict[str, Any] = {name: values[-1] for name, values in parse_qs(ask.query).items()}
        flags = {"true": True, "false": False}
        if "withHidden" in query:
            query["withHidden"] = flags.get(query["withHidden"], query["withHidden"])
        fields: dict[str, Check] = {"page": Number(1, loose=True), "size": Number(1, 1000, loose=True)}
        asked = self.checked(fields | {"withHidden": truth}, query)
        size = min(asked.get("size", 500), self.page_limit)
        return json_reply(
            self.answers.people(
                ask.user, page=asked.get("page", 1), size=size, with_hidden=asked.get("withHidden", False)
            )
        )

    async def person(self, ask: Ask) -> Reply:
        self.checked({"id": identifier}, {"id": ask.item_id})
        person = self.library.people.get((ask.user.name, ask.item_id.lower()))
        if person is None:
            raise no_access("person.read")
        return json_reply(self.answers.person(person, raw=False))
