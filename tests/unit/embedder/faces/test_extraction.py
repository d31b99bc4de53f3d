"""Face extraction: reduced decoding, and results in pixels of the original."""

import io
import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from embedder_scene import POINTS, ScriptedEngine, running
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from real_embedder import RealEmbedder
from testdata import shared_data

from embedder.engine import Detection, Pixels, View
from embedder.faces import regions
from embedder.faces.extraction import FaceExtractor
from embedder.images.alignment import align
from embedder.images.crops import cut_crop
from embedder.images.decoder import Decoder
from embedder.images.picture import Picture
from immich_facesets import face_requests, wire
from immich_facesets.face_requests import CropRequest
from immich_facesets.face_template import TEMPLATE
from immich_facesets.faces import Box
from immich_facesets.quality.pose import upright_turns
from immich_facesets.runtime.cpu_count import available_cores


def jpeg(pixels: Pixels, orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=95, subsampling=0, exif=exif)
    return stream.getvalue()


def with_square(width: int, height: int, square: Box) -> Pixels:
    pixels = np.full((height, width, 3), 40, np.uint8)
    pixels[round(square.y1) : round(square.y2), round(square.x1) : round(square.x2)] = 220
    return pixels


def bright_box(pixels: Pixels) -> Box:
    """The edges of what is bright, to fractions of a pixel."""
    share = (pixels[..., 1].astype(float) - 40) / 180
    columns, rows = share.max(axis=0), share.max(axis=1)
    x1, y1 = int(np.argmax(columns > 0.5)), int(np.argmax(rows > 0.5))
    x2, y2 = x1 + int((columns > 0.5).sum()), y1 + int((rows > 0.5).sum())
    return Box(x1, y1, x2, y2)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(400, 320), (403, 319)])
def test_a_reduced_picture_tells_places_of_the_upright_original(orientation: int, size: tuple[int, int]) -> None:
    stored = with_square(*size, Box(80, 40, 240, 160))
    whole = Decoder(10**6).decode(jpeg(stored, orientation))
    reduced = Decoder(10**6).decode(jpeg(stored, orientation), lambda _width, _height: 4.9)
    assert (whole.reduction, reduced.reduction) == (1, 4)
    assert (reduced.width, reduced.height) == (whole.width, whole.height) == whole.pixels.shape[1::-1]
    found, expected = reduced.outside_box(bright_box(reduced.pixels)), bright_box(whole.pixels)
    for side in ("x1", "y1", "x2", "y2"):
        assert getattr(found, side) == pytest.approx(getattr(expected, side), abs=0.5 if size == (400, 320) else 1.5)


@pytest.mark.parametrize(("allowed", "reduction"), [(0.5, 1), (1.9, 1), (2, 2), (7.9, 4), (math.inf, 8)])
def test_a_picture_is_reduced_by_the_largest_step_allowed(allowed: float, reduction: int) -> None:
    picture = Decoder(10**6).decode(jpeg(with_square(160, 80, Box(0, 0, 8, 8))), lambda _width, _height: allowed)
    assert picture.reduction == reduction
    assert picture.pixels.shape == (80 // reduction, 160 // reduction, 3)


def test_only_jpegs_are_reduced() -> None:
    done, png = cv2.imencode(".png", with_square(160, 80, Box(0, 0, 8, 8)))
    assert done
    assert Decoder(10**6).decode(png.tobytes(), lambda _width, _height: 8).reduction == 1


@given(x=st.floats(-50, 450), y=st.floats(-50, 350), reduction=st.sampled_from([1, 2, 4, 8]), left=st.integers(-7, 0))
def test_a_face_goes_into_the_picture_at_hand_and_back(x: float, y: float, reduction: int, left: int) -> None:
    picture = Picture(np.zeros((8, 8, 3), np.uint8), 400, 300, reduction, left, 0)
    face = Detection(Box(x, y, x + 30, y + 40), tuple((px + x, py + y) for px, py in POINTS), 0.9)  # type: ignore[arg-type]  # five points
    back = picture.outside(picture.at_hand(face))
    assert np.allclose(back.landmarks, face.landmarks)
    assert np.allclose([back.box.x1, back.box.y2], [face.box.x1, face.box.y2])


def test_an_aligned_face_is_the_same_from_reduced_pixels() -> None:
    """Check the shift between a pixel's corner and its centre: without it the crop is off by 0.4 pixels."""
    rows, columns = np.mgrid[:2048, :2048]
    wave = 127 + 60 * np.sin(columns / 31) + 60 * np.cos(rows / 43)
    soft = np.repeat(wave[..., None], 3, axis=2).astype(np.uint8)
    points = tuple((8 * (x - 100) + 500, 8 * (y - 100) + 500) for x, y in POINTS)
    face = Detection(Box(400, 400, 1200, 1400), points, 0.9)  # type: ignore[arg-type]  # five points
    whole = Picture.whole(soft)
    data = jpeg(soft)
    reduced = Decoder(10**8).decode(data, lambda _width, _height: 4)
    right = align(whole.pixels, face, 112).crop.astype(float)

    def error(detection: Detection) -> float:
        return float(np.abs(align(reduced.pixels, detection, 112).crop - right).mean())

    assert error(reduced.sampled(reduced.at_hand(face))) < 0.5 * error(reduced.at_hand(face))


@pytest.mark.parametrize("reduction", [1, 2])
@pytest.mark.parametrize("sigma", [15, 40])
def test_noise_is_no_sharpness_in_a_reduced_picture(reduction: int, sigma: int) -> None:
    noise = np.random.default_rng(0).normal(128, sigma, (480, 480, 3))
    data = jpeg(np.asarray(np.clip(noise, 0, 255).round(), np.uint8))
    decoder = Decoder(10**8)
    picture = decoder.decode(data, lambda _width, _height: reduction)
    assert picture.reduction == reduction
    a, b, c, d, e = ((100 + 2.3 * x, 100 + 2.3 * y) for x, y in TEMPLATE)
    face = Detection(Box(130, 130, 330, 330), (a, b, c, d, e), 0.9)
    extractor = FaceExtractor(ScriptedEngine(), has_quality_model=False)
    request = face_requests.FacesRequest(mode=face_requests.Mode.FULL, boxes=(), crop=None, face_short=90)
    (prepared,) = extractor.take(picture, [face], request)
    grey = cv2.cvtColor(prepared.aligned.crop, cv2.COLOR_RGB2GRAY)
    assert prepared.measures.blur_size == round(112 * 2.3)
    assert prepared.measures.blur < 0.05 * float(np.asarray(cv2.Laplacian(grey, cv2.CV_32F)).var())


class TestOverHttp:
    """Reductions that a request leads to; the engine records the size of its input."""

    seen: list[tuple[int, ...]]

    def engine(self, face: Box | None) -> ScriptedEngine:
        """Detects one face (in the original of 1600 x 1200) in every picture."""
        self.seen = []

        def see(view: View) -> list[Detection]:
            shape = view.pixels.shape
            self.seen.append(shape)
            if face is None:
                return []
            factor = shape[1] / 1600
            box = Box(face.x1 * factor, face.y1 * factor, face.x2 * factor, face.y2 * factor)
            x, y, width, height = box.x1, box.y1, box.width, box.height
            spots = ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8))
            points = tuple((x + u * width, y + v * height) for u, v in spots)
            return [Detection(box, points, 0.9)]  # type: ignore[arg-type]  # five points

        return ScriptedEngine(see=see, view_side=400, can_part=False)

    photo = jpeg(np.full((1200, 1600, 3), 90, np.uint8))

    async def test_a_large_face_is_found_and_recognised_in_a_quarter_of_the_picture(self) -> None:
        engine = self.engine(Box(200, 100, 900, 1000))
        async with running(engine, max_pixels=10**8) as scene:
            answer = await scene.answer(self.photo)
        assert self.seen[0] == (300, 400, 3)
        assert (answer.width, answer.height) == (1600, 1200)
        assert answer.faces[0].face_box().x2 == pytest.approx(900)
        assert answer.faces[0].quality.blur_size > 500

    async def test_a_small_face_gets_all_its_pixels_for_the_vector(self) -> None:
        stripes = np.tile(np.array([60, 60, 200, 200], np.uint8), 400)
        photo = jpeg(np.broadcast_to(stripes[None, :, None], (1200, 1600, 3)).copy())
        blur = []
        for face in (Box(200, 100, 280, 200), Box(200, 100, 600, 600)):
            async with running(self.engine(face), max_pixels=10**8) as scene:
                blur.append((await scene.answer(photo)).faces[0].quality.blur)
        fine, coarse = blur  # a quarter of the picture's pixels shows no stripes any more
        assert fine > 100 * max(coarse, 1.0)

    async def test_a_wanted_crop_keeps_the_originals_pixels(self) -> None:
        engine = self.engine(Box(200, 100, 900, 1000))
        boxes = json.dumps([[200, 100, 900, 1000]])
        async with running(engine, max_pixels=10**8) as scene:
            for side, reduction in ((1024, 1), (512, 2), (256, 4)):
                answer = await scene.client.post(
                    "/v1/faces",
                    content=self.photo,
                    params={"mode": "guided", "crops": side, "pad_ratio": 0.25},
                    headers={face_requests.BOXES_HEADER: boxes},
                )
                (face,) = wire.decode_faces(answer.content).faces
                assert self.seen[-1] == (1200 // reduction, 1600 // reduction, 3)
                assert face.crop is not None
                crop = cv2.imdecode(np.frombuffer(face.crop.image, np.uint8), cv2.IMREAD_COLOR)
                assert crop is not None
                assert crop.shape == (side, side, 3)
                assert face.crop.area[2] - face.crop.area[0] == pytest.approx(1350, abs=reduction)

    async def test_without_boxes_a_wanted_crop_means_the_whole_picture(self) -> None:
        engine = self.engine(Box(200, 100, 900, 1000))
        async with running(engine, max_pixels=10**8) as scene:
            await scene.answer(self.photo, crops=256)
        assert self.seen == [(1200, 1600, 3)]


class TestTurned:
    """Finds no face in the upright picture; the same pixels give the same faces with and without boxes."""

    @staticmethod
    def lying(width: int, height: int) -> ScriptedEngine:
        """Detects a face at a fixed place of a picture whose bright spot is at the upper left."""

        def see(view: View) -> list[Detection]:
            rows, columns = view.pixels.shape[:2]
            assert {rows, columns} == {width, height}
            return [Detection(Box(20, 10, 92, 110), POINTS, 0.9)] if view.pixels[:20, :20].mean() > 200 else []

        return ScriptedEngine(see=see, can_part=False)

    @pytest.mark.parametrize("turns", [1, 2, 3])
    @pytest.mark.parametrize("mode", ["full", "guided"])
    async def test_a_face_is_found_in_a_picture_that_is_turned(self, turns: int, mode: str) -> None:
        upright = np.full((200, 300, 3), 50, np.uint8)
        upright[:20, :20] = 255
        photo = np.ascontiguousarray(np.rot90(upright, -turns))
        done, png = cv2.imencode(".png", photo)
        assert done
        height, width = photo.shape[:2]
        expected = regions.turned_back(Detection(Box(20, 10, 92, 110), POINTS, 0.9), turns, width, height)
        box = expected.box
        hint = json.dumps([[box.x1, box.y1, box.x2, box.y2]])
        async with running(self.lying(width, height)) as scene:
            answer = await scene.client.post(
                "/v1/faces", content=png.tobytes(), params={"mode": mode}, headers={face_requests.BOXES_HEADER: hint}
            )
            (face,) = wire.decode_faces(answer.content).faces
            assert face.face_box() == box
            assert np.allclose(face.landmarks, expected.landmarks)
            assert (await scene.answer(png.tobytes())).faces == (face,)

    def test_turning_back_lands_where_the_pixel_came_from(self) -> None:
        photo = np.arange(6 * 9).reshape(6, 9)
        for turns in (0, 1, 2, 3):
            turned = np.rot90(photo, turns)
            for y, x in ((0, 0), (1, 2), (3, 1)):
                face = Detection(Box(x, y, x + 1, y + 1), ((x, y),) * 5, 0.9)
                back_x, back_y = regions.turned_back(face, turns, 9, 6).landmarks[0]
                assert photo[int(back_y), int(back_x)] == turned[y, x]

    def test_the_crop_of_a_turned_face_stands_upright(self) -> None:
        pixels = np.full((100, 100, 3), 60, np.uint8)
        pixels[30:40, 30:70] = 250  # the brow is above
        for turns in (0, 1, 2, 3):
            photo = np.ascontiguousarray(np.rot90(pixels, -turns))
            wish = CropRequest(side=60, pad_ratio=0.1)
            crop = cut_crop(Picture.whole(photo), Box(25, 25, 75, 75), wish, turns=turns)
            assert crop is not None
            shown = cv2.imdecode(np.frombuffer(crop.image, np.uint8), cv2.IMREAD_GRAYSCALE)
            assert shown is not None
            assert shown[:25].mean() > shown[-25:].mean() + 30

    @pytest.mark.parametrize(("angle", "turns"), [(0, 0), (40, 0), (90, 1), (180, 2), (-170, 2), (-90, 3)])
    def test_how_a_face_lies_is_told_by_its_eyes(self, angle: float, turns: int) -> None:
        right = (50 + 20 * math.cos(math.radians(angle)), 50 + 20 * math.sin(math.radians(angle)))
        assert upright_turns(((50, 50), right, (0, 0), (0, 0), (0, 0))) == turns


def test_cores_are_those_the_container_may_use(tmp_path: Path) -> None:
    quota = tmp_path / "cpu.max"
    everything = available_cores(quota)
    assert everything >= 1
    quota.write_text("max 100000\n")
    assert available_cores(quota) == everything
    quota.write_text("50000 100000\n")
    assert available_cores(quota) == 1
    quota.write_text(f"{100000 * (everything + 4)} 100000\n")
    assert available_cores(quota) == everything


@pytest.mark.models
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_photo_has_the_same_faces_with_boxes_and_without(
    turns: int, embedder_of_bench_s: RealEmbedder
) -> None:
    data = shared_data() / "data"
    reference = np.load(data / "reference_bench_s.npz")
    photos = sorted({str(path) for path in reference["path"] if "portraits_pd" in str(path)})[:8]
    for path in photos:
        (row, *_) = np.flatnonzero(reference["path"] == path)
        with Image.open(data / path) as image:
            upright = np.asarray(image.convert("RGB"))
        photo = jpeg(np.ascontiguousarray(np.rot90(upright, -turns)))
        height, width = upright.shape[1::-1] if turns % 2 else upright.shape[:2]
        lying = regions.turned_back(Detection(Box(*reference["bbox"][row].tolist()), POINTS, 0.9), turns, width, height)
        plain = embedder_of_bench_s.faces(photo)
        hinted = embedder_of_bench_s.faces(photo, [lying.box], mode=face_requests.Mode.FULL)
        assert hinted.faces == plain.faces
        best = max(plain.faces, key=lambda one: one.face_box().iou(lying.box))
        assert float(best.vector() @ reference["embedding"][row]) > 0.9
