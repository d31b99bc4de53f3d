"""Stand-alone HTML pages of the reports: readable by their owner only."""

import stat
from pathlib import Path

from service.reports.standalone_page import write_page


def test_a_page_is_for_its_owner_alone_whatever_the_name_of_a_picture(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("before")
    write_page(page, "caf\u00e9 \udcff")
    assert page.read_bytes() == b"caf\xc3\xa9 \\udcff"
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [page]
