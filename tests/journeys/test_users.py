"""Several users of one Immich: a failure of one does not stop the others, and each sees what is theirs."""

from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from fork_server import KILLED
from journey import Journey, Unkilled, ended, serving
from small_library import known_id
from sync_result import Row, SyncResult, read

from service.demo.immich import ALL_NEEDED
from service.store.members import list_identities


async def test_a_revoked_key_of_one_user_does_not_stop_the_others(journey: Journey) -> None:
    journey.immich.revoke_key(journey.placed.users["ben"].api_key)
    service = await journey.sync()
    assert service.code == 3
    assert "ben" in service.stderr
    owners = {asset_id: asset.owner for asset_id, asset in journey.immich.library.assets.items()}
    assert {owners[asset_id] for asset_id in journey.fetched()} == {"anna"}
    assert journey.result().identities
    assert any(name.endswith(".fsz") for name in journey.result().files)


async def test_all_keys_revoked_is_one_clear_line(journey: Journey) -> None:
    for user in journey.placed.users.values():
        journey.immich.revoke_key(user.api_key)
    service = await journey.sync()
    assert service.code == 3
    assert "IMMICH_API_KEY" in service.stderr or "API key" in service.stderr
    assert journey.fetched() == []


def swap_key_of_ben(journey: Journey) -> None:
    """From now on Ben's key is one of Carol's account, which has no pictures."""
    journey.immich.revoke_key("key-of-ben")
    journey.immich.add_key(journey.immich.add_user("carol"), ALL_NEEDED, "key-of-ben")


@pytest.mark.slow
async def test_a_key_of_another_account_stops_one_source_and_loses_nothing(journey: Journey) -> None:
    before = await journey.finish()
    swap_key_of_ben(journey)
    service = await journey.sync("--full")
    assert service.code == 3
    assert "the API key of user 'ben' belongs to another Immich account" in service.stderr
    assert replace(journey.result(), last_run=before.last_run) == before
    check = journey.start("config", "check")
    assert await ended(check) == 3
    assert "fix  Immich, user ben: the API key of user 'ben' belongs to another Immich account" in check.stdout
    assert "ok   Immich, user anna" in check.stdout


async def test_two_users_with_keys_of_one_account_are_told_before_the_first_sync(journey: Journey) -> None:
    journey.immich.revoke_key("key-of-ben")
    journey.immich.add_key(journey.placed.users["anna"], ALL_NEEDED, "key-of-ben")
    check = journey.start("config", "check")
    assert await ended(check) == 3
    assert "fix  Immich, user ben: the API keys of users 'anna' and 'ben' belong to one Immich account" in check.stdout


def write_names(journey: Journey, **keys: str) -> None:
    """Write the file of users anew: the key of each name."""
    text = "".join(f'[users.{name}]\napi_key = "{key}"\n' for name, key in keys.items())
    Path(journey.environ["FACESETS_USERS_FILE"]).write_text(text, encoding="utf-8")


@pytest.mark.slow
async def test_a_user_with_a_new_name_keeps_everything(journey: Journey) -> None:
    outside = journey.placed.assets[3]
    outside.library_id, outside.checksum = known_id("library"), "bm90IHRoZSBjaGVja3N1bSE="  # known by its source alone
    before = await journey.finish()
    write_names(journey, annika="key-of-anna", ben="key-of-ben")
    check = journey.start("config", "check")
    assert await ended(check) == 0
    assert "called 'anna' before, which the next sync follows" in check.stdout
    asked = len(journey.fetched())
    service = await journey.sync()
    assert service.code == 0
    assert "Look at this" not in service.stdout
    after = journey.result()
    assert len(journey.fetched()) == asked
    assert (after.faces, after.identities, after.crops) == (before.faces, before.identities, before.crops)
    assert {row[0] for row in after.people} == {"annika", "ben"}
    folders = {name.split("/")[1] for name in after.files if name.startswith("users/")}
    assert folders == {"annika", "ben"}
    pictures = {name for name in before.files if not name.startswith("users/")}
    assert {name for name in after.files if not name.startswith("users/")} == pictures


@pytest.mark.slow
async def test_a_rename_that_was_killed_is_made_up_for(journey: Journey) -> None:
    before = await journey.finish()
    write_names(journey, annika="key-of-anna", ben="key-of-ben")
    for moment in ("before", "during", "after"):
        await journey.sync(die_at=("rename_source", moment, 1))
    assert (await journey.finish()).identities == before.identities


@pytest.mark.slow
async def test_a_user_who_is_not_in_the_settings_any_more_is_told_until_removed(journey: Journey) -> None:
    before = await journey.finish()
    write_names(journey, anna="key-of-anna")
    word = "the user 'ben' is not in the settings any more"
    for arguments in (("sync",), ("sync", "--full"), ("status",)):
        service = journey.start(*arguments)
        assert await ended(service) == 0
        assert word in service.stdout
        assert "'immich-facesets sources remove ben'" in service.stdout
    assert journey.result().identities == before.identities
    removed = journey.start("sources", "remove", "ben")
    assert await ended(removed) == 0, removed.stderr
    after = await journey.finish()
    assert {row[0] for row in after.people} == {"anna"}
    status = journey.start("status")
    assert await ended(status) == 0
    assert word not in status.stdout


async def remove_ben(journey: Journey) -> None:
    write_names(journey, anna="key-of-anna")
    removed = journey.start("sources", "remove", "ben")
    assert await ended(removed) == 0, removed.stderr


def numbers(found: SyncResult) -> dict[Row, object]:
    """The identity number of every face."""
    return {place: row[0] for place, row in found.faces.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ben", "benny"])
async def test_a_user_who_is_removed_and_added_again_has_every_number_again(journey: Journey, name: str) -> None:
    before = await journey.finish()
    people = read(journey.data, list_identities)
    await remove_ben(journey)
    assert (await journey.finish()).loose_ends() == []
    write_names(journey, anna="key-of-anna", **{name: "key-of-ben"})
    back = await journey.finish()
    assert back.loose_ends() == []
    assert numbers(back) == numbers(before)
    assert read(journey.data, list_identities) == people


@pytest.mark.slow
async def test_a_name_of_a_dropped_user_is_not_taken_by_another_account(journey: Journey) -> None:
    before = await journey.finish()
    write_names(journey, ben="key-of-anna")
    service = await journey.sync("--full")
    assert service.code == 3
    assert "give the other account a name of its own in the settings" in service.stderr
    assert replace(journey.result(), last_run=before.last_run) == before


@pytest.mark.slow
async def test_a_removal_that_was_killed_is_made_up_for(journey: Journey) -> None:
    child = next(one for one in journey.immich.library.people.values() if one.owner == "ben")
    child.birth_date = "2012-03-04"
    await journey.finish()
    await remove_ben(journey)
    for point in ("forget_removed", "keep_likenesses"):
        for moment in ("before", "during", "after"):
            assert (await journey.sync(die_at=(point, moment, 1))).code == KILLED
    after = await journey.finish()
    assert {row[0] for row in after.people} == {"anna"}
    assert after.loose_ends() == []


async def test_a_user_signs_in_with_a_key_of_immich_and_sees_the_own_part_of_a_person(
    journey: Journey, unkilled: Unkilled
) -> None:
    journey.begin_from(unkilled.synced)
    key = journey.immich.add_key(journey.placed.users["anna"], ["user.read"])
    other = journey.immich.add_key(journey.immich.add_user("carol"), ["user.read"])
    async with (
        serving(journey) as (service, administrator),
        httpx.AsyncClient(base_url=administrator.base_url, trust_env=False) as anna,
    ):
        assert (await anna.post("/login", data={"api_key": other})).status_code == 403
        assert (await anna.post("/login", data={"api_key": f"{key[:-1]}!"})).status_code == 401
        assert (await anna.post("/login", data={"api_key": key})).status_code == 303
        everybody, own = [(await one.get("/api/identities")).json() for one in (administrator, anna)]
        assert 0 < own["total"] < everybody["total"]
        (mira,) = [one for one in own["identities"] if one["label"] == "Mira"]
        (whole,) = [one for one in everybody["identities"] if one["number"] == mira["number"]]
        assert 0 < mira["pictures"] < whole["pictures"], "the others are in pictures of ben"
        faces = (await anna.get(f"/api/identities/{mira['number']}/faces?limit=200")).json()["faces"]
        places = [place["source"] for face in faces for place in face["picture"]["places"]]
        assert set(places) == {"anna"}
        assert (await anna.get(faces[0]["crop"]["crop"])).status_code == 200
        for one in (anna, administrator):
            assert (await one.get(faces[0]["picture"]["address"])).status_code == 200
        assert (await anna.get("/api/sources")).status_code == 403
        assert (await anna.post("/logout")).status_code == 303
        assert (await anna.get("/api/identities")).status_code == 401
        await journey.immich.refuse()
        assert (await anna.post("/login", data={"api_key": key})).status_code == 503
    for text in (service.stdout, service.stderr):
        assert key not in text
        assert other not in text
    assert not [path for path in journey.data.rglob("*") if path.is_file() and key.encode() in path.read_bytes()]
