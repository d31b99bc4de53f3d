"""
Telemetry of libraries: off in this process and its children.

ONNX Runtime 1.31 writes a device id and a database into the home folder when it is imported. Later it looks up a host of
its maker. So the environment is set before any module of a process loads a library.
"""

import os

_OFF = {"ORT_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
"""The variable of ONNX Runtime, and the one that several other libraries read."""


def switch_off_telemetry() -> None:
    """Set the variables that libraries read when they load, whatever they were set to before."""
    os.environ.update(_OFF)
