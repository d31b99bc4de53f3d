"""Guides: every export profile has a page for the program that reads it, and the README links to it."""

import re

import pytest
from testdata import ROOT

from immich_facesets.exports.profile import Profile
from immich_facesets.exports.registry import PROFILES

EXPORTS = ROOT / "immich_facesets" / "exports"
GUIDES = EXPORTS / "guides"
CHAPTERS = (
    "What reads it",
    "What is written",
    "How to load it",
    "Settings that suit it",
    "What goes wrong, and why",
)


def test_there_is_a_page_for_each_profile_and_no_other() -> None:
    assert set(GUIDES.iterdir()) == {EXPORTS / profile.guide for profile in PROFILES.values()}


@pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))
def test_a_page_says_what_its_reader_wants_to_know(profile: Profile) -> None:
    text = (EXPORTS / profile.guide).read_text(encoding="utf-8")
    assert text.startswith(f"# {profile.name}: ")
    assert tuple(re.findall(r"^## (.+)$", text, re.MULTILINE)) == CHAPTERS
    for target in re.findall(r"\]\((?!https://)([^)#]+)\)", text):
        assert (GUIDES / target).is_file(), target


def test_the_readme_leads_to_every_page() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for profile in PROFILES.values():
        assert re.search(
            rf"^\| `{profile.name}` \|.*\(immich_facesets/exports/{re.escape(profile.guide)}\)", text, re.MULTILINE
        )


def test_every_setting_that_a_page_names_exists() -> None:
    known = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    for path in GUIDES.iterdir():
        for name in re.findall(r"FACESETS_\w+", path.read_text(encoding="utf-8")):
            assert f"| `{name}`" in known, (path.name, name)
