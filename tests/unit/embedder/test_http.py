"""HTTP behaviour of the embedder: authentication, limits and error answers."""

import asyncio
import io
import json
import re
import threading
from collections.abc import Sequence
from typing import Any, Literal

import httpx
import msgspec
import numpy as np
import pytest
from embedder_scene import FACE, ScriptedEngine, face_at, picture, running
from PIL import Image

from embedder.engine import View
from embedder.http import Readiness
from embedder.pipeline import PipelineSize
from immich_facesets import face_requests, wire

TOKEN = "a token of this test"


def trouble(response: httpx.Response) -> wire.ErrorBody:
    return msgspec.json.decode(response.content, type=wire.ErrorBody)


async def test_the_answer_is_the_wire_contract() -> None:
    async with running() as scene:
        response = await scene.ask(picture())
        assert response.headers["content-type"] == wire.MSGPACK
        answer = wire.decode_faces(response.content)
        assert (answer.width, answer.height) == (320, 240)
        assert answer.space == (await scene.client.get("/v1/info")).json()["space"]
        (face,) = answer.faces
        assert face.face_box() == FACE.box
        assert face.points() == FACE.landmarks
        assert face.det_score == pytest.approx(0.9)
        assert face.crop is None
        assert face.vector().dtype == np.float32
        assert np.linalg.norm(face.vector()) == pytest.approx(1, abs=1e-5)
        assert face.quality.blur_size > 0


async def test_json_is_answered_to_those_who_ask_for_it() -> None:
    async with running() as scene:
        response = await scene.client.post("/v1/faces", content=picture(), headers={"Accept": wire.JSON})
        assert response.headers["content-type"].startswith(wire.JSON)
        answer = msgspec.json.decode(response.content, type=wire.FacesAnswer)
        assert len(answer.faces) == 1


async def test_a_form_is_taken_like_a_body() -> None:
    async with running() as scene:
        data = picture()
        plain = await scene.answer(data, mode="full")
        response = await scene.client.post("/v1/faces", files={"image": ("x.jpg", data)})
        assert wire.decode_faces(response.content) == plain
        guided = await scene.client.post(
            "/v1/faces",
            params={"mode": "guided"},
            files={"image": ("x.jpg", data)},
            data={"boxes": json.dumps([[120, 110, 192, 210]])},
        )
        assert len(wire.decode_faces(guided.content).faces) == 1


async def test_a_thousand_boxes_fit_into_the_header() -> None:
    async with running() as scene:
        boxes = json.dumps([[x / 7, x / 9, x / 7 + 30.123456789, x / 9 + 40.987654321] for x in range(1000)])
        response = await scene.client.post(
            "/v1/faces", content=picture(), params={"mode": "guided"}, headers={face_requests.BOXES_HEADER: boxes}
        )
        assert response.status_code == 200


async def test_a_form_without_a_picture_is_a_bad_question() -> None:
    async with running() as scene:
        response = await scene.client.post("/v1/faces", files={"other": ("x", b"x")})
        assert (response.status_code, trouble(response).reason) == (400, "bad_question")


async def test_info_says_what_is_served() -> None:
    limits: dict[str, Any] = {
        "max_pixels": 12345,
        "max_bytes": 54321,
        "max_in_flight": 3,
        "max_memory": 1 << 28,
        "decode_seconds": 7.5,
    }
    async with running(**limits) as scene:
        info = msgspec.json.decode((await scene.client.get("/v1/info")).content, type=wire.Info)
        assert info.limits == msgspec.convert(limits, wire.Limits)
        assert (info.engine, info.family, info.dimension) == ("synthetic", "synthetic", 4)


@pytest.mark.parametrize(("kind", "directions"), [("onnx", 5), ("synthetic", 0)])
async def test_info_has_the_directions_of_crops_that_show_nobody(
    kind: Literal["onnx", "synthetic"], directions: int
) -> None:
    async with running(ScriptedEngine(kind=kind)) as scene:
        await scene.pipeline.look_at_nobody()
        info = msgspec.json.decode((await scene.client.get("/v1/info")).content, type=wire.Info)
        assert len(info.blank) == directions
        assert all(np.linalg.norm(row) == pytest.approx(1.0, abs=1e-3) for row in info.blank)


@pytest.mark.parametrize("flips", [False, True])
async def test_info_says_whether_vectors_are_averaged_with_those_of_mirrored_faces(*, flips: bool) -> None:
    async with running(ScriptedEngine(flips=flips)) as scene:
        info = msgspec.json.decode((await scene.client.get("/v1/info")).content, type=wire.Info)
        assert info.flip is flips


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ({"mode": "clever"}, {}),
        ({"mode": "guided"}, {}),
        ({"mode": "guided"}, {face_requests.BOXES_HEADER: "[[1,2,3]]"}),
        ({"mode": "guided"}, {face_requests.BOXES_HEADER: "not json"}),
        ({"mode": "guided"}, {face_requests.BOXES_HEADER: "[[5,5,5,9]]"}),
        ({"mode": "guided"}, {face_requests.BOXES_HEADER: json.dumps([[0, 0, 1, 1]] * 1001)}),
        ({"suspects": "many"}, {}),
        ({"crops": "large"}, {}),
        ({"cut": "0,0,10"}, {}),
        ({"cut": "0,0,10,10],[0,0,5,5"}, {}),
        ({"cut": ""}, {}),
        ({"cut": "10,10,0,0"}, {}),
        ({"cut": "0,0,10,10", "cut_pixels": "many"}, {}),
        ({"crops": "nan"}, {}),
        ({"crops": "100000"}, {}),
        ({"crops": "512", "pad_ratio": "-1"}, {}),
        ({"crops": "512", "crop_min_short": "inf"}, {}),
    ],
)
async def test_a_question_that_makes_no_sense_is_a_400(query: dict[str, str], headers: dict[str, str]) -> None:
    async with running() as scene:
        response = await scene.client.post("/v1/faces", content=picture(), params=query, headers=headers)
        assert (response.status_code, trouble(response).reason) == (400, "bad_question")


async def test_boxes_that_are_no_text_are_a_400() -> None:
    async with running() as scene:
        headers = {face_requests.BOXES_HEADER.encode(): b"[[0,0,1,1]]\xff"}
        response = await scene.client.post("/v1/faces", content=picture(), headers=headers)
        assert (response.status_code, trouble(response).reason) == (400, "bad_question")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"<html></html>", "not_a_picture"),
        (picture()[:60], "corrupt"),
        (picture(width=1001, height=1000), "too_many_pixels"),
    ],
)
async def test_a_picture_at_fault_is_a_422_with_its_reason(data: bytes, reason: str) -> None:
    async with running(max_pixels=1_000_000) as scene:
        response = await scene.ask(data)
        assert (response.status_code, trouble(response).reason) == (422, reason)


async def test_a_body_that_is_too_large_is_a_413() -> None:
    async with running(max_bytes=5000) as scene:
        for send in ({"content": b"x" * 6000}, {"files": {"image": ("x", b"x" * 6000)}}, {"content": _drip(6000)}):
            response = await scene.client.post("/v1/faces", **send)
            assert (response.status_code, trouble(response).reason) == (413, "too_large")


async def _drip(count: int) -> Any:
    for _ in range(count // 100):
        yield b"x" * 100


async def test_every_route_but_those_of_health_requires_the_token() -> None:
    async with running(token=TOKEN) as scene:
        assert (await scene.client.get("/healthz")).status_code == 200
        assert (await scene.client.get("/readyz")).json() == {"status": "ready"}
        for path in ("/metrics", "/v1/info", "/nowhere"):
            for given in (None, "Bearer wrong", TOKEN, f"Bearer {TOKEN}x", "Bearer"):
                headers = {} if given is None else {"Authorization": given}
                response = await scene.client.get(path, headers=headers)
                assert (response.status_code, trouble(response).reason) == (401, "unauthorized"), path
        refused = await scene.ask(picture())
        assert refused.status_code == 401
        right = {"Authorization": f"Bearer {TOKEN}"}
        assert (await scene.client.get("/v1/info", headers=right)).status_code == 200
        taken = await scene.client.post("/v1/faces", content=picture(), headers=right)
        assert taken.status_code == 200


async def test_one_too_many_is_told_to_come_back() -> None:
    gate = threading.Event()
    engine = ScriptedEngine(before_detect=lambda _views: _wait(gate))
    async with running(engine, max_in_flight=2) as scene:
        accepted = [asyncio.create_task(scene.ask(picture())) for _ in range(2)]
        await _until(lambda: scene.metrics.registry.get_sample_value("facesets_embedder_in_flight") == 2)
        refused = await scene.ask(picture())
        assert (refused.status_code, trouble(refused).reason) == (429, "busy")
        assert int(refused.headers["Retry-After"]) >= 1
        gate.set()
        assert [task.status_code for task in await asyncio.gather(*accepted)] == [200, 200]
        assert (await scene.ask(picture())).status_code == 200


async def test_a_caller_that_left_frees_its_place() -> None:
    gate = threading.Event()
    engine = ScriptedEngine(before_detect=lambda _views: _wait(gate))
    async with running(engine, max_in_flight=1) as scene:
        leaving = asyncio.create_task(scene.ask(picture()))
        await _until(lambda: scene.metrics.registry.get_sample_value("facesets_embedder_in_flight") == 1)
        leaving.cancel()
        await _until(lambda: scene.metrics.registry.get_sample_value("facesets_embedder_in_flight") == 0)
        left = scene.metrics.registry.get_sample_value("facesets_embedder_pictures_total", {"outcome": "left"})
        assert left == 1
        gate.set()
        assert (await scene.ask(picture())).status_code == 200


async def test_work_of_a_caller_that_left_is_never_begun() -> None:
    gate, begun = threading.Event(), list[int]()

    def wait(_views: object) -> None:
        begun.append(1)
        _wait(gate)

    async with running(ScriptedEngine(before_detect=wait), max_in_flight=4) as scene:
        first = asyncio.create_task(scene.ask(picture()))
        await _until(lambda: len(begun) == 1)
        second = asyncio.create_task(scene.ask(picture()))
        await _until(
            lambda: scene.metrics.registry.get_sample_value("facesets_embedder_waiting", {"lane": "detect"}) == 1
        )
        second.cancel()
        await _until(lambda: scene.metrics.registry.get_sample_value("facesets_embedder_in_flight") == 1)
        gate.set()
        assert (await first).status_code == 200
        assert len(begun) == 1


async def test_readiness_is_a_real_inference_and_is_remembered_for_a_moment() -> None:
    async with running() as scene:
        for _ in range(3):
            assert (await scene.client.get("/readyz")).json() == {"status": "ready", "objections": []}
        assert scene.engine.batches == [1]


async def test_models_that_fail_make_it_not_ready_but_alive() -> None:
    def fail(_views: object) -> None:
        raise RuntimeError("the device is gone")

    async with running(ScriptedEngine(before_detect=fail)) as scene:
        ready = await scene.client.get("/readyz")
        assert ready.status_code == 503
        assert "models fail" in ready.json()["objections"][0]
        assert (await scene.client.get("/healthz")).status_code == 200
        response = await scene.ask(picture())
        assert (response.status_code, trouble(response).reason) == (503, "not_ready")
        assert int(response.headers["Retry-After"]) >= 1


async def test_pictures_without_an_answer_for_long_make_it_not_ready() -> None:
    gate = threading.Event()

    def hold(views: Sequence[View]) -> None:
        if views[0].pixels.shape[0] == 300:  # not the test picture of the check
            _wait(gate)

    size = PipelineSize(max_in_flight=8, workers=2, detectors=2)
    async with running(ScriptedEngine(before_detect=hold), size=size) as scene:
        readiness = Readiness(scene.pipeline, asyncio.Event(), longest_seconds=0.3)
        await asyncio.sleep(0.4)
        assert await readiness.objections() == [], "there is no picture"
        asked = asyncio.create_task(scene.ask(picture(height=300)))
        await _until(lambda: scene.metrics.registry.get_sample_value("facesets_embedder_in_flight") == 1)
        await asyncio.sleep(0.4)
        (objection,) = await readiness.objections()
        assert re.fullmatch(r"no picture was answered for \d+ seconds, though some are in progress", objection)
        assert (await scene.client.get("/readyz")).status_code == 200, "it is given minutes"
        gate.set()
        assert (await asked).status_code == 200
        assert await readiness.objections() == []


async def test_requests_during_shutdown_are_refused_and_accepted_ones_are_answered() -> None:
    gate = threading.Event()
    async with running(ScriptedEngine(before_detect=lambda _views: _wait(gate))) as scene:
        accepted = asyncio.create_task(scene.ask(picture()))
        await _until(lambda: scene.metrics.registry.get_sample_value("facesets_embedder_in_flight") == 1)
        scene.stop_accepting()
        refused = await scene.ask(picture())
        assert (refused.status_code, trouble(refused).reason) == (503, "not_ready")
        assert (await scene.client.get("/readyz")).status_code == 503
        gate.set()
        assert (await accepted).status_code == 200


async def test_a_bug_is_a_500_with_a_reference_and_tells_nothing_else() -> None:
    class Broken(ScriptedEngine):
        def align(self, *_: object) -> Any:
            raise KeyError("secret words")

    async with running(Broken()) as scene:
        response = await scene.ask(picture())
        told = trouble(response)
        assert (response.status_code, told.reason) == (500, "bug")
        assert "secret" not in told.message
        (line,) = [line for line in scene.logs if line["event"] == "bug"]
        assert line["reference"] == told.message.rsplit(" ", 1)[-1]


async def test_an_unknown_route_is_a_404_of_the_same_form() -> None:
    async with running() as scene:
        response = await scene.client.get("/v1/nothing")
        assert (response.status_code, trouble(response).reason) == (404, "no_such_door")
        assert (await scene.client.get("/v1/faces")).status_code == 405


async def test_the_counters_tell_what_happened() -> None:
    async with running() as scene:
        await scene.answer(picture())
        await scene.ask(b"")
        page = (await scene.client.get("/metrics")).text
        assert 'facesets_embedder_pictures_total{outcome="answered"} 1.0' in page
        assert 'facesets_embedder_pictures_total{outcome="empty"} 1.0' in page
        assert "facesets_embedder_faces_total 1.0" in page


async def test_crops_are_cut_for_faces_large_enough_and_for_no_others() -> None:
    small = face_at(10, 10)
    engine = ScriptedEngine(seen=[FACE, small])
    async with running(engine) as scene:
        answer = await scene.answer(picture(), crops=512, crop_min_short=72, pad_ratio="0.5")
        for face in answer.faces:
            assert face.crop is not None
            with Image.open(io.BytesIO(face.crop.image)) as image:
                assert (image.format, image.size) == ("JPEG", (200, 200))
        none = await scene.answer(picture(), crops=512, crop_min_short=73)
        assert [face.crop for face in none.faces] == [None, None]
        reduced = await scene.answer(picture(), crops=64)
        assert reduced.faces[0].crop is not None
        with Image.open(io.BytesIO(reduced.faces[0].crop.image)) as image:
            assert image.size == (64, 64)


async def test_guided_answers_only_for_the_boxes_given_and_each_face_once() -> None:
    near, far = face_at(20, 20), face_at(220, 120)

    def see(view: View) -> list[Any]:
        return [near, far] if view.left == 0 and view.top == 0 else [far]

    engine = ScriptedEngine(see=see)
    async with running(engine) as scene:
        boxes = json.dumps([[221, 121, 291, 219], [225, 118, 290, 222]])
        response = await scene.client.post(
            "/v1/faces", content=picture(), params={"mode": "guided"}, headers={face_requests.BOXES_HEADER: boxes}
        )
        (face,) = wire.decode_faces(response.content).faces
        assert face.face_box() == far.box
        assert len(engine.parts) == 2
        assert engine.looks == [(None, False)]


async def test_guided_looks_at_the_whole_picture_once_when_a_box_shows_no_face() -> None:
    near, far = face_at(20, 20), face_at(220, 120)
    engine = ScriptedEngine(see=lambda view: [near] if view.left == 0 and view.top == 0 else [far])
    async with running(engine) as scene:
        boxes = json.dumps([[20, 20, 92, 120], [0, 180, 30, 230], [100, 180, 130, 230]])
        response = await scene.client.post(
            "/v1/faces", content=picture(), params={"mode": "guided"}, headers={face_requests.BOXES_HEADER: boxes}
        )
        faces = wire.decode_faces(response.content).faces
        assert [face.face_box() for face in faces] == [near.box]
        assert [look for look in engine.looks if look[0] is None] == [(None, False)]


async def test_a_close_up_is_found_by_looking_again_from_farther_away() -> None:
    engine = ScriptedEngine(see=lambda view: [FACE] if (view.left, view.top) == (-160, -120) else [])
    async with running(engine) as scene:
        assert len((await scene.answer(picture())).faces) == 1
        area, closely = engine.looks[-1]
        assert area is not None
        assert (area.width, area.height, closely) == (640, 480, True)


async def test_a_picture_without_faces_has_an_empty_answer() -> None:
    async with running(ScriptedEngine(seen=[])) as scene:
        answer = await scene.answer(picture())
        assert (answer.faces, answer.lost_faces) == ((), 0)


async def test_one_bad_face_fails_alone() -> None:
    def refuse_dark(faces: Any) -> None:
        if any(face.crop.mean() < 20 for face in faces):
            raise RuntimeError("this face cannot be recognised")

    gate = threading.Event()
    engine = ScriptedEngine(before_recognise=refuse_dark, before_detect=lambda _views: _wait(gate))
    async with running(engine, size=PipelineSize(max_in_flight=8, workers=2, batch=8, linger_seconds=0.2)) as scene:
        asked = [asyncio.create_task(scene.ask(picture(shade=shade))) for shade in (200, 2, 120)]
        gate.set()
        good, bad, other = await asyncio.gather(*asked)
        assert (good.status_code, other.status_code) == (200, 200)
        assert (bad.status_code, trouble(bad).reason) == (422, "inference_failed")


async def test_a_face_that_gives_no_direction_is_left_out_and_counted() -> None:
    class HalfBlind(ScriptedEngine):
        def recognise(self, faces: Any) -> Any:
            rows = super().recognise(faces)
            rows[[face.detection.box.x1 < 100 for face in faces]] = np.nan
            return rows

    async with running(HalfBlind(seen=[FACE, face_at(10, 10)])) as scene:
        answer = await scene.answer(picture())
        assert [face.face_box() for face in answer.faces] == [FACE.box]
        assert answer.lost_faces == 1


async def test_a_vector_has_unit_length_and_its_own_length_beside_it() -> None:
    class Long(ScriptedEngine):
        def recognise(self, faces: Any) -> Any:
            return 21.5 * super().recognise(faces)

    async with running(Long(seen=[FACE])) as scene:
        (face,) = (await scene.answer(picture())).faces
        assert float(np.linalg.norm(face.vector())) == pytest.approx(1.0, abs=1e-6)
        assert face.length == pytest.approx(21.5, abs=1e-4)


async def test_faces_of_one_picture_are_recognised_together() -> None:
    engine = ScriptedEngine(seen=[face_at(10 + 40 * number, 10) for number in range(5)])
    async with running(engine) as scene:
        await scene.answer(picture())
        assert engine.batches == [5]


async def test_health_answers_while_pictures_are_worked_on() -> None:
    gate = threading.Event()
    async with running(ScriptedEngine(before_detect=lambda _views: _wait(gate))) as scene:
        asked = asyncio.create_task(scene.ask(picture(width=900, height=900)))
        await _until(lambda: scene.metrics.registry.get_sample_value("facesets_embedder_in_flight") == 1)
        async with asyncio.timeout(2):
            assert (await scene.client.get("/healthz")).status_code == 200
        gate.set()
        await asked


def _wait(gate: threading.Event) -> None:
    assert gate.wait(10)


async def _until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  what is waited for are counters
            await asyncio.sleep(0.01)
