"""What a run took, and what its user should know about it."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Report:
    """Seconds of each step, the device, the windows, and sentences about anything out of the ordinary."""

    model: str
    device: str
    precision: str
    seconds: dict[str, float] = field(default_factory=dict)
    windows: int = 0
    windows_skipped: int = 0
    peak_memory_bytes: int = 0
    notes: list[str] = field(default_factory=list)

    @contextmanager
    def step(self, name: str):
        """Add the time spent inside to the step."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - start)

    def add(self, name: str, seconds: float) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    @property
    def total_seconds(self) -> float:
        return sum(self.seconds.values())

    def to_dict(self) -> dict:
        return {
            "model": self.model,
            "device": self.device,
            "precision": self.precision,
            "seconds": {name: round(value, 4) for name, value in self.seconds.items()},
            "total_seconds": round(self.total_seconds, 4),
            "windows": self.windows,
            "windows_skipped": self.windows_skipped,
            "peak_memory_bytes": self.peak_memory_bytes,
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class MemoryUse:
    """What this process occupies of a device's memory, and how much the device has, in bytes."""

    used_bytes: int
    total_bytes: int

    @staticmethod
    def of(device: str) -> MemoryUse:
        """On the device of this name, "cpu" or "cuda:0"."""
        if device.startswith("cuda"):
            import torch

            return MemoryUse(torch.cuda.memory_reserved(device), torch.cuda.mem_get_info(device)[1])
        import psutil

        return MemoryUse(psutil.Process().memory_info().rss, psutil.virtual_memory().total)


def peak_memory_bytes() -> int:
    """The largest resident memory of this process so far."""
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
