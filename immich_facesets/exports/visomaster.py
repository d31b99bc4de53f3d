"""
Embeddings for VisoMaster: a JSON list of people, each with one vector for each recogniser that made one.

The key names the recogniser, and a swapper trusts it. The program forgets its list of people when it loads another, so there is also one of everybody.
"""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from immich_facesets.exports.profile import FacesetLayout, FacesetProfile, PickedFaces
from immich_facesets.exports.swapper_space import DIMENSION, requirement_of
from immich_facesets.imports.manifests import MANIFEST

KEY = "Inswapper128ArcFace"
"""The recogniser of the Inswapper model (``swapper_space``)."""

EVERYBODY_FILE = "Everybody.json"


def embedding_file(title: str, vectors: NDArray[np.float32]) -> bytes:
    """
    Return one person. ``vectors``: (n, 512), of the recogniser's own length, n at least 1; their mean is written.

    The reader averages the vectors that its recogniser gives, and does not scale them. One of unit length would almost
    vanish beside one of its own.
    """
    if vectors.ndim != 2 or vectors.shape[1] != DIMENSION or len(vectors) == 0:
        raise ValueError(f"{KEY} takes vectors of {DIMENSION} numbers, one at least")
    values = [round(float(value), 8) for value in vectors.astype(np.float64).mean(axis=0)]
    people = [{"name": title, "embedding_store": {KEY: values}}]
    return _encoded(people)


def _encoded(people: Sequence[dict[str, Any]]) -> bytes:
    return (json.dumps(people, ensure_ascii=True, allow_nan=False) + "\n").encode()


def _file(person: str) -> str:
    """Return the file of a person, which the reader's window shows; never that of our manifest."""
    name = f"{person}.json"
    return f"_{name}" if name.casefold() == MANIFEST else name


def lay_out(picked: PickedFaces) -> FacesetLayout:
    """Return one file of embeddings, without pictures."""
    if picked.vectors is None or len(picked.vectors) != len(picked.faces):
        raise ValueError("visomaster needs the vector of every face")
    body = embedding_file(picked.title, picked.vectors)
    return FacesetLayout((None,) * len(picked.faces), {_file(picked.person): body})


def combine(files: Sequence[bytes]) -> dict[str, bytes]:
    """Return one file of all the people in these, in the order of their names, as the reader's window lists them."""
    people = [person for file in files for person in json.loads(file)]
    people.sort(key=lambda person: (person["name"].casefold(), person["name"]))
    return {EVERYBODY_FILE: _encoded(people)}


VISOMASTER = FacesetProfile(
    name="visomaster",
    is_for_swapping=True,
    has_pictures=False,
    needs_vectors=True,
    require_space=requirement_of("visomaster"),
    usual_faces=30,  # one vector, of which every face is a part
    lay_out=lay_out,
    combine=combine,
)
