"""One Immich user as a source: assets, faces, deletions, and errors of the key."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from immich_scene import NOON, PIXELS, VERSIONS, add_face, add_picture, listed, pages_of, scene, source_of

from immich_facesets.assets import Rendition
from immich_facesets.errors import ItemError, SetupError, TransientError
from service.demo.immich import ALL_NEEDED, FakeFace, FakeImmich
from service.progress import RemoteState
from service.remote.guard import CircuitOpenError
from service.sources.immich.source import NEEDED_PERMISSIONS


def skipped(pages: list[object]) -> Counter[str]:
    total: Counter[str] = Counter()
    for page in pages:
        total.update(page.skipped)  # type: ignore[attr-defined] # pages of a listing
    return total


@pytest.mark.parametrize("version", VERSIONS)
async def test_opening_tells_whose_library_it_is_and_how_it_speaks(version: str) -> None:
    async with scene(version) as (_, anna, source):
        facts = await source.open()
    assert (facts.name, facts.kind, facts.version, facts.user_id) == ("anna", "immich", version, anna.user_id)
    assert facts.hints_inline == (version == "2.7.5")


@pytest.mark.parametrize("version", VERSIONS)
async def test_all_missing_permissions_are_named_at_once(version: str) -> None:
    async with scene(version, permissions={"asset.read", "person.read"}) as (_, anna, source):
        with pytest.raises(SetupError) as caught:
            await source.open()
    assert "face.read, asset.download, asset.view" in str(caught.value)
    assert "'anna'" in str(caught.value)
    assert anna.api_key not in str(caught.value)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_wrong_key_is_named_by_its_user_and_never_shown(version: str) -> None:
    async with scene(version) as (immich, anna, _):
        stranger = source_of(immich, anna, key="0123456789-wrong")
        with pytest.raises(SetupError, match="refused the API key of user 'anna'") as caught:
            await stranger.open()
        await stranger.close()
        assert "0123456789-wrong" not in str(caught.value)
        assert stranger.guard.state.circuit == "closed"
        assert immich.requests.count("key") == 1


async def test_a_key_that_may_do_everything_needs_no_list() -> None:
    async with scene("3.1.0", permissions={"all"}) as (_, anna, source):
        assert (await source.open()).user_id == anna.user_id


@pytest.mark.parametrize("version", VERSIONS)
async def test_without_the_permission_to_read_the_user_the_pictures_identify_the_user(version: str) -> None:
    async with scene(version, permissions=NEEDED_PERMISSIONS) as (immich, anna, source):
        add_picture(immich, visibility="archive")
        assert (await source.open()).user_id == anna.user_id
        assert set(await listed(source)) == {"a.jpg"}


def add_partner(immich: FakeImmich) -> None:
    """A partner whose pictures fill the first page of the timeline, an archived one among them."""
    immich.add_user("carol", shares_with=["anna"])
    person = immich.add_person(owner="carol", name="Zoe").person_id
    for number in range(1001):
        asset = add_picture(immich, f"{number}.jpg", seconds=number, owner="carol", data=PIXELS)
        if number < 3:
            add_face(immich, asset, person_id=person)
    add_picture(immich, "kept.jpg", seconds=2000, owner="carol", visibility="archive")


@pytest.mark.parametrize("version", ["2.7.5", "3.1.0"])
async def test_a_person_tells_whose_key_it_is_behind_a_page_of_a_partners_pictures(version: str) -> None:
    async with scene(version, permissions=NEEDED_PERMISSIONS) as (immich, anna, source):
        add_partner(immich)
        own = add_picture(immich, "own.jpg", seconds=-1)
        add_face(immich, own, person_id=immich.add_person(owner="anna", name="Mira").person_id)
        assert (await source.open()).user_id == anna.user_id
        assert set(await listed(source)) == {"own.jpg"}


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_archived_picture_tells_whose_key_it_is_behind_a_page_of_a_partners_pictures(version: str) -> None:
    async with scene(version, permissions=NEEDED_PERMISSIONS) as (immich, anna, source):
        add_partner(immich)
        add_picture(immich, "own.jpg", seconds=-1, visibility="archive")
        assert (await source.open()).user_id == anna.user_id
        assert set(await listed(source)) == {"own.jpg"}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("own", [0, 3])
async def test_a_key_whose_account_nothing_proves_is_a_setup_error_that_names_the_permission(
    version: str, own: int
) -> None:
    async with scene(version, permissions=NEEDED_PERMISSIONS) as (immich, _, source):
        add_partner(immich)
        for number in range(own):
            add_picture(immich, f"own-{number}.jpg", seconds=-1 - number)
        with pytest.raises(SetupError, match=r"add the permission user\.read"):
            await source.open()


@pytest.mark.parametrize("version", ["2.6.3", "1.144.1"])
async def test_an_immich_that_is_too_old_says_so(version: str) -> None:
    async with scene(version) as (_, _, source):
        with pytest.raises(SetupError, match=f"this Immich is {version}"):
            await source.open()


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_partners_pictures_are_left_to_the_partner_and_counted(version: str) -> None:
    async with scene(version) as (immich, _, source):
        immich.add_user("carol", shares_with=["anna"])
        add_picture(immich, "own.jpg")
        add_picture(immich, "hers.jpg", owner="carol")
        pages = await pages_of(source)
    assert [asset.file_name for page in pages for asset in page.assets] == ["own.jpg"]
    assert skipped(list(pages)) == {"partner": 1}


@pytest.mark.parametrize("version", VERSIONS)
async def test_videos_and_moving_parts_are_counted_and_left_alone(version: str) -> None:
    async with scene(version) as (immich, _, source):
        immich.add_user("carol", shares_with=["anna"])
        moving = add_picture(immich, "IMG_1.mov", type="VIDEO", visibility="hidden")
        add_picture(immich, "IMG_1.heic", live_photo_video_id=moving.asset_id)
        add_picture(immich, "IMG_2.heic")
        for number in range(3):
            add_picture(immich, f"clip-{number}.mp4", type="VIDEO")
        add_picture(immich, "old.mp4", type="VIDEO", visibility="archive")
        add_picture(immich, "thrown-away.mp4", type="VIDEO", is_trashed=True)
        add_picture(immich, "hers.mp4", type="VIDEO", owner="carol")
        pages = await pages_of(source)
        assert skipped(list(pages)) == {"video": 4, "motion": 1}
        assert sorted(asset.file_name for page in pages for asset in page.assets) == ["IMG_1.heic", "IMG_2.heic"]
        immich.requests.clear()
        later = [page async for page in source.listing(updated_after=datetime(2049, 1, 1, tzinfo=UTC))]
        assert skipped(list(later)) == {}
        assert not [asked for asked in immich.requests.entries if "VIDEO" in str(asked.body)]


async def test_videos_that_cannot_be_listed_stop_nothing() -> None:
    def asks_for_videos(query: str, body: object) -> bool:
        del query
        return "VIDEO" in str(body)

    async with scene("3.1.0") as (immich, _, source):
        add_picture(immich, "a.jpg")
        immich.faults.add("search", "status", status=500, when=asks_for_videos)
        pages = await pages_of(source)
    assert [asset.file_name for page in pages for asset in page.assets] == ["a.jpg"]
    assert skipped(list(pages)) == {}


@pytest.mark.parametrize("version", VERSIONS)
async def test_archived_and_hidden_pictures_are_seen_and_locked_trashed_and_videos_are_not(version: str) -> None:
    async with scene(version) as (immich, _, source):
        for visibility in ("timeline", "archive", "hidden", "locked"):
            add_picture(immich, f"{visibility}.jpg", visibility=visibility)
        add_picture(immich, "trashed.jpg", is_trashed=True)
        add_picture(immich, "film.mp4", type="VIDEO")
        assets = await listed(source)
    assert {asset.visibility for asset in assets.values()} == {"timeline", "archive", "hidden"}
    assert len(assets) == 3


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_picture_whose_file_is_missing_stays_in_the_listing_as_offline(version: str) -> None:
    async with scene(version) as (immich, _, source):
        asset = add_picture(immich, "lost.jpg", is_offline=True, library_id="00000000-0000-4000-8000-000000000001")
        (found,) = (await listed(source)).values()
        assert found.is_offline
        again = await source.find(asset.asset_id)
        assert again is not None
        assert again.is_offline


@pytest.mark.parametrize("version", VERSIONS)
async def test_immichs_own_previews_are_skipped_and_counted_unless_wanted(version: str) -> None:
    path = "/library/thumbs/0a/0b/photo-preview.jpeg"
    async with scene(version) as (immich, anna, source):
        add_picture(immich, "photo-preview.jpeg", original_path=path)
        pages = await pages_of(source)
        assert not any(page.assets for page in pages)
        assert skipped(list(pages)) == {"rendition": 1}
        willing = source_of(immich, anna, include_renditions=True)
        assert set(await listed(willing)) == {"photo-preview.jpeg"}
        await willing.close()


@pytest.mark.parametrize("version", VERSIONS)
async def test_checksums_name_the_bytes_except_in_external_libraries(version: str) -> None:
    async with scene(version) as (immich, _, source):
        add_picture(immich, "one.jpg", data=PIXELS)
        add_picture(immich, "same.jpg", data=PIXELS)
        add_picture(immich, "outside.jpg", data=PIXELS, library_id="00000000-0000-4000-8000-000000000001")
        assets = await listed(source)
    assert assets["one.jpg"].checksum is not None
    assert assets["one.jpg"].fingerprint == assets["same.jpg"].fingerprint
    assert assets["outside.jpg"].checksum is None
    assert assets["outside.jpg"].is_external
    assert assets["outside.jpg"].fingerprint != assets["one.jpg"].fingerprint


@pytest.mark.parametrize(
    ("name", "edited", "rendition"),
    [
        ("a.jpg", False, Rendition.ORIGINAL),
        ("a.HEIC", False, Rendition.ORIGINAL),
        ("a.jxl", False, Rendition.ORIGINAL),
        ("a.DNG", False, Rendition.FULLSIZE),
        ("a.psd", False, Rendition.FULLSIZE),
        ("a.svg", False, Rendition.FULLSIZE),
        ("a.jpg", True, Rendition.EDITED),
        ("a.cr3", True, Rendition.EDITED),
        ("noextension", False, Rendition.ORIGINAL),
    ],
)
async def test_the_right_bytes_stand_for_each_kind_of_file(name: str, edited: bool, rendition: Rendition) -> None:
    async with scene("3.1.0") as (immich, _, source):
        add_picture(immich, name, is_edited=edited)
        assert (await listed(source))[name].rendition is rendition


async def test_2_7_brings_the_faces_along_and_an_edited_picture_must_be_asked_for() -> None:
    async with scene("2.7.5") as (immich, _, source):
        person = immich.add_person(owner="anna", name="Someone")
        plain, edited = add_picture(immich, "plain.jpg"), add_picture(immich, "edited.jpg", is_edited=True)
        add_face(immich, plain, person_id=person.person_id)
        add_face(immich, plain)
        add_face(immich, edited)
        edited.edited_faces = [FakeFace(box=(1, 2, 3, 4), image_width=600, image_height=800)]
        add_picture(immich, "empty.jpg")
        assets = await listed(source)
        (hint,) = await source.read_hints(edited.asset_id)
    hints = assets["plain.jpg"].hints
    assert hints is not None
    assert {hint.person_id for hint in hints} == {person.person_id, None}
    assert assets["empty.jpg"].hints == ()
    assert assets["edited.jpg"].hints is None
    assert (hint.image_width, hint.image_height, hint.box.y2) == (600, 800, 4)
    assert immich.requests.count("faces") == 1


async def test_3_1_knows_no_faces_until_they_are_read() -> None:
    async with scene("3.1.0") as (immich, _, source):
        asset = add_picture(immich)
        add_face(immich, asset)
        assert (await listed(source))["a.jpg"].hints is None
        (hint,) = await source.read_hints(asset.asset_id)
    assert hint.original_box(3200, 2400).x1 == 1200


async def test_3_2_says_which_pictures_have_a_face() -> None:
    async with scene("3.3.5") as (immich, _, source):
        faced, empty = add_picture(immich, "face.jpg"), add_picture(immich, "empty.jpg")
        add_face(immich, faced)
        assert {asset.hints for asset in (await listed(source)).values()} == {None}
        assert await source.ids_with_faces() == {faced.asset_id}
        add_face(immich, empty)
        assert await source.ids_with_faces() == {faced.asset_id, empty.asset_id}


@pytest.mark.parametrize("version", ["2.7.5", "3.1.0"])
async def test_older_versions_cannot_say_which_pictures_have_a_face(version: str) -> None:
    async with scene(version) as (immich, _, source):
        add_face(immich, add_picture(immich, "face.jpg"))
        assert await source.ids_with_faces() is None


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_is_deleted_trashed_foreign_or_locked_is_gone(version: str) -> None:
    async with scene(version) as (immich, _, source):
        immich.add_user("bob")
        deleted, trashed = add_picture(immich, "deleted.jpg"), add_picture(immich, "trashed.jpg")
        foreign, locked = add_picture(immich, "b.jpg", owner="bob"), add_picture(immich, "l.jpg", visibility="locked")
        kept = add_picture(immich, "kept.jpg")
        immich.delete_asset(deleted)
        immich.trash_asset(trashed)
        for asset in (deleted, trashed, foreign, locked):
            assert await source.find(asset.asset_id) is None
        found = await source.find(kept.asset_id)
        assert found is not None
        (in_listing,) = [asset for asset in (await listed(source)).values() if asset.file_name == "kept.jpg"]
        assert found.fingerprint == in_listing.fingerprint


@pytest.mark.parametrize("version", VERSIONS)
async def test_maintenance_is_never_read_as_deleted(version: str) -> None:
    async with scene(version) as (immich, _, source):
        asset = add_picture(immich)
        await source.open()
        immich.maintenance = True
        with pytest.raises(TransientError, match="maintenance mode"):
            await source.find(asset.asset_id)
        with pytest.raises(TransientError, match="maintenance mode"):
            await pages_of(source)
        immich.maintenance = False
        await source.wait_until_up()
        assert await source.find(asset.asset_id) is not None


@pytest.mark.parametrize("version", VERSIONS)
async def test_maintenance_is_reported_after_one_refused_request(version: str) -> None:
    async with scene(version) as (immich, _, source):
        immich.maintenance = True
        with pytest.raises(TransientError, match="maintenance mode"):
            await source.open()
        assert immich.requests.count("key") == 1
        with pytest.raises(TransientError, match="maintenance mode"):
            await source.open()
        assert immich.requests.count("key") == 1


async def test_a_permission_taken_away_is_never_read_as_deleted() -> None:
    async with scene("3.1.0") as (immich, anna, source):
        asset = add_picture(immich)
        await source.open()
        immich.delete_asset(asset)
        immich.revoke_key(anna.api_key)
        immich.add_key(anna, ALL_NEEDED - {"face.read"}, anna.api_key)
        with pytest.raises(SetupError, match=r"face\.read"):
            await source.find(asset.asset_id)


async def test_people_come_whole_over_all_pages_hidden_ones_included() -> None:
    async with scene("3.1.0", page_limit=10) as (immich, _, source):
        asset = add_picture(immich)
        for number in range(25):
            person = immich.add_person(owner="anna", name=f"P{number}", is_hidden=number == 3, birth_date="1980-01-02")
            add_face(immich, asset, person_id=person.person_id)
        people = await source.people()
    assert {person.name for person in people} == {f"P{number}" for number in range(25)}
    assert [person.name for person in people if person.is_hidden] == ["P3"]
    assert {person.birth_date for person in people} == {"1980-01-02"}


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_lost_permission_is_a_setup_error_that_names_it(version: str) -> None:
    async with scene(version) as (immich, anna, source):
        asset = add_picture(immich)
        await source.open()
        immich.revoke_key(anna.api_key)
        immich.add_key(anna, {"asset.read"}, anna.api_key)
        with pytest.raises(SetupError, match=r"lacks the permission face\.read"):
            await source.read_hints(asset.asset_id)


async def test_one_picture_that_immich_cannot_answer_for_is_an_item_error() -> None:
    async with scene("3.1.0") as (immich, _, source):
        bad, good = add_picture(immich, "bad.jpg"), add_picture(immich, "good.jpg")
        add_face(immich, good)
        immich.faults.add("faces", "status", status=500, asset_id=bad.asset_id)
        for _ in range(5):
            with pytest.raises(ItemError) as caught:
                await source.read_hints(bad.asset_id)
            assert caught.value.reason == "server_error"
        assert len(await source.read_hints(good.asset_id)) == 1
        assert source.guard.state.circuit == "closed"


async def test_a_database_that_is_down_is_an_outage_although_ping_answers() -> None:
    async with scene("3.1.0") as (immich, _, source):
        asset = add_picture(immich)
        await source.open()
        immich.faults.add("any", "status", status=500)
        immich.requests.clear()
        with pytest.raises(CircuitOpenError):
            await source.read_hints(asset.asset_id)
        assert len(immich.requests) == 13


@pytest.mark.slow
async def test_a_server_that_is_not_there_is_noticed_in_bounded_calls_and_found_again() -> None:
    states: list[RemoteState] = []
    async with scene("3.1.0", states=states) as (immich, _, source):
        await immich.refuse()
        with pytest.raises(CircuitOpenError) as caught:
            await source.open()
        assert "Check that Immich runs" in str(caught.value)
        assert sum(source.requests.values()) <= 14
        await immich.resume()
        await source.wait_until_up()
        assert (await source.open()).kind == "immich"
    assert [state.circuit for state in states][-1] == "closed"
    assert "open" in {state.circuit for state in states}


async def test_a_login_page_instead_of_immich_is_a_setup_error_at_once() -> None:
    async with scene("3.1.0") as (immich, _, source):
        immich.faults.add("version", "html", status=200)
        with pytest.raises(SetupError, match=r"answered HTML .* login proxy"):
            await source.open()
        assert immich.requests.count() == 1


async def test_a_proxy_whose_immich_is_starting_is_waited_for() -> None:
    async with scene("3.1.0") as (immich, _, source):
        immich.faults.add("version", "html", status=502, times=3)
        assert (await source.open()).version == "3.1.0"
        immich.faults.add("search", "html", status=404, times=2)
        assert await pages_of(source) == []


async def test_requests_are_counted_by_route_for_the_metrics() -> None:
    async with scene("3.1.0") as (immich, _, source):
        asset = add_picture(immich)
        await source.open()
        await source.read_hints(asset.asset_id)
        await source.find(asset.asset_id)
    assert source.requests["GET /faces"] == 1
    assert source.requests["GET /assets/{id}"] == 1
    assert sum(source.requests.values()) == len(immich.requests)


async def test_times_are_aware_and_the_local_date_is_the_one_at_the_place() -> None:
    local = datetime(2024, 5, 6, 1, 30, tzinfo=UTC)
    async with scene("3.1.0") as (immich, _, source):
        add_picture(immich, local_taken_at=local)
        asset = (await listed(source))["a.jpg"]
    assert asset.taken_at == datetime(2024, 5, 5, 12, 0, tzinfo=UTC)
    assert asset.local_date == "2024-05-06"
    assert asset.updated_at.tzinfo is not None


UPLOADED = NOON + timedelta(days=100)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({}, "metadata"),
        ({"modified_at": NOON}, "file"),  # no date in the picture: the file's
        ({"modified_at": NOON + timedelta(seconds=1)}, "file"),  # FAT keeps even seconds
        ({"taken_at": UPLOADED - timedelta(seconds=9)}, "file"),  # nor in the file: the upload's
        ({"modified_at": NOON, "local_taken_at": NOON + timedelta(hours=2)}, "metadata"),  # only EXIF has a zone
        ({"modified_at": NOON, "taken_at": NOON - timedelta(days=9000)}, "metadata"),  # set by a person
        ({"taken_at": UPLOADED + timedelta(days=3)}, "impossible"),
        ({"taken_at": NOON.replace(year=1700)}, "impossible"),
    ],
)
@pytest.mark.parametrize("version", ["2.7.5", "3.1.0"])
async def test_a_date_that_is_only_the_files_or_the_uploads_is_told_from_one_in_the_picture(
    version: str, fields: dict[str, Any], kind: str
) -> None:
    async with scene(version) as (immich, _, source):
        add_picture(immich, **({"created_at": UPLOADED} | fields))
        assert (await listed(source))["a.jpg"].date_kind.value == kind


async def test_users_of_one_server_do_not_see_each_other() -> None:
    async with FakeImmich("3.1.0") as immich:
        anna, bob = immich.add_user("anna"), immich.add_user("bob")
        add_picture(immich, "annas.jpg")
        add_picture(immich, "bobs.jpg", owner="bob")
        sources = [source_of(immich, user) for user in (anna, bob)]
        assert [set(await listed(source)) for source in sources] == [{"annas.jpg"}, {"bobs.jpg"}]
        for source in sources:
            await source.close()
