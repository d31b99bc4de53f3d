"""Several users of one Immich: a failure of one does not stop the others."""

from dataclasses import replace

from journey import Journey, ended

from service.demo.immich import ALL_NEEDED


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
