"""Settings of the embedder."""

import os

import pytest

from embedder.app import pipeline_size
from embedder.models.sessions import Provider
from embedder.settings import load_settings
from immich_facesets.errors import SetupError
from immich_facesets.runtime.listen_address import Listen


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("FACESETS_") and name != "FACESETS_TEST_DATA":
            monkeypatch.delenv(name)


def test_the_defaults_serve_the_best_pack_on_the_cpu_to_this_machine_only() -> None:
    settings = load_settings()
    assert settings.listen == Listen("127.0.0.1", 8786)
    assert (settings.model_pack, settings.engine, settings.provider) == ("", "onnx", Provider.CPU)
    assert (settings.det_size, settings.det_threshold, settings.flip) == (640, None, False)
    assert settings.max_pixels == 150_000_000


def test_settings_of_the_service_are_none_of_its_business(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACESETS_IMMICH_URL", "http://immich:2283")
    monkeypatch.setenv("FACESETS_MODEL_PACK", "antelopev2")
    assert load_settings().model_pack == "antelopev2"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("FACESETS_EMBEDDER_BATHC", "4", "did you mean FACESETS_EMBEDDER_BATCH"),
        ("FACESETS_EMBEDDER_BATCH", "0", "FACESETS_EMBEDDER_BATCH"),
        ("FACESETS_EMBEDDER_DET_SIZE", "641", "FACESETS_EMBEDDER_DET_SIZE"),
        ("FACESETS_EMBEDDER_RECOGNISERS", "w600k_r50:much", "is not a recogniser and its share"),
        ("FACESETS_EMBEDDER_RECOGNISERS", "w600k_r50:0.6,glintr100", "either every recogniser has a share, or none"),
        ("FACESETS_EMBEDDER_RECOGNISERS", "w600k_r50:0.6,w600k_r50:0.4", "there twice"),
        ("FACESETS_EMBEDDER_RECOGNISERS", "w600k_r50:1,glintr100:0", "is not a recogniser and its share"),
        ("FACESETS_EMBEDDER_PROVIDER", "gpu", "FACESETS_EMBEDDER_PROVIDER"),
        ("FACESETS_EMBEDDER_LISTEN", "8786", "not an address"),
        ("FACESETS_EMBEDDER_LISTEN", "0.0.0.0:8786", "FACESETS_EMBEDDER_TOKEN"),
        ("FACESETS_EMBEDDER_TOKEN_FILE", "/nowhere/at/all", "FACESETS_EMBEDDER_TOKEN_FILE"),
    ],
)
def test_a_wrong_setting_is_told_by_name(name: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SetupError, match=words):
        load_settings()


@pytest.mark.parametrize(
    ("value", "shares"),
    [
        ("w600k_mbf_int8.onnx", {"w600k_mbf_int8": 1.0}),
        ("w600k_r50:0.6, glintr100:0.4", {"w600k_r50": 0.6, "glintr100": 0.4}),
        ("w600k_r50:3,glintr100:1", {"w600k_r50": 0.75, "glintr100": 0.25}),
        ("w600k_r50,glintr100", {"w600k_r50": 0.5, "glintr100": 0.5}),
    ],
)
def test_the_shares_of_the_recognisers_add_up_to_one(
    value: str, shares: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACESETS_EMBEDDER_RECOGNISERS", value)
    assert load_settings().recognisers == pytest.approx(shares)


def test_the_network_is_served_with_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACESETS_EMBEDDER_LISTEN", "0.0.0.0:8786")
    monkeypatch.setenv("FACESETS_EMBEDDER_TOKEN", "secret words")
    settings = load_settings()
    assert not settings.listen.is_loopback
    assert "secret words" not in repr(settings)


def test_only_a_gpu_waits_for_more_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pipeline_size(load_settings()).linger_seconds == 0
    monkeypatch.setenv("FACESETS_EMBEDDER_PROVIDER", "cuda")
    assert pipeline_size(load_settings()).linger_seconds > 0
