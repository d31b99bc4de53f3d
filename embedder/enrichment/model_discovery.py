"""
The search for optional further models: face quality, more landmarks, head pose.

The pack is searched first, then the folder ``extra`` beside the packs. Quality and pose models are recognised by the
beginning of their names (``ediffiqa``, ``fsanet``), because their shapes do not determine their input format. Landmark
models are recognised by their input of 192 x 192, as in insightface's loader.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from embedder.models.onnx_header import read_header
from embedder.models.pack import DETECTORS, ModelFile, task_of
from immich_facesets import face_requests, wire
from immich_facesets.errors import RequestError, SetupError
from immich_facesets.runtime.model_folder import EXTRA_FOLDER, check_pack

_POINTS = {2 * 106: 106, 2 * 68: 68, 3 * 1103: 68}
"""Points by the length of a landmark model's output; 1103 are those of a whole head, of which the last 68 are iBUG's."""

_MISSING = {
    face_requests.Enrichment.LANDMARKS: "2d106det.onnx or 1k3d68.onnx of insightface's packs",
    face_requests.Enrichment.POSE: "1k3d68.onnx of insightface's packs, or an FSA-Net (fsanet*.onnx)",
}


@dataclass(frozen=True, slots=True)
class EnrichmentFiles:
    """The further models found. The results of all ``poses`` are averaged, as their publisher does."""

    quality: ModelFile | None = None
    landmarks_106: ModelFile | None = None
    landmarks_68: ModelFile | None = None
    poses: tuple[ModelFile, ...] = ()

    @property
    def has_depth(self) -> bool:
        """Whether the 68 points come with their depth, which shows how the head is turned."""
        return self.landmarks_68 is not None and _numbers(self.landmarks_68) == 3 * 1103

    @property
    def offers(self) -> tuple[face_requests.Enrichment, ...]:
        """The measures that a request may name."""
        can_mark = self.landmarks_106 is not None or self.landmarks_68 is not None
        can_turn = bool(self.poses) or self.has_depth
        offered = {face_requests.Enrichment.LANDMARKS: can_mark, face_requests.Enrichment.POSE: can_turn}
        return tuple(measure for measure, is_there in offered.items() if is_there)

    def check(self, requested: frozenset[face_requests.Enrichment]) -> None:
        """Raise a ``RequestError`` that names the missing file when no model gives a requested measure."""
        for measure in sorted(requested.difference(self.offers)):
            raise RequestError(
                f"nothing here gives {measure}: put {_MISSING[measure]} into the model pack, or into the folder {EXTRA_FOLDER} of the "
                "models folder, and start the embedder again",
                status=400,
            )

    def infos(self) -> tuple[wire.ModelInfo, ...]:
        """The files with their digests; reads each whole the first time."""
        return tuple(file.info() for file in self._files())

    def _files(self) -> Iterator[ModelFile]:
        for file in (self.quality, self.landmarks_106, self.landmarks_68, *self.poses):
            if file is not None:
                yield file


NO_FILES = EnrichmentFiles()


def find_enrichment_files(models_dir: Path, pack: str) -> EnrichmentFiles:
    """
    The further models of a pack and of the folder ``extra``; the pack's own come first.

    A folder whose files are not those that were installed is a ``SetupError``, as for every pack.
    """
    found = EnrichmentFiles()
    for folder in (pack, EXTRA_FOLDER):
        if any((models_dir / folder).glob("*.onnx")):
            for file in _files_in(models_dir, folder):
                found = _with(found, file)
    return replace(found, poses=tuple({file.path.name: file for file in reversed(found.poses)}.values())[::-1])


def find_further_detectors(models_dir: Path, detector: ModelFile) -> tuple[ModelFile, ...]:
    """
    Return the detectors in the folder ``extra`` that can be asked beside the pack's own, by name.

    These are YuNet, and others of SCRFD's family that take the same inputs as the pack's own detector or inputs of any size.
    """
    if not any((models_dir / EXTRA_FOLDER).glob("*.onnx")):
        return ()
    own, shape = detector.info().sha256, _input_shape(detector)
    files = [file for file in _files_in(models_dir, EXTRA_FOLDER) if file.task in DETECTORS]
    fitting = [file for file in files if file.task == "yunet" or _input_shape(file) in {shape, (None, None)}]
    others = {file.info().sha256: file for file in fitting}
    return tuple(file for digest, file in others.items() if digest != own)


def _input_shape(file: ModelFile) -> tuple[int | None, ...]:
    return tuple(next(iter(file.header.inputs.values()))[2:])


def _files_in(models_dir: Path, folder: str) -> list[ModelFile]:
    installed = check_pack(models_dir, folder)
    headers = {name: read_header(installed.path / name) for name in installed.files}
    return [ModelFile(installed.path / name, task_of(name, header), header) for name, header in headers.items()]


def _with(found: EnrichmentFiles, file: ModelFile) -> EnrichmentFiles:
    """``found`` and this file, unless there is one of its kind already."""
    match file.task:
        case "quality" if found.quality is None:
            return replace(found, quality=file)
        case "pose":
            return replace(found, poses=(*found.poses, file))
        case "landmarks":
            points = _POINTS.get(_numbers(file) or 0)
            if points == 106 and found.landmarks_106 is None:
                return replace(found, landmarks_106=file)
            if points == 68 and found.landmarks_68 is None:
                return replace(found, landmarks_68=file)
            return found
        case _:
            return found


def _numbers(file: ModelFile) -> int | None:
    """How many numbers a model gives for one face."""
    return (next(iter(file.header.outputs.values())) or (None,))[-1]


def side_of(file: ModelFile, fallback: int) -> int:
    """The side of a model's square input in pixels; an input that is not square is a ``SetupError``."""
    height, width = next(iter(file.header.inputs.values()))[2:]
    if height != width:
        raise SetupError(f"{file.path} wants pictures of {width} x {height}: only square inputs are supported")
    return height or fallback
