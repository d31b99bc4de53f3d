"""The names of sidecars in the tree that is copied over a library."""

import pytest

from immich_facesets.exports.library import PlacedPicture
from immich_facesets.exports.sidecar_places import sidecar_name

USER = "ce6fb864-1e29-4a4d-bda6-9fa6af493ed0"


def name_of(path: str, *, is_external: bool = False) -> str | None:
    return sidecar_name(PlacedPicture("anna", "", path, "", 1, 1, 1, has_faces=True, is_external=is_external))


@pytest.mark.parametrize(
    ("path", "below"),
    [
        ("/data/library/anna/2019/a b.jpg", "library/anna/2019/a b.jpg"),
        ("/data/library/anna/library/x/a.jpg", "library/anna/library/x/a.jpg"),
        (f"/data/upload/{USER}/07/17/a.jpg", f"upload/{USER}/07/17/a.jpg"),
        ("/usr/src/app/upload/library/anna/a.jpg", "library/anna/a.jpg"),
        (f"/usr/src/app/upload/upload/{USER}/07/17/a.jpg", f"upload/{USER}/07/17/a.jpg"),
        ("/mnt/pictures/immich/library/anna/2019/a.jpg", "library/anna/2019/a.jpg"),
        ("/somewhere/else/a.jpg", "somewhere/else/a.jpg"),
    ],
)
def test_what_immich_manages_stands_by_its_path_below_immichs_own_folder(path: str, below: str) -> None:
    assert name_of(path) == f"{below}.xmp"


def test_an_external_library_stands_apart_whatever_it_is_called() -> None:
    assert name_of("/external/library/2019/a.jpg", is_external=True) == "external/external/library/2019/a.jpg.xmp"
    assert name_of("/library/anna/a.jpg", is_external=True) == "external/library/anna/a.jpg.xmp"


def test_the_pictures_of_a_folder_stand_by_their_path_in_it() -> None:
    assert name_of("x/library/anna/ä b.HEIC") == "x/library/anna/ä b.HEIC.xmp"
    assert name_of("./a//b.HEIC") == "a/b.HEIC.xmp"


def test_a_path_that_cannot_be_rebuilt_has_no_sidecar() -> None:
    for unusable in ("", "/", "../a.jpg", "a\\b.jpg", "a\0.jpg", "x" * 251, "\udcff.jpg", ".facesets-draft-x/a.jpg"):
        assert name_of(unusable) is None
