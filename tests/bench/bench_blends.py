"""
Which vector stands best for a person: the mean, median or mode of vectors, or one face's.

It takes the people of LFW with eight faces or more, whose vectors of unit length are in FACESETS_TEST_DATA. Half of a
person's faces are blended, and compared with the other half. ReActor blends in the first three ways. Run: python tests/bench/bench_blends.py
"""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
Blend = Callable[[NDArray[np.float64]], NDArray[np.float64]]

LEAST_FACES, TURNS = 8, 20
BLENDS: dict[str, Blend] = {
    "mean": lambda rows: np.asarray(rows.mean(axis=0)),
    "median": lambda rows: np.asarray(np.median(rows, axis=0)),
    "mode": lambda rows: np.asarray(rows.min(axis=0)),  # of numbers that are all different: the least
    "one face": lambda rows: rows[0],
    "the face nearest to the mean": lambda rows: rows[int((unit(rows) @ unit(rows.mean(axis=0))).argmax())],
}


def unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True))


def main() -> None:
    data = Path(os.environ.get("FACESETS_TEST_DATA") or ROOT.parent / "shared") / "data"
    found = np.load(data / "lfw_embeddings.npz")
    vectors = found["embedding"].astype(np.float64)
    people: dict[str, list[int]] = {}
    for row in np.flatnonzero(found["nfaces"]).tolist():
        people.setdefault(str(found["identity"][row]), []).append(row)
    people = {name: rows for name, rows in people.items() if len(rows) >= LEAST_FACES}
    dice = np.random.default_rng(0)
    likeness: dict[str, list[float]] = {name: [] for name in BLENDS}
    for rows in people.values():
        for _ in range(TURNS):
            order = dice.permutation(rows)
            some, others = vectors[order[: len(rows) // 2]], unit(vectors[order[len(rows) // 2 :]])
            for name, blend in BLENDS.items():
                likeness[name].append(float((others @ unit(blend(some))).mean()))
    print(f"{len(people)} people, {sum(map(len, people.values()))} faces; mean cosine to the other half:")
    for name, values in likeness.items():
        print(f"  {name:30} {np.mean(values):.3f}   worst {np.min(values):.3f}")


if __name__ == "__main__":
    main()
