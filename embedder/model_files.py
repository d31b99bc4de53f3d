"""Which file of a pack does what: told by what a model takes and gives, as insightface's loader does."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from embedder.onnx_header import OnnxHeader, read_header
from immich_facesets import wire
from immich_facesets.errors import SetupError
from immich_facesets.packs import RECOGNISERS, RecogniserFamily, pack_licence, recogniser_family
from immich_facesets.runtime.model_folder import digest_file, find_pack

Task = Literal["detection", "recognition", "landmarks", "attributes", "other"]


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One model of a pack."""

    path: Path
    task: Task
    header: OnnxHeader

    @property
    def name(self) -> str:
        return self.path.name

    def info(self) -> wire.ModelInfo:
        """Its task, name and digest; reads the whole file the first time."""
        return wire.ModelInfo(task=self.task, name=self.name, sha256=digest_file(self.path))


@dataclass(frozen=True, slots=True)
class ModelPack:
    """The two models of a pack that we use, and what is known about them."""

    name: str
    licence: str
    family: RecogniserFamily
    detector: ModelFile
    recogniser: ModelFile
    left_alone: tuple[str, ...]

    @property
    def mean(self) -> float:
        return 0.0 if self.recogniser.header.normalises_input else self.family.mean

    @property
    def std(self) -> float:
        return 1.0 if self.recogniser.header.normalises_input else self.family.std


def classify(header: OnnxHeader) -> Task:
    """
    What a model is for.

    SCRFD with landmarks gives scores, boxes and points for three strides (9 outputs) or five (15). The recogniser is
    told from landmark (192 x 192) and attribute models (96 x 96) by its square input of 112 or more and one vector.
    """
    shape = next(iter(header.inputs.values()))
    if len(shape) != 4 or shape[1] != 3:
        return "other"
    if len(header.outputs) in {9, 15}:
        return "detection"
    height, width = shape[2:]
    if len(header.inputs) != 1 or len(header.outputs) != 1 or height != width or height is None:
        return "other"
    if height == 192:
        return "landmarks"
    if height == 96:
        return "attributes"
    length = (next(iter(header.outputs.values())) or (None,))[-1]
    is_vector = length is None or length >= 128
    return "recognition" if height >= 112 and height % 16 == 0 and is_vector else "other"


def open_pack(models_dir: Path, pack: str) -> ModelPack:
    """The pack with exactly one detector and one known recogniser; anything else is a ``SetupError`` that says what."""
    installed = find_pack(models_dir, pack)
    files: list[ModelFile] = []
    for name in installed.files:
        header = read_header(installed.path / name)
        files.append(ModelFile(installed.path / name, classify(header), header))
    detector = _only(files, "detection", pack, "an SCRFD detector with landmarks (9 or 15 outputs)")
    recogniser = _only(files, "recognition", pack, "a recogniser (square input of 112 or more, one vector)")
    family = recogniser_family(recogniser.name)
    if family is None:
        raise SetupError(
            f"{recogniser.path} is a recognition model of an unknown family: its normalisation and operating points are "
            f"not known. Known families by file name: {', '.join(sorted(RECOGNISERS))}"
        )
    others = tuple(item.name for item in files if item is not detector and item is not recogniser)
    return ModelPack(pack, pack_licence(pack, recogniser.name), family, detector, recogniser, others)


def _only(files: list[ModelFile], task: Task, pack: str, description: str) -> ModelFile:
    fitting = [item for item in files if item.task == task]
    match fitting:
        case [one]:
            return one
        case []:
            seen = ", ".join(f"{item.name} ({item.task})" for item in files)
            raise SetupError(f"the model pack {pack} lacks {description}; it holds {seen}")
        case _:
            names = ", ".join(item.name for item in fitting)
            raise SetupError(f"the model pack {pack} must hold exactly one model for {task}, not {names}")
