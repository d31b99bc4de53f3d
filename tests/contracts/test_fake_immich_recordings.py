"""Answers of the fake Immich against recorded answers of real servers with the same content."""

import json
from collections.abc import Collection
from typing import Any

import httpx
import pytest
from immich_replayed import ALICE, Recording, Replayed
from immich_shapes import shape_differences, value_differences

FOLDERS = {"immich-2.7.5": "2.7.5", "immich-3.1.0": "3.1.0", "immich-3.2-dialect": "3.3.5"}
NOT_PLAYED = {
    *("albums", "asset_statistics", "edits_a_edited", "jobs", "partners", "person_statistics", "person_thumbnail"),
    *("queues", "search_person", "search_random", "search_statistics", "search_statistics_filter", "stacks"),
    *("sync_ack_with_key", "sync_stream_faces_with_key", "sync_stream_with_key", "tags", "timeline_bucket"),
    *("timeline_buckets", "maintenance_on_status", "maintenance_status_after", "maintenance_status_off"),
}
"""Routes that our client never requests."""
OF_THE_INSTALLATION = {
    *("api_keys_me", "api_keys_me_minimal", "server_about", "server_config", "users_me"),
}
"""Answers with names and times of one installation: only their shape is compared."""
UNTIED = {"search_partner_view", "search_with_deleted", "search_with_people_all"}
"""2.7 lists equal instants in any order: compared by id. Part of a list may then hold entirely different assets."""
PARTS_OF_TIES = {"search_with_people_page1_of_size10", "search_without_people"}
NEVER_EQUAL = {"correlationId", "deviceId", "deviceAssetId", "email", "avatarColor", "profileChangedAt", "pattern"}
LATER = {"otherPeople", "sharedBy", "sharedWith", "clusterGroupId"}
"""Routes of 3.2 and later; the recorded build had only its search."""
UNKNOWN_SIZE = {"original_trashed"}


async def ask(client: httpx.AsyncClient, replayed: Replayed, recording: Recording) -> httpx.Response:
    replayed.immich.maintenance = recording.name.startswith("maintenance_on_")
    headers = {} if recording.key is None else {"x-api-key": replayed.secrets[recording.key]}
    if recording.name == "original_range":
        headers["Range"] = "bytes=0-99"
    content = None if recording.asked is None else json.dumps(recording.asked)
    if content is not None:
        headers["Content-Type"] = "application/json"
    return await client.request(recording.method, recording.path, headers=headers, content=content)


def by_id(body: Any) -> Any:
    items = sorted(body["assets"]["items"], key=lambda item: str(item["id"]))
    return body | {"assets": body["assets"] | {"items": items}}


def without_strangers(body: Any, owner: str) -> Any:
    """Return the answer without a partner's people, whose names in a search of 3.2 are not known."""
    if "assets" not in body:
        return body
    items = [item | ({} if item["ownerId"] == owner else {"people": []}) for item in body["assets"]["items"]]
    return body | {"assets": body["assets"] | {"items": items}}


def body_differences(replayed: Replayed, recording: Recording, ours: Any) -> list[str]:
    theirs = recording.body
    two, filters = replayed.immich.dialect.two, replayed.immich.dialect.filters
    extra: Collection[str] = LATER if filters else ()
    if filters:
        alice = replayed.immich.library.users[ALICE].user_id
        ours, theirs = without_strangers(ours, alice), without_strangers(theirs, alice)
    if two and recording.name in UNTIED:
        ours, theirs = by_id(ours), by_id(theirs)
    told = []
    if not (two and recording.name in PARTS_OF_TIES):
        told += shape_differences(ours, theirs, extra)
    if recording.name not in OF_THE_INSTALLATION and not (two and recording.name in PARTS_OF_TIES):
        told += value_differences(ours, theirs, NEVER_EQUAL | set(extra))
    return told


def file_differences(recording: Recording, answer: httpx.Response) -> list[str]:
    """Name, kind and caching of a file; tag, date and size of the originals, whose sizes are known."""
    known = recording.headers.keys() - {"connection"}
    own = recording.name.startswith("original_") and recording.name not in UNKNOWN_SIZE
    if not own:
        known -= {"etag", "last-modified", "content-length"}
    theirs = {name: recording.headers[name] for name in known}
    if recording.name == "thumbnail_a_o1":  # ours are JPEG, a setting of the real ones
        theirs = {name: value.replace("webp", "jpeg") for name, value in theirs.items()}
    return list(value_differences({name: answer.headers.get(name) for name in known}, theirs))


@pytest.mark.parametrize("folder", FOLDERS)
async def test_it_answers_as_the_recorded_server_did(folder: str) -> None:
    replayed = Replayed(folder, FOLDERS[folder])
    differences: dict[str, list[str]] = {}
    async with replayed.immich as immich, httpx.AsyncClient(base_url=immich.url, follow_redirects=True) as client:
        for recording in replayed.recordings:
            if recording.name in NOT_PLAYED:
                continue
            answer = await ask(client, replayed, recording)
            told = [] if answer.status_code == recording.status else [f"{answer.status_code}, not {recording.status}"]
            if isinstance(recording.body, dict) and "$bytes" in recording.body:
                told += file_differences(recording, answer)
            else:
                told += body_differences(replayed, recording, answer.json())
            if told:
                differences[recording.name] = told[:6]
    assert differences == {}


@pytest.mark.parametrize("folder", FOLDERS)
async def test_errors_carry_the_headers_of_the_recorded_ones(folder: str) -> None:
    replayed = Replayed(folder, FOLDERS[folder])
    checked = 0
    async with replayed.immich as immich, httpx.AsyncClient(base_url=immich.url) as client:
        for recording in replayed.recordings:
            if recording.status < 400 or recording.name in NOT_PLAYED:
                continue
            answer = await ask(client, replayed, recording)
            known = recording.headers.keys() & {"content-type", "cache-control", "content-disposition"}
            theirs = {name: recording.headers[name] for name in known}
            assert {name: answer.headers.get(name) for name in known} == theirs, recording.name
            assert "x-correlation-id" in answer.headers
            checked += 1
    assert checked >= 6
