"""The picture of an era probe."""

import io

import pytest
from era_builders import Period, periods
from PIL import Image

from immich_facesets.eras import probe, years_of
from immich_facesets.grouping.face_table import FaceTable
from service.reports.evaluation.era_picture import era_picture


def drawn(table: FaceTable) -> Image.Image:
    found = probe(table.vectors, [year or None for year in years_of(table.taken).tolist()], taken=table.taken)
    return Image.open(io.BytesIO(era_picture(found, "Identity 1"))).convert("RGB")


def test_groups_of_two_times_have_two_colours() -> None:
    picture = drawn(periods(Period(2001, 25), Period(2015, 30), Period(0, 6, days=0), looks=[0, 1, 1]))
    colours = picture.getcolors(maxcolors=100_000) or []
    large = {colour for count, colour in colours if count > 2000}
    assert {(64, 105, 176), (216, 122, 62)} <= large


@pytest.mark.parametrize("table", [periods(), periods(Period(2001, 1)), periods(Period(0, 3, days=0))])
def test_hardly_anybody_makes_a_picture_too(table: FaceTable) -> None:
    assert drawn(table).size[1] > 300
