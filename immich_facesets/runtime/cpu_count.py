"""The number of processor cores that this process may use."""

import math
import os
from pathlib import Path

CPU_MAX = Path("/sys/fs/cgroup/cpu.max")


def available_cores(quota: Path = CPU_MAX) -> int:
    """
    Return the number of cores that the scheduler and a container's quota allow, at least 1.

    ``os.cpu_count`` considers neither: in a container limited to two of 64 cores it returns 64. ``quota`` is the file
    of cgroup v2 with "<microseconds> <period>" or "max <period>".
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        share, period = quota.read_text(encoding="ascii").split()
        allowed = math.ceil(int(share) / int(period))
    except (OSError, ValueError, ZeroDivisionError):
        return cores
    return max(1, min(cores, allowed))
