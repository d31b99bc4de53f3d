"""insightface, configured as the programs that read face sets configure it."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from testdata import shared_data


def face_reader() -> Any:
    """A ``FaceAnalysis`` with the small models of the test data; skips where they are missing."""
    root = str(shared_data() / "data")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings of libraries that insightface imports
        from insightface.app import FaceAnalysis  # noqa: PLC0415  # slow, and only where the models are

        app = FaceAnalysis(
            name="bench_s",
            root=root,
            providers=["CPUExecutionProvider"],
            allowed_modules=["detection", "recognition"],
        )
    app.prepare(ctx_id=-1, det_size=(640, 640))
    return app


def detected(reader: Any, picture: NDArray[np.uint8]) -> list[Any]:
    """Every face that a reader finds in a BGR picture."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a warning of scikit-image, which insightface calls in a deprecated way
        return list(reader.get(picture))
