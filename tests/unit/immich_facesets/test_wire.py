"""The faces request on the wire: the embedder decodes what the service encodes."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from immich_facesets.errors import ItemError
from immich_facesets.face_requests import BOXES_HEADER, CropRequest, CutRequest, Enrichment, FacesRequest, Mode
from immich_facesets.faces import Box
from immich_facesets.wire import decode_faces

tenths = st.integers(-100_000, 100_000).map(lambda number: number / 10)
sizes = st.integers(1, 100_000).map(lambda number: number / 10)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    """Boxes with corners of one decimal, as they travel."""
    x, y = draw(tenths), draw(tenths)
    return Box(x, y, round(x + draw(sizes), 1), round(y + draw(sizes), 1))


crops = st.builds(
    CropRequest,
    side=st.integers(16, 4096),
    min_short=st.integers(0, 99_999).map(lambda number: number / 10),
    pad_ratio=st.integers(0, 400).map(lambda number: number / 100),
)


cuts = st.builds(CutRequest, area=boxes(), pixels=st.integers(256, 4096**2))


@st.composite
def requests(draw: st.DrawFn) -> FacesRequest:
    known = tuple(draw(st.lists(boxes(), max_size=5)))
    mode = draw(st.sampled_from(Mode)) if known else Mode.FULL
    short = draw(st.integers(4, 4000)) / 4
    measures = draw(st.frozensets(st.sampled_from(Enrichment)))
    cut = draw(st.none() | cuts)
    return FacesRequest(mode, known, draw(st.none() | crops), measures, short, draw(st.booleans()), cut)


@given(requests())
def test_a_request_arrives_as_it_was_sent(request: FacesRequest) -> None:
    assert FacesRequest.from_http(*request.to_http()) == request


@given(requests(), requests())
def test_boxes_of_a_form_replace_those_of_the_header(sent: FacesRequest, other: FacesRequest) -> None:
    query, headers = sent.to_http()
    form = other.to_http()[1].get(BOXES_HEADER, "").encode()
    assert FacesRequest.from_http(query, headers, form).boxes == (other.boxes or sent.boxes)


def test_the_bytes_on_the_wire() -> None:
    request = FacesRequest(
        Mode.GUIDED,
        (Box(1, 2.25, 30.04, 40),),
        CropRequest(512, 90.5, 0.5),
        frozenset({Enrichment.POSE, Enrichment.LANDMARKS}),
    )
    query = {"mode": "guided", "crops": "512", "crop_min_short": "90.5", "pad_ratio": "0.5", "enrich": "landmarks,pose"}
    assert request.to_http() == (query, {"X-Boxes": "[[1,2.2,30.0,40]]"})
    assert FacesRequest().to_http() == ({"mode": "full"}, {})


def test_an_answer_with_more_faces_than_a_picture_can_have_is_the_failure_of_that_picture() -> None:
    face = {"box": (0.0, 0.0, 9.0, 9.0), "landmarks": ((1.0, 1.0),) * 5, "det_score": 0.9, "embedding": b"",
            "quality": None}  # fmt: skip
    body = msgspec.msgpack.encode({"space": "s", "width": 9, "height": 9, "faces": [face] * 20_001})
    with pytest.raises(ItemError, match=r"length <= 20000 - at `\$\.faces`"):
        decode_faces(body)
