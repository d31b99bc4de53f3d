"""The roles of a pack's files, recognised by the models' inputs and outputs as in insightface's loader."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from embedder.models.onnx_header import OnnxHeader, read_header
from immich_facesets import wire
from immich_facesets.errors import SetupError
from immich_facesets.model_packs import RECOGNISERS, UNKNOWN_LICENCE, RecogniserFamily, recogniser_family
from immich_facesets.runtime.model_folder import check_pack, digest_file
from immich_facesets.runtime.pack_description import MANIFEST_NAME, NOTES_NAME, PackNotes, RecogniserNote
from immich_facesets.spaces import EmbeddingSpace, OperatingPoints, SpaceRecogniser

SHARES_NAME = "FACESETS_EMBEDDER_RECOGNISERS"

Task = Literal["detection", "yunet", "recognition", "landmarks", "attributes", "quality", "pose", "other"]
_YUNET_OUTPUTS = {f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in (8, 16, 32)}
DETECTORS: tuple[Task, ...] = ("detection", "yunet")
_BY_NAME: Mapping[str, Task] = MappingProxyType({"ediffiqa": "quality", "fsanet": "pose"})
"""Beginnings of the names of models whose shapes alone do not determine their task."""

NOTHING_SAID = RecogniserNote()


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
class KnownRecogniser:
    """
    A recognition model whose input is known, and its share of the space.

    The folder's notes take precedence over the graph, and the graph over the defaults of its family.
    """

    file: ModelFile
    family: RecogniserFamily
    weight: float = 1.0
    note: RecogniserNote = NOTHING_SAID

    @property
    def mean(self) -> float:
        """``(x - mean) / std`` normalises the input."""
        own = 0.0 if self.file.header.normalises_input else self.family.mean
        return own if self.note.mean is None else self.note.mean

    @property
    def std(self) -> float:
        own = 1.0 if self.file.header.normalises_input else self.family.std
        return own if self.note.std is None else self.note.std

    @property
    def side(self) -> int:
        """The side of its input in pixels: what the model states, otherwise the noted or family value."""
        return next(iter(self.file.header.inputs.values()))[2] or self.note.input or self.family.side


@dataclass(frozen=True, slots=True)
class ModelPack:
    """
    The models of a pack that we use, and what is known about them. There is at least one recogniser.

    ``recorded`` says whether its files were compared with digests recorded at install.
    """

    name: str
    licence: str
    detector: ModelFile
    recognisers: tuple[KnownRecogniser, ...]
    left_alone: tuple[str, ...]
    recorded: bool = False

    @property
    def recogniser(self) -> ModelFile:
        """The file of the first recogniser."""
        return self.recognisers[0].file

    @property
    def family(self) -> str:
        """
        The key of the operating points. Several recognisers are a family of their own, shares included: distances
        measured for one of them, or with other shares, do not apply to the sum.
        """
        if len(self.recognisers) == 1:
            return self.recognisers[0].family.name
        return "+".join(f"{item.family.name}:{item.weight:g}" for item in self.recognisers)

    @property
    def distances(self) -> OperatingPoints | None:
        """Operating points stated in a user's notes; None for known models, and for several together."""
        notes = [item.note.distances for item in self.recognisers]
        return notes[0].points() if len(notes) == 1 and notes[0] is not None else None

    def space(self, alignment: str, *, flip: bool) -> EmbeddingSpace:
        """The space of the vectors that these models give for crops aligned so."""
        recognisers = (
            SpaceRecogniser(item.file.info().sha256, item.mean, item.std, item.weight, item.note.colours)
            for item in self.recognisers
        )
        return EmbeddingSpace(self.detector.info().sha256, tuple(recognisers), alignment, flip=flip)


def classify(header: OnnxHeader) -> Task:
    """
    Return the task of a model.

    SCRFD with landmarks gives scores, boxes and points for three strides (9 outputs) or five (15). YuNet gives two
    kinds of scores, boxes and points for three, under names of its own. A recogniser has a square input of 112 or more
    and one vector; landmark models take 192 x 192, attribute models 96 x 96.
    """
    shape = next(iter(header.inputs.values()))
    if len(shape) != 4 or shape[1] != 3:
        return "other"
    if len(header.outputs) in {9, 12, 15}:
        is_yunet = header.outputs.keys() == _YUNET_OUTPUTS
        return "yunet" if is_yunet else "other" if len(header.outputs) == 12 else "detection"
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


def task_of(name: str, header: OnnxHeader) -> Task:
    """Return a file's task: by its name where only that determines it, otherwise by its inputs and outputs."""
    tasks = (task for beginning, task in _BY_NAME.items() if name.lower().startswith(beginning))
    return next(tasks, None) or classify(header)


def open_pack(
    models_dir: Path,
    pack: str,
    shares: Mapping[str, float] | None = None,
) -> ModelPack:
    """
    The pack with exactly one detector and its known recognisers; anything else is a ``SetupError`` with the reason.

    ``shares``: which recognisers, by file name without ``.onnx``, and their weights, which add up to 1. None takes the
    only one there is.
    """
    installed = check_pack(models_dir, pack)
    notes = installed.notes
    files: list[ModelFile] = []
    for name in installed.files:
        header = read_header(installed.path / name)
        is_said = Path(name).stem in notes.recognisers
        task = "recognition" if is_said else task_of(name, header)
        files.append(ModelFile(installed.path / name, task, header))
    named = {name for name in (notes.detector, notes.recogniser) if name is not None}
    absent = named - set(installed.files)
    if absent:
        raise SetupError(
            f"{installed.path / MANIFEST_NAME} names {', '.join(sorted(absent))}, which is not beside it: install the pack again"
        )
    asked = [item for item in files if not named or item.name in named or item.path.stem in (shares or {})]
    detector = _only(asked, DETECTORS, pack, "an SCRFD detector with landmarks (9 or 15 outputs), or YuNet")
    recognisers = tuple(_known(file, weight, notes) for file, weight in _chosen(asked, pack, shares))
    sides = {item.side for item in recognisers}
    if len(sides) > 1:
        raise SetupError(
            f"the recognisers of {pack} take inputs of {' and '.join(map(str, sorted(sides)))} pixels: only models that "
            "see the same crop can make one space"
        )
    used = {detector.name, *(item.file.name for item in recognisers)}
    others = tuple(item.name for item in files if item.name not in used)
    return ModelPack(pack, installed.licence, detector, recognisers, others, recorded=installed.digests is not None)


def _chosen(files: list[ModelFile], pack: str, shares: Mapping[str, float] | None) -> list[tuple[ModelFile, float]]:
    """The recognition models that the settings name with their weights; the only one when they name none."""
    fitting = {item.path.stem: item for item in files if item.task == "recognition"}
    if shares is None and len(fitting) > 1:
        raise SetupError(
            f"the model pack {pack} holds several recognition models: set {SHARES_NAME} to one of "
            f"{', '.join(fitting)}, or to a weighted sum of them such as {','.join(f'{name}:0.5' for name in fitting)}"
        )
    if shares is None:
        return [(_only(files, ("recognition",), pack, "a recogniser (square input of 112 or more, one vector)"), 1.0)]
    missing = [name for name in shares if name not in fitting]
    if missing:
        raise SetupError(
            f"{SHARES_NAME} names {', '.join(missing)}, but the recognition models of {pack} are "
            f"{', '.join(fitting) or 'none'}"
        )
    return [(fitting[name], weight) for name, weight in shares.items()]


def _known(file: ModelFile, weight: float, notes: PackNotes) -> KnownRecogniser:
    """
    Return the recogniser with the data of its family: the one that the notes name, else that of its file's name, else
    that of its content. An unknown family needs the normalisation in the notes, unless the graph has it.
    """
    note = notes.recognisers.get(file.path.stem, NOTHING_SAID)
    if note.family is not None:
        family = RECOGNISERS.get(note.family)
    else:
        family = recogniser_family(file.name) or recogniser_family(file.name, file.info().sha256)
    if family is not None:
        return KnownRecogniser(file, family, weight, note)
    if not file.header.normalises_input and (note.mean is None or note.std is None):
        raise SetupError(
            f"{file.path} is a recognition model of an unknown family: how its input is normalised is not known. Write "
            f"into {file.path.parent / NOTES_NAME} a section [recognisers.{file.path.stem}] with mean and std, for "
            "(pixel - mean) / std, or with family, if it is one of the known ones "
            f"({', '.join(sorted(RECOGNISERS))}); docs/models.md lists what else may stand there"
        )
    mean, std = (0.0 if note.mean is None else note.mean), (1.0 if note.std is None else note.std)
    licence = notes.licence or UNKNOWN_LICENCE
    own = RecogniserFamily(note.family or file.path.stem, note.dimension, mean, std, licence)
    return KnownRecogniser(file, own, weight, note)


def _only(files: list[ModelFile], tasks: Sequence[Task], pack: str, description: str) -> ModelFile:
    fitting = [item for item in files if item.task in tasks]
    match fitting:
        case [one]:
            return one
        case []:
            seen = ", ".join(f"{item.name} ({item.task})" for item in files)
            raise SetupError(f"the model pack {pack} lacks {description}; it holds {seen}")
        case _:
            names = ", ".join(item.name for item in fitting)
            raise SetupError(f"the model pack {pack} must hold exactly one model for {tasks[0]}, not {names}")
