"""The service: a process that polls, remembers and shows."""

from immich_facesets.runtime.telemetry import switch_off_telemetry

switch_off_telemetry()  # before any module of this package loads a library
