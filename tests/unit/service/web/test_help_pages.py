"""The documents as pages: contents, links, anchors, tables, and what stays text."""

import re
from html import unescape
from pathlib import Path

import pytest
from web_scene import BEARER, HTML, Scene, visit

from service.web.manual import GUIDES, IN_REPOSITORY, Manual, anchor_of
from service.web.pages.documents import contents_of

BROWSER = {**BEARER, **HTML}
BASE = "/faces"
REAL = Manual(IN_REPOSITORY, GUIDES, BASE)
EVERY = [*REAL.documents.values(), *REAL.guides.values()]


def rendered(folder: Path, text: str, **others: str) -> str:
    for name, content in {"one": text, **others}.items():
        (folder / f"{name}.md").write_text(content, encoding="utf-8")
    manual = Manual(folder, folder / "none", BASE)
    document = manual.document("one")
    assert document is not None
    return manual.html_of(document)


def test_every_link_of_every_document_leads_to_a_page_and_an_anchor_on_it() -> None:
    pages = {one.name: REAL.html_of(one) for one in EVERY}
    anchors = {name: set(re.findall(r' id="([^"]+)"', html)) for name, html in pages.items()}
    links = [(name, unescape(link)) for name, html in pages.items() for link in re.findall(r'href="([^"]*)"', html)]
    inner = [(name, link) for name, link in links if not link.startswith("https://")]
    assert len(inner) > 80
    for name, link in inner:
        path, _, anchor = link.partition("#")
        target = path.removeprefix(f"{BASE}/help/") if path else name
        assert target in pages, (name, link)
        assert not anchor or anchor in anchors[target], (name, link)


def test_the_sections_of_the_contents_are_anchors_of_the_pages() -> None:
    for one in EVERY:
        anchors = set(re.findall(r'<h2 id="([^"]+)"', REAL.html_of(one)))
        assert {section.anchor for section in one.sections} == anchors, one.name


def test_every_document_is_in_the_contents_once() -> None:
    listed = [one.name for documents in contents_of(REAL).values() for one in documents]
    assert sorted(listed) == sorted(one.name for one in EVERY)
    assert len(set(listed)) == len(listed), "a guide with the name of a document could not be reached"


def test_a_document_that_no_group_names_is_in_the_contents_too(tmp_path: Path) -> None:
    rendered(tmp_path, "# One\n", another="# Another\n")
    found = contents_of(Manual(tmp_path, tmp_path / "none", ""))
    assert [one.title for one in found["Using it"]] == ["Another", "One"]


def test_no_document_shows_its_comments_or_a_picture_that_is_not_there() -> None:
    for one in EVERY:
        html = REAL.html_of(one)
        assert "written by tests/" not in html, one.name
        assert "<img" not in html


def test_a_picture_is_left_out_with_its_paragraph_and_nothing_else_is(tmp_path: Path) -> None:
    html = rendered(tmp_path, "# One\n\nBefore.\n\n![The page](a.png)\n\nText ![inside](b.png) goes on.\n")
    assert "The page" not in html
    assert "inside" not in html
    assert html.count("<p>") == html.count("</p>") == 2
    assert "goes on." in html


def test_raw_html_stays_text_and_no_link_runs_a_script(tmp_path: Path) -> None:
    html = rendered(tmp_path, "# One\n\n<script>alert(1)</script>\n\n[a](javascript:alert(1)) <b>b</b>\n")
    assert "<script>" not in html
    assert "<b>" not in html
    assert 'href="javascript' not in html


def test_a_link_to_what_is_no_page_becomes_its_words(tmp_path: Path) -> None:
    html = rendered(tmp_path, "# One\n\n[the licence](../LICENSE), [two](two.md#some-part)\n", two="# Two\n")
    assert "<span>the licence</span>, " in html
    assert f'<a href="{BASE}/help/two#some-part">two</a>' in html


def test_headings_of_the_same_words_have_anchors_of_their_own(tmp_path: Path) -> None:
    html = rendered(tmp_path, "# One\n\n## `A` part\n\n## A part\n")
    assert re.findall(r'id="([^"]+)"', html) == ["one", "a-part", "a-part-1"]


def test_a_table_keeps_its_meaning_where_it_is_shown_as_a_list(tmp_path: Path) -> None:
    html = rendered(tmp_path, "# One\n\n| `name` | what |\n|---|---|\n| a | b |\n| c | d |\n")
    assert html.count('role="row"') == 3
    assert [html.count(f'data-label="{label}"') for label in ("name", "what")] == [2, 2]


def test_code_can_be_scrolled_by_keyboard(tmp_path: Path) -> None:
    assert '<pre tabindex="0"><code>a &lt;b&gt;' in rendered(tmp_path, "# One\n\n    a <b>\n")


def test_anchors_are_those_of_the_other_reader_of_the_documents() -> None:
    assert anchor_of("What a set lacks: `manifest.json`, eras") == "what-a-set-lacks-manifestjson-eras"


async def test_the_pages_show_contents_and_documents() -> None:
    async with visit(Scene()) as client:
        async with client.get("/help", headers=BROWSER) as answer:
            page = await answer.text()
        assert '<a href="/help/review">The review queue</a>' in page
        assert 'href="/help/operations#backup"' in page
        async with client.get("/help/operations", headers=BROWSER) as answer:
            page = await answer.text()
        assert '<h2 id="backup">Backup</h2>' in page
        assert 'href="/help/operations" aria-current="page"' in page
        assert 'href="/help" data-key="g e" aria-current="page"' in page


@pytest.mark.parametrize("name", ["nothing", "..%2F..%2Fpyproject", "README"])
async def test_a_document_that_is_not_there_is_said_so(name: str) -> None:
    async with visit(Scene()) as client, client.get(f"/help/{name}", headers=BROWSER) as answer:
        assert answer.status == 404
        assert "There is no" in await answer.text()
