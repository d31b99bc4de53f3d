"""How many processor cores this process may really use."""

import math
import os
from pathlib import Path

CPU_MAX = Path("/sys/fs/cgroup/cpu.max")


def available_cores(quota: Path = CPU_MAX) -> int:
    """
    The cores that the scheduler and a container's quota leave us, at least 1.

    ``os.cpu_count`` sees neither: in a container held to two of 64 cores it says 64. ``quota`` is the file of cgroup v2
    with "<microseconds> <period>" or "max <period>".
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        share, period = quota.read_text(encoding="ascii").split()
        allowed = math.ceil(int(share) / int(period))
    except (OSError, ValueError, ZeroDivisionError):
        return cores
    return max(1, min(cores, allowed))
