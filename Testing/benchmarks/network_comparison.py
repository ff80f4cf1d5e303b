"""Every network beside its peer: both in fresh processes, their forward calls in turn."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median

from measure import Step
from MedSegDLLib.networks.registry import NETWORKS
from network_agreement import Agreement
from network_peers import PEERS
from network_process import MEMORY_GIB, Failure, Process

SIZES = {2: [(256, 256)], 3: [(96, 96, 96), (64, 64, 64)]}
"""Of the image, by dimensions; a smaller one is taken where the memory does not suffice for the one before."""
QUICK_SIZES = {2: [(64, 64)], 3: [(64, 64, 64)]}
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Effort:
    """How long to measure: `repeat` runs of each, or as many as end within the seconds, but one at least."""

    repeat: int
    seconds: float
    threads: int
    sizes: dict[int, list[tuple[int, ...]]]


@dataclass
class Side:
    """What was found of ours, or of the peer's. Without runs there is a failure."""

    parameters: int | None = None
    flops: int | None = None
    bases: tuple[str, ...] = ()
    runs: list[Step] = field(default_factory=list)
    failure: str = ""
    out_of_memory: bool = False

    @property
    def wall_s(self) -> float:
        return median(run.wall_s for run in self._warm_runs())

    @property
    def cpu_s(self) -> float:
        return median(run.cpu_s for run in self._warm_runs())

    @property
    def growth_bytes(self) -> int:
        """From before the first call to the highest peak of any."""
        return max(run.peak_bytes for run in self.runs) - self.runs[0].start_bytes

    def _warm_runs(self) -> list[Step]:
        """Without the first, which sets up what later ones find, if there are others."""
        return self.runs[1:] or self.runs


@dataclass
class Row:
    """One network at one size. `theirs` is None where it has no peer."""

    name: str
    size: tuple[int, ...]
    ours: Side
    theirs: Side | None = None
    agreement: Agreement | None = None
    notes: list[str] = field(default_factory=list)


def compare(names: list[str], effort: Effort) -> Iterator[Row]:
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(effort.threads)))  # the processes inherit it
    for name in names:
        for dims in NETWORKS[name].spatial_dims:
            yield _row(name, effort.sizes[dims], effort)


def _row(name: str, sizes: list[tuple[int, ...]], effort: Effort) -> Row:
    """At the first size that the memory suffices for, or at the last."""
    too_large = []
    for size in sizes:
        row = _measure(name, size, effort)
        sides = [side for side in (row.ours, row.theirs) if side]
        if not any(side.out_of_memory for side in sides):
            break
        too_large.append(size)
    row.notes += [f"{'x'.join(map(str, size))} needs more than {MEMORY_GIB} GiB" for size in too_large]
    return row


def _measure(name: str, size: tuple[int, ...], effort: Effort) -> Row:
    peer = PEERS.get((name, len(size)))
    with ExitStack() as stack:
        measurements = [
            _Measurement(stack.enter_context(Process(name, size, ours, effort.threads)))
            for ours in ((True, False) if peer else (True,))
        ]
        for measurement in measurements:
            measurement.attempt(measurement.describe)
        _run_in_turn(measurements, effort)
        row = Row(name, size, *(measurement.side for measurement in measurements))
        if peer and not peer.difference and row.theirs.runs:
            try:
                row.agreement = measurements[1].process.agree()
            except Failure as failure:
                row.notes.append(str(failure))
        return row


def _run_in_turn(measurements: list[_Measurement], effort: Effort) -> None:
    """Ours, the peer, ours, the peer, and so on: what else the machine does then slows down both."""
    start = time.perf_counter()
    for _ in range(effort.repeat + 1):
        for measurement in measurements:
            measurement.attempt(measurement.run)
        if time.perf_counter() - start > effort.seconds:
            break


class _Measurement:
    """What is found of one process's network, until something fails."""

    def __init__(self, process: Process):
        self.process, self.side = process, Side()

    def attempt(self, action: Callable[[], None]) -> None:
        if not self.side.failure:
            try:
                action()
            except Failure as failure:
                self.side.failure, self.side.out_of_memory = str(failure), failure.out_of_memory

    def describe(self) -> None:
        found = self.process.describe()
        self.side.parameters, self.side.flops, self.side.bases = found.parameters, found.flops, found.bases

    def run(self) -> None:
        self.side.runs.append(self.process.forward())
        if self.side.flops is None:
            self.describe()
