"""How many processor cores this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Final

_CGROUPS: Final = Path("/sys/fs/cgroup")


def usable_cores(cgroups: Path = _CGROUPS) -> int:
    """Cores that the process may run on, or fewer where its container has a share of their time only.

    ``docker run --cpus 1.5``, ``cpus:`` in compose and Kubernetes' limits leave a container all cores, and
    stop it when its time is used up: more threads than that take from one another.
    A part of a core counts as one.

    Args:
        cgroups: Where control groups are mounted; in a container its own group is the topmost there.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(cores, _share(cgroups))))


def _share(cgroups: Path) -> float:
    """Cores' worth of time that the topmost control group may use; infinite where nothing bounds it."""
    try:
        if (version_2 := cgroups / "cpu.max").is_file():
            quota, period = version_2.read_text().split()
        else:
            quota, period = (
                (cgroups / "cpu" / f"cpu.cfs_{what}_us").read_text() for what in ("quota", "period")
            )
        return int(quota) / int(period) if int(quota) > 0 else math.inf
    except (OSError, ValueError, ZeroDivisionError):  # not mounted, or "max"
        return math.inf
