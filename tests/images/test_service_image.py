"""The service's image, built without a container engine by running every RUN line as it is written."""

from collections.abc import Iterator

import pytest
from dockerfiles import REPOSITORY, Image
from image_checks import (
    built,
    check_help,
    check_imports,
    check_libraries,
    check_life,
    check_packages,
    check_that_an_operator_can_trust,
    check_what_can_be_written,
    free_port,
)

pytestmark = pytest.mark.timeout(600)  # the first test installs everything the image holds


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    yield from built("service.Dockerfile", tmp_path_factory)


def test_the_service_image_is_one_that_an_operator_can_trust(image: Image) -> None:
    check_that_an_operator_can_trust(image)


def test_the_service_image_needs_no_library_that_its_base_lacks(image: Image) -> None:
    check_libraries(image)


def test_the_service_lock_holds_all_that_the_image_needs(image: Image) -> None:
    check_packages(image)
    check_imports(image, "service")


def test_the_service_can_write_nowhere_but_into_its_volumes_and_tmp(image: Image) -> None:
    check_what_can_be_written(image)


def test_the_service_explains_itself_inside_its_image(image: Image) -> None:
    check_help(image)


def test_the_service_image_holds_the_documents_that_its_pages_show(image: Image) -> None:
    found = {path.name for path in (image.root / "opt/venv/lib").glob("*/site-packages/service/web/docs/*.md")}
    assert found == {path.name for path in (REPOSITORY / "docs").glob("*.md")}


def test_the_service_is_healthy_inside_its_image_and_leaves_when_asked(image: Image) -> None:
    nobody, token = "http://127.0.0.1:9", "a-token-of-the-test-suite-and-nobody-else"
    settings = {
        "FACESETS_LISTEN": f"127.0.0.1:{free_port()}",
        "FACESETS_TOKEN": token,
        "FACESETS_EMBEDDER_URLS": nobody,
        "FACESETS_EMBEDDER_TOKEN": token,
        "IMMICH_URL": nobody,
        "IMMICH_API_KEY": token,
    }
    check_life(image, settings)
