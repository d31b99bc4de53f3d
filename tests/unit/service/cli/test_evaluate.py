"""``evaluate`` on the command line, on a synced library, with right and with wrong labels."""

import asyncio
import csv
import html
import io
import json
import os
import re
import shutil
import stat
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from fork_server import ForkedProcess, ForkServer
from journey import Journey, begun, ended
from mixtures import table_of
from msgspec import structs
from service_process import run, tree
from small_library import SmallLibrary
from testdata import ROOT

from immich_facesets.evaluation.baselines import BASELINES, missing_packages
from immich_facesets.evaluation.confusions import confusions
from immich_facesets.evaluation.metrics import CalibrationBin, Strangers
from immich_facesets.faces import Box
from immich_facesets.grouping.face_table import Assertion
from service.reports.evaluation.histogram import HEIGHT, WIDTH, plot
from service.reports.evaluation.labels import LabelRow, labels_of_people, labels_of_rows, read_rows
from service.reports.evaluation.page import render
from service.reports.evaluation.results import Findings, Histogram, MethodFindings, MethodScore, Rates, UnusedLabel
from service.store.faces import StoredFace, StoredLibrary, StoredPicture

pytestmark = pytest.mark.timeout(600)

COLUMNS = ("asset", "path", "x1", "y1", "x2", "y2", "name")
Line = dict[str, Any]


@pytest.fixture(scope="module")
def synced_data(
    forks: ForkServer, drawn: SmallLibrary, embedder_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("synced")

    async def sync() -> Path:
        async with begun(forks, drawn, embedder_url, folder) as found:
            service = await found.sync()
            assert service.code == 0, service.stderr[-3000:]
            return found.data

    with ThreadPoolExecutor(1) as pool:  # a thread, because the event loop of the test starts later
        return pool.submit(asyncio.run, sync()).result()


@pytest.fixture
async def journey(
    forks: ForkServer, drawn: SmallLibrary, embedder_url: str, synced_data: Path, tmp_path: Path
) -> AsyncIterator[Journey]:
    """A service that has synced once; its embedder and Immich are gone."""
    async with begun(forks, drawn, embedder_url, tmp_path) as found:
        shutil.copytree(synced_data, found.data)
        yield found


async def evaluate(journey: Journey, *arguments: object, code: int = 0) -> ForkedProcess:
    nobody = {"IMMICH_URL": "", "FACESETS_USERS_FILE": "", "FACESETS_EMBEDDER_URLS": ""}
    service = journey.forks.start("service", "evaluate", *map(str, arguments), environ={**journey.environ, **nobody})
    assert await ended(service) == code, (service.stdout + service.stderr)[-3000:]
    assert "Traceback" not in service.stderr
    return service


async def found(journey: Journey, *arguments: object) -> Any:
    return json.loads((await evaluate(journey, *arguments, "--json")).stdout)


def truth(journey: Journey) -> list[Line]:
    """A line for every face that was drawn, by its box."""
    library = journey.placed.library
    return [
        {"asset": asset.asset_id, "name": f"Sitter {seed}", "x1": box.x1, "y1": box.y1, "x2": box.x2, "y2": box.y2}
        for asset, shot, boxes in zip(journey.placed.assets, library.shots, library.boxes, strict=False)
        for (seed, _), box in zip(shot.sitters, boxes, strict=True)
    ]


def written(journey: Journey, lines: list[Line], name: str = "labels.csv") -> Path:
    path = journey.data.parent / name
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(lines)
    return path


def by_name(findings: Any) -> dict[str, Any]:
    return {method["name"]: method for method in findings["methods"]}


# what is measured


async def test_a_library_is_held_against_labels_of_every_face(journey: Journey) -> None:
    lines = truth(journey)
    before = tree(journey.data)
    findings = await found(journey, written(journey, lines))
    assert tree(journey.data) == before, "measuring changes nothing"
    assert findings["unused"] == []
    assert findings["labelled"] == len(lines)
    assert findings["people"] == len({line["name"] for line in lines})
    fresh = by_name(findings)["grouped from nothing"]
    assert fresh["standing"]["bcubed"]["precision"] == 1
    assert fresh["standing"]["bcubed"]["f"] > 0.9
    assert sum(findings["histogram"]["same"]) + sum(findings["histogram"]["different"]) == (
        len(lines) * (len(lines) - 1) // 2
    )


async def test_wrong_labels_are_found_in_the_confusions(journey: Journey) -> None:
    lines = truth(journey)
    mira = [line for line in lines if line["name"] == "Sitter 11"]
    for line in mira[:2]:
        line["name"] = "Somebody [red]else[/red]"
    path = written(journey, lines)
    method = by_name(await found(journey, path))["grouped from nothing"]
    (pair,) = method["confusions"]["merged"]
    assert (pair["one"], pair["other"], pair["faces"]) == ("Sitter 11", "Somebody [red]else[/red]", 2)
    assert method["standing"]["bcubed"]["precision"] < 1
    worst = method["confusions"]["people"][0]
    assert (worst["person"], worst["completeness"]) == ("Somebody [red]else[/red]", 1)

    shown = (await evaluate(journey, path)).stdout
    assert re.search(r"^ +2 Sitter 11 and Somebody \[red\]else\[/red\]$", shown, re.MULTILINE)
    assert "BCubed" in shown
    assert "in several groups" not in shown.partition("grouped from nothing:")[2]


async def test_names_in_immich_are_labels_too_and_decide_nothing_when_grouping_from_nothing(journey: Journey) -> None:
    findings = await found(journey, "--people")
    assert findings["source"] == "the people named in Immich"
    assert findings["people"] == 3, "two in Anna's and Ben's libraries, and one with a different name in each"
    (pair,) = by_name(findings)["this library"]["confusions"]["merged"]
    assert (pair["one"], pair["other"]) == ("Mira", "Mira B."), "one face of that person is in both libraries"
    assert [one["reason"] for one in findings["unused"]] == ["users give the same face different names"]


@pytest.mark.skipif(bool(missing_packages()), reason="scikit-learn and Infomap are the extra baselines")
async def test_baselines_are_measured_on_the_same_faces(journey: Journey) -> None:
    methods = by_name(await found(journey, written(journey, truth(journey)), "--baselines"))
    assert set(methods) == {"this library", "grouped from nothing", *(baseline.name for baseline in BASELINES)}
    for baseline in BASELINES:
        assert methods[baseline.name]["standing"]["clusters"] > 0
        assert methods[baseline.name]["confusions"] is None
    assert methods["average linkage, default"]["standing"]["bcubed"]["precision"] == 1


@pytest.mark.slow
async def test_without_the_packages_baselines_say_what_to_install(journey: Journey, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import sys\nsys.modules['sklearn'] = sys.modules['infomap'] = None\n", encoding="utf-8"
    )
    blind = {**journey.environ, "PYTHONPATH": f"{hidden}{os.pathsep}{ROOT}"}
    done = await run(blind, "evaluate", "--people", "--baselines")
    assert done.code == 3, done.stderr
    assert "pip install 'immich-facesets[baselines]'" in done.stderr


async def test_a_service_may_run_beside_it(journey: Journey) -> None:
    with FileLock(journey.data / "lock"):
        assert (await found(journey, "--people"))["labelled"] > 0


# labels that do not fit


async def test_labels_that_fit_no_face_are_listed_by_line_with_the_reason(journey: Journey) -> None:
    lines = truth(journey)
    two = next(
        asset
        for asset, shot in zip(journey.placed.assets, journey.placed.library.shots, strict=False)
        if len(shot.sitters) == 2
    )
    empty = next(
        asset
        for asset, shot in zip(journey.placed.assets, journey.placed.library.shots, strict=False)
        if not shot.sitters
    )
    bad: list[tuple[Line, str]] = [
        ({"asset": "no-such-asset", "name": "X"}, "no such picture is known"),
        ({"asset": two.asset_id, "name": "X"}, "its picture has 2 faces"),
        ({"asset": empty.asset_id, "name": "X"}, "never fetched"),
        ({**lines[0], "x1": 0, "y1": 0, "x2": 9, "y2": 9}, "no face was found at its box"),
        ({**lines[0], "x1": "left"}, "its box is not four numbers"),
        ({**lines[0], "x1": lines[0]["x2"], "x2": lines[0]["x1"]}, "its box has no area"),
        ({**lines[0], "x1": ""}, "its box is not four numbers"),
        ({**lines[0], "name": " "}, "it gives no name"),
        ({"name": "X"}, "it names no picture"),
    ]
    path = written(journey, [*lines, *(line for line, _ in bad)])
    findings = await found(journey, path)
    assert findings["labelled"] == len(lines)
    told = {one["line"]: one["reason"] for one in findings["unused"]}
    assert list(told) == list(range(len(lines) + 2, len(lines) + 2 + len(bad)))
    for reason, (_, expected) in zip(told.values(), bad, strict=True):
        assert expected in reason
    shown = (await evaluate(journey, path)).stdout
    assert f"{len(bad)} labels were not used:" in shown
    assert f"line {len(lines) + 2}: no such picture is known" in shown


async def test_two_lines_that_name_one_face_differently_are_both_not_used(journey: Journey) -> None:
    lines = truth(journey)
    findings = await found(journey, written(journey, [*lines, {**lines[0], "name": "Other"}, lines[1]]))
    assert [one["line"] for one in findings["unused"]] == [2, len(lines) + 2]
    assert findings["labelled"] == len(lines) - 1


async def test_the_largest_face_can_be_meant(journey: Journey) -> None:
    single = [
        {"asset": asset.asset_id, "name": "X"} for asset in journey.placed.assets[4:8]
    ]  # two show one person, two two
    counts = [(await found(journey, written(journey, single), *more))["labelled"] for more in ((), ("--largest",))]
    assert counts[0] < counts[1] == len(single)


def test_the_largest_face_is_the_one_of_the_largest_area() -> None:
    faces = tuple(
        StoredFace(number, "5" * 64, Box(0, 0, 30, side), None) for number, side in ((1, 30), (2, 50), (3, 40))
    )
    pictures = (StoredPicture("anna", "a", "/x/a.jpg", "a.jpg", "5" * 64),)
    library = StoredLibrary(table_of(np.eye(3)), faces, pictures, {}, {}, ())
    row = LabelRow(2, "a", "", None, "X")
    assert labels_of_rows([row], [], library, largest=True).names == {2: "X"}
    assert labels_of_rows([row], [], library, largest=False).names == {}


def test_names_and_paths_are_compared_whatever_their_composition() -> None:
    faces = (StoredFace(1, "5" * 64, Box(0, 0, 30, 30), None),)
    pictures = (StoredPicture("anna", "a", "/Zoe\u0308/a.jpg", "a.jpg", "5" * 64),)
    library = StoredLibrary(table_of(np.eye(1, 3)), faces, pictures, {}, {}, ())
    rows = [LabelRow(2, "", "Zo\u00eb/a.jpg", None, "Zo\u00eb"), LabelRow(3, "", "/Zoe\u0308/a.jpg", None, "zoe\u0308")]
    found = labels_of_rows(rows, [], library, largest=False)
    assert (found.names, found.unused) == ({1: "Zo\u00eb"}, ())
    both = [Assertion("anna", "p", "Zo\u00eb", (1,)), Assertion("ben", "q", "zoe\u0308", (1,))]
    assert labels_of_people(both).names == {1: "Zo\u00eb"}


async def test_pictures_can_be_named_by_path_by_the_end_of_it_or_by_the_name_they_came_with(journey: Journey) -> None:
    assets = journey.placed.assets[:3]
    paths = [str(place[2]) for place in await places(journey, [asset.asset_id for asset in assets])]
    given = [paths[0], "/elsewhere/../" + Path(paths[1]).name, assets[2].file_name]
    given[1] = "/".join(Path(paths[1]).parts[-2:])
    findings = await found(journey, written(journey, [{"path": path, "name": "X"} for path in given]))
    assert findings["labelled"] == 3, findings["unused"]
    shown = await found(
        journey, written(journey, [{"path": "shot-1.jpg", "name": "X"}, {"path": paths[0], "name": "X"}])
    )
    assert shown["labelled"] == 2, "Ben's copy is the same picture"


async def places(journey: Journey, asset_ids: list[str]) -> list[tuple[str, str, str]]:
    """The lines of some assets (source, id, path), as the service's commands print them."""
    rows = []
    numbers = json.loads((await ran(journey, "identities", "list", "--json")).stdout)
    for number in numbers:
        members = json.loads((await ran(journey, "identities", "show", str(number["number"]), "--json")).stdout)
        rows += [tuple(place) for member in members["faces"] for place in member["places"]]
    known = {place[1]: place for place in rows}
    return [known[asset_id] for asset_id in asset_ids]


async def ran(journey: Journey, *arguments: str) -> ForkedProcess:
    service = journey.start(*arguments)
    assert await ended(service) == 0, service.stderr[-3000:]
    return service


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("asset,person\na,b\n", "has no column name"),
        ("name\nb\n", "has no column asset or path"),
        ("path,name,x1,y1\n", "has no column x2, y2"),
        ("", "has no column asset or path, name"),
    ],
)
async def test_a_file_without_the_columns_is_refused(journey: Journey, text: str, missing: str) -> None:
    path = journey.data.parent / "labels.csv"
    path.write_text(text, encoding="utf-8")
    report = journey.data.parent / "page"
    service = await evaluate(journey, path, "--report", report, code=3)
    assert missing in service.stderr
    assert not report.exists()


async def test_what_is_no_such_file_is_refused(journey: Journey) -> None:
    missing = await evaluate(journey, journey.data / "nothing.csv", code=3)
    assert "the labels cannot be read (No such file or directory)" in missing.stderr
    picture = await evaluate(journey, journey.placed.library.files[0], code=3)
    assert "is not a text file in UTF-8" in picture.stderr
    for arguments in ((), (picture, "--people")):
        both = await evaluate(journey, *arguments, code=3)
        assert "one of them, not both" in both.stderr


async def test_labels_none_of_which_fit_are_refused_with_the_reasons(journey: Journey) -> None:
    service = await evaluate(journey, written(journey, [{"asset": "x", "name": "Unsayable"}]), code=3)
    assert "line 2: no such picture is known" in service.stderr
    assert "Unsayable" not in service.stderr + service.stdout


def test_a_file_from_a_spreadsheet_is_read(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes("\ufeffPath ; NAME;x1;y1;x2;y2\r\na.jpg;Zoë;1;2;3,5;4\r\n;;;;;\r\nb.jpg;Zoë;;;;\r\n".encode())
    rows, unused = read_rows(path)
    assert [(row.line, row.path, row.name) for row in rows] == [(4, "b.jpg", "Zoë")]
    assert [one.line for one in unused] == [2]


# the page


async def test_the_page_shows_the_confused_faces_and_loads_nothing(journey: Journey) -> None:
    lines = truth(journey)
    for line in lines[:2]:
        line["name"] = "Ada <b>& Co</b>"
    folder = journey.data.parent / "pages" / "today"
    service = await evaluate(journey, written(journey, lines), "--report", folder)
    assert f"The page: {folder / 'evaluation.html'}" in service.stdout.replace("\n", "")
    page = (folder / "evaluation.html").read_text(encoding="utf-8")
    assert html.escape("Ada <b>& Co</b>") in page
    assert "<b>& Co" not in page
    assert page.count('src="data:image/jpeg;base64,') >= 4
    assert "<polygon" in page
    words = re.sub(r'src="data:image/jpeg;base64,[\w+/=]+"', "", page)
    assert not re.search(r"<script|src=|href|https?:|//\w|@import|url\(|<link", words)
    assert "Content-Security-Policy" in page
    figures = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    assert figures["labelled"] == len(lines)
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {path.name for path in folder.iterdir()} == {"evaluation.html", "evaluation.json"}


async def test_a_face_whose_crop_is_lost_leaves_a_gap_on_the_page(journey: Journey) -> None:
    lines = truth(journey)
    lines[0]["name"] = "Other"
    shutil.rmtree(journey.data / "crops")
    await evaluate(journey, written(journey, lines), "--report", journey.data.parent / "page")
    page = (journey.data.parent / "page" / "evaluation.html").read_text(encoding="utf-8")
    assert "data:image" not in page
    assert "no crop" in page


async def test_a_page_that_cannot_be_written_says_why(journey: Journey) -> None:
    (journey.data.parent / "file").write_text("in the way")
    service = await evaluate(journey, "--people", "--report", journey.data.parent / "file", code=3)
    assert "a file is in the way" in service.stderr


async def test_before_the_first_sync_there_is_nothing_to_measure(journey: Journey) -> None:
    shutil.rmtree(journey.data)
    service = await evaluate(journey, "--people", code=3)
    assert "run 'immich-facesets sync' first" in service.stderr
    assert not journey.data.exists()


async def test_names_go_to_the_terminal_and_never_to_the_log(journey: Journey) -> None:
    service = await evaluate(journey, "--people", "--report", journey.data.parent / "page")
    assert "Mira" in service.stdout
    assert "Mira" not in service.stderr
    assert io.StringIO(service.stderr).readline().startswith("Measured: this library, ")


def invented(**changes: Any) -> Findings:
    """The result of an evaluation of two faces of one person."""
    rates = Rates(1.0, 1.0, 1.0)
    standing = MethodScore(bcubed=rates, pairwise=rates, clusters=1, strangers=Strangers(0, 0))
    found = Findings(
        source="labels.csv",
        space="s",
        family="f",
        faces=2,
        labelled=2,
        people=1,
        min_pictures=15,
        methods=(
            MethodFindings(
                name="this library",
                setting="now",
                standing=standing,
                confusions=confusions(["anna", "anna"], [1, 1]),
                calibration=(CalibrationBin(0.9, 1.0, 40, 0.951, 0.925),),
            ),
            MethodFindings(name="HDBSCAN", setting="left out: too many faces"),
        ),
        histogram=Histogram(edges=(0.0, 0.6, 1.2), same=(1, 0), different=(0, 0), cut=0.55, match=0.45, merge=0.4),
        unused=(),
        examples=(),
    )
    return structs.replace(found, **changes)


NOBODY = StoredLibrary(table_of(np.zeros((0, 8))), (), (), {}, {}, ())


def test_the_page_reports_no_confusion_and_omitted_methods(tmp_path: Path) -> None:
    page = render(invented(), NOBODY, tmp_path)
    assert "Nobody is confused: 1 person is whole and pure." in page
    assert "left out: too many faces" in page
    assert "not used" not in page


def test_the_page_holds_promises_against_what_was_right(tmp_path: Path) -> None:
    page = re.sub(r"<[^>]+>", " ", render(invented(), NOBODY, tmp_path))
    assert re.search(r"0\.90 to 1\.00\s+40\s+0\.951\s+0\.925", page)


def test_a_page_of_many_unused_labels_stays_short(tmp_path: Path) -> None:
    unused = tuple(UnusedLabel(line, "no such picture is known") for line in range(2, 1002))
    page = render(invented(unused=unused), NOBODY, tmp_path)
    assert "1,000 labels were not used" in page
    assert page.count("no such picture is known") == 200
    assert "and 800 more" in page


def test_both_kinds_of_pairs_are_drawn_by_their_own_shares() -> None:
    drawn = plot([0.0, 0.6, 1.2], [3, 1], [0, 1000], {"cut": 0.6, "joins": 0.3})
    assert (
        drawn.same
        == f"0.0,{float(HEIGHT)} 0.0,55.0 {WIDTH / 2},55.0 {WIDTH / 2},165.0 {WIDTH}.0,165.0 {WIDTH}.0,{float(HEIGHT)}"
    )
    assert f"{WIDTH / 2},0.0 {WIDTH}.0,0.0" in drawn.different, "1,000 of 1,000 pairs are the highest"
    assert [(mark.words, mark.x) for mark in drawn.marks] == [("joins 0.30", WIDTH / 4), ("cut 0.60", WIDTH / 2)]
    assert [tick.words for tick in drawn.ticks] == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0", "1.2"]
