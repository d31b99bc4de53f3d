"""The embedder as a child process: which variables of the service it gets."""

from pathlib import Path

import psutil
import pytest

from service.embedders.child_process import EmbedderChild
from service.settings import Settings

SECRETS = (
    "IMMICH_API_KEY",
    "IMMICH_API_KEY_FILE",
    "FACESETS_TOKEN",
    "FACESETS_TOKEN_FILE",
    "FACESETS_DATABASE_URL",
    "FACESETS_EMBEDDER_TOKEN",
    "FACESETS_EMBEDDER_TOKEN_FILE",
    "AWS_SECRET_ACCESS_KEY",
)


async def test_the_embedder_gets_its_own_settings_and_no_key_of_the_service(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = Settings.model_validate({"data_dir": tmp_path})
    for name in SECRETS:
        monkeypatch.setenv(name, "geheim-123")
    monkeypatch.setenv("FACESETS_EMBEDDER_ENGINE", "synthetic")
    monkeypatch.setenv("FACESETS_EMBEDDER_MAX_PIXELS", "1234567")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = psutil.Process().children()
    child = EmbedderChild(settings)
    await child.start()
    try:
        (process,) = set(psutil.Process().children()) - set(before)
        environ = process.environ()
    finally:
        await child.stop()
    assert [name for name, value in environ.items() if "geheim-123" in value] == []
    assert environ["FACESETS_EMBEDDER_TOKEN"] == child.token.get_secret_value()
    assert environ["FACESETS_EMBEDDER_MAX_PIXELS"] == "1234567"
    assert environ["OMP_NUM_THREADS"] == "1"
