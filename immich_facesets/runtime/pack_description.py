"""
Descriptions of models in a pack's folder, for models that are not known by name.

``facesets.toml`` is our format, written by users who add a model of their own::

    licence = "CC BY 4.0, trained by me"

    [recognisers.my_model]        # the file my_model.onnx
    mean = 127.5                  # (x - mean) / std normalises its input.
    std = 127.5

``manifest.json`` (version 2) comes with the packs of insightface 2 and later: which file has which task, how its input
is normalised, and the file's digest. Fields that we do not use are ignored there, and refused in our own file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import msgspec

from immich_facesets.errors import SetupError
from immich_facesets.spaces import OperatingPoints

NOTES_NAME = "facesets.toml"
MANIFEST_NAME = "manifest.json"
LICENCE_NAME = "MODEL.LICENSE"
_MOST_BYTES = 1 << 20

Distance = Annotated[float, msgspec.Meta(gt=0, lt=2)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
Length = Annotated[int, msgspec.Meta(gt=0, le=65536)]


class Distances(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Measured operating points of a recogniser: all are required, because the defaults belong to another model."""

    match: Distance
    cluster: Distance
    merge: Distance
    drop: Distance
    outlier: Distance
    near: Distance = 0.05

    def points(self) -> OperatingPoints:
        return OperatingPoints(**msgspec.structs.asdict(self))


class RecogniserNote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """
    The description of one recogniser; None where a value is not given.

    ``family`` names the distribution of its vectors: a known family, or a new name. ``input`` is the side of its square
    input in pixels, ``dimension`` the length of a vector; both are read from the model where it states them.
    """

    family: str | None = None
    mean: float | None = None
    std: Positive | None = None
    colours: Literal["rgb", "bgr"] = "rgb"
    input: Length | None = None
    dimension: Length | None = None
    distances: Distances | None = None


@dataclass(frozen=True, slots=True)
class PackNotes:
    """
    The description in a folder, empty unless it holds one of the two files.

    ``recognisers`` by file name without ``.onnx``; ``detector`` and ``recogniser`` are the files of a manifest,
    ``digests`` their stated SHA-256.
    """

    licence: str | None = None
    recognisers: Mapping[str, RecogniserNote] = field(default_factory=dict)
    detector: str | None = None
    recogniser: str | None = None
    digests: Mapping[str, str] = field(default_factory=dict)


def read_notes(folder: Path) -> PackNotes:
    """Return the description in a pack's folder; our own file takes precedence. An invalid file is a ``SetupError``."""
    manifest, own = folder / MANIFEST_NAME, folder / NOTES_NAME
    try:
        notes = _read_manifest(_bounded(manifest)) if manifest.is_file() else PackNotes()
    except (ValueError, RecursionError) as error:
        raise SetupError(f"{manifest} cannot be used: {error}") from None
    if not own.is_file():
        return notes
    description = _read_own(_bounded(own), own)
    recognisers = {name.removesuffix(".onnx"): note for name, note in description.recognisers.items()}
    return replace(notes, licence=description.licence, recognisers={**notes.recognisers, **recognisers})


def stated_licence(data: bytes) -> str | None:
    """Return the licence that the content of a ``facesets.toml`` states, None when it states none."""
    return _read_own(data, NOTES_NAME).licence


def _bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MOST_BYTES)


def _read_own(data: bytes, where: object) -> "_OwnNotes":
    try:
        return msgspec.toml.decode(data, type=_OwnNotes)
    except (ValueError, RecursionError) as error:
        raise SetupError(f"{where} cannot be used: {error}") from None


class _OwnNotes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    licence: str | None = None
    recognisers: dict[str, RecogniserNote] = {}


class _Normalisation(msgspec.Struct, frozen=True):
    mean: float
    std: Positive


class _Task(msgspec.Struct, frozen=True):
    file: str
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")] | None = None
    preprocessing: _Normalisation | Literal["embedded"] | None = None
    embedding_dimension: Length | None = None
    input_size: tuple[Length, Length] | None = None

    @property
    def name(self) -> str:
        """Return the base name: an installed pack is flat."""
        return PurePosixPath(self.file).name

    def normalisation(self, default: _Normalisation) -> _Normalisation:
        match self.preprocessing:
            case None:
                return default
            case _Normalisation() as stated:
                return stated
            case _:
                return _Normalisation(0.0, 1.0)


class _Tasks(msgspec.Struct, frozen=True):
    detection: _Task
    recognition: _Task


class _Version(msgspec.Struct, frozen=True):
    manifest_version: object = None


class _Manifest(msgspec.Struct, frozen=True):
    tasks: _Tasks


def _read_manifest(data: bytes) -> PackNotes:
    """Return the notes of a manifest of version 2; other versions contain nothing usable about their models."""
    if msgspec.json.decode(data, type=_Version).manifest_version != 2:
        return PackNotes()
    tasks = msgspec.json.decode(data, type=_Manifest).tasks
    detector, recogniser = tasks.detection, tasks.recognition
    if detector.normalisation(DETECTOR) != DETECTOR:
        raise msgspec.ValidationError("its detector wants another normalisation than SCRFD, which is not supported")
    size = recogniser.input_size or (None, None)
    if size[0] != size[1]:
        raise msgspec.ValidationError("its recogniser wants an input that is not square, which is not supported")
    stated = recogniser.normalisation(RECOGNISER)
    note = RecogniserNote(mean=stated.mean, std=stated.std, input=size[0], dimension=recogniser.embedding_dimension)
    return PackNotes(
        recognisers={PurePosixPath(recogniser.name).stem: note},
        detector=detector.name,
        recogniser=recogniser.name,
        digests={task.name: task.sha256 for task in (detector, recogniser) if task.sha256 is not None},
    )


DETECTOR, RECOGNISER = _Normalisation(127.5, 128.0), _Normalisation(127.5, 127.5)
"""Defaults of a manifest without normalisation. SCRFD's is the only normalisation we use for a detector."""
