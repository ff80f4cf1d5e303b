"""Seconds and memory of the steps of a run, from the kernel's own counters (Linux)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # proc(5): writing 5 sets the peak of the resident memory, VmHWM, back to its present value


@dataclass
class Step:
    """One step: without what ran in steps inside it, summed over its calls, memory of the whole process."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    calls: int = 0
    start_bytes: int = 0
    peak_bytes: int = 0


class Steps:
    """Measures named steps. One inside another is not counted twice: every moment belongs to the innermost step.

    steps = Steps()
    with steps("sliding window"):
        ...
    """

    def __init__(self):
        self.found: dict[str, Step] = {}
        self._open: list[str] = []
        self._mark = self._now()

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        self.begin(name)
        try:
            yield
        finally:
            self.end()

    def begin(self, name: str) -> None:
        self._attribute()
        step = self.found.setdefault(name, Step(start_bytes=_memory_bytes("VmRSS")))
        step.calls += 1
        self._open.append(name)

    def end(self) -> None:
        self._attribute()
        self._open.pop()

    def to_dict(self) -> dict[str, dict]:
        return {name: asdict(step) for name, step in self.found.items()}

    def _attribute(self) -> None:
        """What happened since the last mark goes to the innermost open step."""
        wall_s, cpu_s = self._now()
        if self._open:
            step = self.found[self._open[-1]]
            step.wall_s += wall_s - self._mark[0]
            step.cpu_s += cpu_s - self._mark[1]
            step.peak_bytes = max(step.peak_bytes, _memory_bytes("VmHWM"))
        _CLEAR_REFS.write_text(_RESET_PEAK)
        self._mark = self._now()

    @staticmethod
    def _now() -> tuple[float, float]:
        return time.perf_counter(), time.process_time()


def time_forward(network, steps: Steps) -> None:
    """Count every forward call of a torch module as the step "network"; its parameters keep their names."""
    network.register_forward_pre_hook(lambda *_: steps.begin("network"))
    network.register_forward_hook(lambda *_: steps.end())


def measure_call(call: Callable[[], object]) -> Step:
    """One call, measured on its own; what it returns is let go."""
    steps = Steps()
    with steps("call"):
        call()
    return steps.found["call"]


def _memory_bytes(field: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(field + ":"))
    return int(line.split()[1]) * 1024
