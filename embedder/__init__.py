"""The embedder: a process that owns the models and turns the faces of pictures into vectors."""

from immich_facesets.runtime.telemetry import switch_off_telemetry

switch_off_telemetry()  # before any module of this package loads a library
