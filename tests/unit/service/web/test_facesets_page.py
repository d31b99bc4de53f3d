"""The pages of face sets: by person and program, one directory, who has none, and the ledger."""

import inspect
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import msgspec
import pytest
from web_scene import BEARER, HTML, Scene, visit

from immich_facesets.exports.registry import PROFILES
from immich_facesets.facesets import preflight
from immich_facesets.facesets.coverage import EXPRESSIONS, LIGHTS, PITCHES, YAWS
from immich_facesets.facesets.faceset import Reason
from immich_facesets.facesets.minors import Held
from service.web import examples
from service.web.library import facesets as shown
from service.web.pages import export_words as words
from service.web.pages.program_words import PROFILE_WORDS

BROWSER = {**BEARER, **HTML}
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
(PERSON,) = examples.EXPORTED.people
(SET,) = PERSON.facesets
assert SET.preflight is not None
REPORT = SET.preflight


def always(answer: Any) -> Callable[..., Awaitable[Any]]:
    async def call(*_: object) -> Any:
        return answer

    return call


def scene_with(**reads: Any) -> Scene:
    scene = Scene()
    scene.library = replace(scene.library, **{name: always(answer) for name, answer in reads.items()})
    return scene


async def page_of(scene: Scene, path: str, status: int = 200) -> str:
    async with visit(scene) as client, client.get(path, headers=BROWSER) as answer:
        assert answer.status == status, await answer.text()
        return await answer.text()


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def settings_with(profiles: str) -> Any:
    setting = msgspec.structs.replace(
        examples.SETTINGS.settings[0], name="FACESETS_EXPORT_PROFILES", value=profiles, is_secret=False
    )
    return msgspec.structs.replace(examples.SETTINGS, settings=(setting,))


def summary(
    directory: str, profile: str = "fsz", era: shown.Years | None = None, **changed: Any
) -> shown.FacesetSummary:
    faceset = msgspec.structs.replace(SET.faceset, directory=directory, profile=profile, era=era)
    return msgspec.structs.replace(SET, faceset=faceset, **changed)


async def test_a_person_has_each_set_with_what_it_lacks_and_a_download() -> None:
    page = await page_of(Scene(), "/facesets")
    told = text_of(page)
    for phrase in ("Anna", "All years", "120 faces", "none from the side", "45.9 MiB", "1 person"):
        assert phrase in told, phrase
    assert 'href="/api/facesets/faceset_003/zip"' in page
    assert 'href="/facesets/faceset_003"' in page
    assert 'href="/people/3/sets"' in page


async def test_a_set_without_findings_is_fine_and_one_with_lost_files_says_so() -> None:
    fine = msgspec.structs.replace(REPORT, findings=())
    sets = (summary("faceset_003", preflight=fine), summary("faceset_003_era_2011", is_whole=False))
    person = msgspec.structs.replace(PERSON, facesets=sets)
    told = text_of(
        await page_of(scene_with(exported=msgspec.structs.replace(examples.EXPORTED, people=(person,))), "/facesets")
    )
    assert "fine" in told
    assert "files are missing" in told


@pytest.mark.parametrize(
    ("directory", "profile", "era", "title"),
    [
        ("faceset_003", "fsz", None, "All years"),
        ("faceset_003_era_2011", "fsz", shown.Years(first=2009, last=2014), "Era 2009\N{EN DASH}2014"),
        ("faceset_003_era_2011_2", "fsz", shown.Years(first=2011, last=2011), "Era 2011"),
        (
            "faceset_003_era_school_time",
            "fsz",
            shown.Years(first=2009, last=2014),
            "Era school time, 2009\N{EN DASH}2014",
        ),
        ("_thin/faceset_003_era_2011", "fsz", shown.Years(first=2011, last=2011), "Era 2011, few faces"),
        ("_candidates/faceset_003", "fsz", None, "Perhaps this person"),
        ("_profiles/kohya/faceset_003", "kohya", None, "LoRA folders"),
        ("_profiles/made_up/faceset_003", "made_up", None, "made_up"),
    ],
)
def test_a_directory_has_a_title_of_words(directory: str, profile: str, era: shown.Years | None, title: str) -> None:
    assert words.set_title(summary(directory, profile, era).faceset) == title


async def test_programs_that_are_written_say_what_they_are_for_and_others_how_to_begin() -> None:
    page = await page_of(scene_with(settings=settings_with("fsz,kohya:40:768")), "/facesets")
    told = text_of(page)
    assert "40 faces each, 768 pixels" in told
    assert PROFILE_WORDS["kohya"].purpose in page
    assert "11 other export profiles can be written" in told
    assert "FACESETS_EXPORT_PROFILES" in page


def test_every_code_that_the_program_writes_has_words() -> None:
    assert PROFILE_WORDS.keys() == PROFILES.keys()
    assert {str(reason) for reason in chain(Reason, Held)} <= words.REASON_WORDS.keys()
    codes = set(re.findall(r'Finding\("([a-z_]+)"', inspect.getsource(preflight)))
    assert codes | {"none_to_the_left", "none_to_the_right"} == words.FINDING_WORDS.keys()
    assert {*YAWS, *PITCHES, *LIGHTS, *EXPRESSIONS} == words.BIN_WORDS.keys()


def test_left_out_faces_come_most_first_and_an_unknown_code_is_readable() -> None:
    report = msgspec.structs.replace(REPORT, left_out={"too_small": 3, "some_new_code": 5, "outlier": 0})
    found = words.left_out_of(report)
    assert [(one.faces, one.reason.words) for one in found] == [(5, "some new code"), (3, "too small")]


async def test_never_export_is_one_form_that_comes_back_to_the_page() -> None:
    page = await page_of(Scene(), "/facesets?sort=name")
    (form,) = re.findall(r'<form method="post" action="/decide" data-live>(.*?)</form>', page, re.DOTALL)
    fields = dict(re.findall(r'name="([^"]+)" value="([^"]*)"', form))
    assert (fields["action"], fields["identity"], fields["back"]) == ("never_export", "3", "/facesets?sort=name")


async def test_who_has_none_is_listed_with_the_reason_and_what_to_do() -> None:
    identity = msgspec.structs.replace(PERSON.identity, is_never_exported=True)
    person = shown.ExportedPerson(identity=identity, why_not_exported="never_export", facesets=())
    page = await page_of(
        scene_with(exported=msgspec.structs.replace(examples.EXPORTED, people=(person,))), "/facesets/without"
    )
    told = text_of(page)
    assert "Never exported." in told
    assert "Allow exports" in told
    assert 'name="is_on" value="false"' in page


async def test_an_empty_page_says_what_to_do() -> None:
    nobody = shown.ExportedAnswer(people=(), total=0, directories={})
    scene = scene_with(exported=nobody, ledger=shown.LedgerAnswer(exports=()))
    assert "There is no face set yet" in await page_of(scene, "/facesets")
    assert "Everybody has a face set" in await page_of(scene, "/facesets/without")
    assert "Nothing was written yet" in await page_of(scene, "/facesets/ledger")
    assert "Nobody is like that here" in await page_of(scene, "/facesets?q=x")


async def test_writing_starts_an_export_and_leads_back() -> None:
    scene = Scene()
    async with visit(scene) as client:
        async with client.post("/facesets", data={"back": "/facesets?sort=name"}, headers=BROWSER) as answer:
            assert answer.url.path_qs == "/facesets?sort=name&notice=accepted"
            assert "The face sets are being written" in await answer.text()
        assert scene.wishes == [("export", None)]
        async with client.post("/facesets", data={}, headers=BROWSER) as answer:
            assert answer.url.path_qs == "/facesets?notice=already_running"
            assert "If the face sets are not up to date at its end, write them then." in await answer.text()
        async with client.post("/facesets", data={"back": "//evil.example/"}, headers=BROWSER) as answer:
            assert answer.url.host == "127.0.0.1"


async def test_a_running_export_shows_its_progress() -> None:
    scene = Scene()
    scene.board.begin(run_id=7, kind="export", started_at=NOW)
    scene.board.update_stage("publish", state="running", done=12, total=60)
    page = await page_of(scene, "/facesets")
    assert "The face sets are being written: 12 of 60" in text_of(page)
    assert 'http-equiv="refresh"' in page


async def test_the_ledger_is_in_words() -> None:
    entry = examples.LEDGER.exports[0]
    entries = (
        entry,
        msgspec.structs.replace(entry, directory="faceset_003_era_2011", action="removed"),
        msgspec.structs.replace(entry, directory="_profiles/xmp/anna", profile="xmp", identity=None, faces=1),
    )
    told = text_of(await page_of(scene_with(ledger=shown.LedgerAnswer(exports=entries)), "/facesets/ledger"))
    assert "Anna: face set written, 120 faces" in told
    assert "Anna: era 2011 removed" in told
    assert "Photo programs written, 1 face" in told


async def test_one_directory_has_its_files_bins_and_reasons() -> None:
    page = await page_of(Scene(), "/facesets/faceset_003")
    told = text_of(page)
    for phrase in (
        "No face is seen from the side.",
        "into the camera 90",
        "240 of the same moment",
        "of 412 known faces",
        "Pictures of 64 days, at most 7 of one, 3 undated.",
        "faces/0001.png",
    ):
        assert phrase in told, phrase
    assert 'href="/facesets/faceset_003/left-out?reason=near_duplicate"' in page
    assert 'src="/api/facesets/faceset_003/files/contact_sheet.jpg"' in page


async def test_a_directory_below_a_folder_has_an_address_too() -> None:
    found = msgspec.structs.replace(
        examples.FACESET,
        faceset=msgspec.structs.replace(
            examples.FACESET.faceset, directory="_profiles/xmp/anna", profile="xmp", identity=None
        ),
        preflight=None,
    )
    page = await page_of(scene_with(faceset=found), "/facesets/_profiles:xmp:anna")
    assert PROFILE_WORDS["xmp"].purpose in page


async def test_a_directory_that_is_gone_is_not_found() -> None:
    assert "There is no face set faceset_009" in await page_of(scene_with(faceset=None), "/facesets/faceset_009", 404)


async def test_the_tab_of_a_person_shows_the_same() -> None:
    page = await page_of(Scene(), "/people/3/sets")
    told = text_of(page)
    assert "No face is seen from the side." in told
    assert "240 of the same moment" in told
    assert "Best faces" in told
    assert 'href="/facesets/faceset_003/left-out?reason=near_duplicate"' in page
    scene = scene_with(facesets_of=())
    assert "There is no face set of Anna" in await page_of(scene, "/people/3/sets")


async def test_the_faces_that_are_left_out_are_shown_by_reason() -> None:
    held = msgspec.structs.replace(REPORT, left_out={"near_duplicate": 240, "minor_not_in_swap_bundles": 7})
    scene = scene_with(faceset=msgspec.structs.replace(examples.FACESET, preflight=held))
    page = await page_of(scene, "/facesets/faceset_003/left-out?reason=near_duplicate")
    told = text_of(page)
    assert "Left out: 240 faces" in told
    assert words.REASON_WORDS["near_duplicate"].sentence in page
    assert 'id="face-512"' in page
    assert "under 18" not in told, "these faces are in the face set"
    assert "cursor=WyJsZWZ0IG91dCAiXQ" in page
    assert 'href="/people/3?sort=time"' in await page_of(scene, "/facesets/faceset_003")


async def test_a_directory_of_nobody_has_no_faces_that_are_left_out() -> None:
    await page_of(scene_with(left_out=None), "/facesets/faceset_003/left-out", 404)


async def test_every_address_of_the_pages_is_below_the_base_path() -> None:
    scene = Scene()
    async with visit(scene, scene.context(base_path="/faces")) as client:
        for path in ("/facesets", "/facesets/faceset_003", "/facesets/without", "/facesets/ledger", "/people/3/eras"):
            async with client.get(f"/faces{path}", headers=BROWSER) as answer:
                page = await answer.text()
            targets = set(re.findall(r'\b(?:href|src|action)="([^"#?]+)', page))
            assert all(target.startswith(("/faces/", "/api/")) for target in targets), targets  # examples have no base
        form = {"back": "/faces/facesets/without"}
        async with client.post("/faces/facesets", data=form, headers=BROWSER) as answer:
            assert answer.url.path_qs == "/faces/facesets/without?notice=accepted"
        change = {"action": "split"}
        async with client.post("/faces/people/3/eras", data=change, headers=BROWSER) as answer:
            assert answer.url.path == "/faces/people/3/eras"


async def test_the_pages_have_no_inline_script_or_style() -> None:
    for path in (
        "/facesets",
        "/facesets/faceset_003",
        "/facesets/without",
        "/facesets/ledger",
        "/people/3/sets",
        "/facesets/faceset_003/left-out",
    ):
        page = await page_of(Scene(), path)
        assert "<style" not in page, path
        assert " style=" not in page, path
        assert re.search(r"\son\w+=", page) is None, path
