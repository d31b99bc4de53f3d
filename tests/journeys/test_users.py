"""Several users of one Immich: a failure of one does not stop the others."""

from journey import Journey


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
