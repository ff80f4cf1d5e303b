"""A model at work on the whole image, or on a region, for the effect."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

import numpy as np

from ..bundle import Bundle
from ..client import SegmentResult
from ..connection import Request
from ..errors import MedSegError
from ..labels import Label
from ..volume import Volume
from .effect_ports import Choices, Region, Runner, Scene
from .installing import Prepare
from .progress import ProgressClock
from .warm_worker import WarmWorker


@dataclass
class Run:
    """What was chosen when it began, and what is known by now; without requests while the packages are looked at."""

    bundle: Bundle
    labels: tuple[Label, ...]
    region: Region | None
    choices: Choices
    key: Hashable  # of the scene when it began
    started: float
    load: Request | None = None
    request: Request | None = None
    clock: ProgressClock = field(default_factory=ProgressClock)


@dataclass(frozen=True)
class Written:
    """What a run wrote: millilitres of what was found, the names of what was not, and how long it took on what."""

    found: list[tuple[str, float]]
    missing: list[str]
    seconds: float
    device: str


class EffectRun:
    """One run at a time. One that is given up is over at once, while the worker gets to the end of its window.

    Args:
        on_done: called with the run and its request when the worker has answered.
        on_failed: called with why a run could not be sent to the worker.
        on_stopped: called when the worker is free again after a run was given up.
        prepare: asked before each run.
        clock: seconds.
    """

    def __init__(
        self,
        worker: WarmWorker,
        runner: Runner,
        scene: Scene,
        on_done: Callable[[Run, Request], None],
        on_failed: Callable[[MedSegError], None],
        on_stopped: Callable[[], None],
        prepare: Prepare,
        clock: Callable[[], float],
    ):
        self._worker = worker
        self._runner = runner
        self._scene = scene
        self._on_done = on_done
        self._on_failed = on_failed
        self._on_stopped = on_stopped
        self._prepare = prepare
        self._clock = clock
        self._stopping: Request | None = None
        self.current: Run | None = None

    @property
    def is_stopping(self) -> bool:
        return self._stopping is not None

    @property
    def is_busy(self) -> bool:
        return self.current is not None or self.is_stopping

    @property
    def is_outdated(self) -> bool:
        """Whether it segments other nodes than those there now."""
        return self.current is not None and self._scene.key() != self.current.key

    def begin(self, bundle: Bundle, labels: tuple[Label, ...], choices: Choices) -> None:
        """Returns at once; where it is over then, `on_failed` was told why. Raises MedSegError."""
        image, region = self._scene.image(), self._scene.region(choices.where)
        run = self.current = Run(bundle, labels, region, choices, self._scene.key(), self._clock())
        self._prepare(bundle, choices.device, lambda reason: self._prepared(run, image, reason))

    def _prepared(self, run: Run, image: Volume, reason: str) -> None:
        """Of a run that was given up meanwhile nobody wants to know."""
        if run is not self.current:
            return
        try:
            if reason:
                raise MedSegError(reason)
            self._send(run, image)
        except MedSegError as error:
            self.current = None
            self._on_failed(error)

    def _send(self, run: Run, image: Volume) -> None:
        choices = run.choices
        self._worker.stop_warming()
        self._worker.ensure()
        run.load = self._runner.begin_load(run.bundle, choices.device, **choices.options)
        run.request = self._runner.begin_label(
            image, run.bundle, choices.device, run.region, self._count, self._done, **choices.options
        )

    def stop(self) -> None:
        """Give the run up; the worker stops at its next window and then answers the greeting."""
        was_sent = self.current is not None and self.current.request is not None
        self.give_up()
        if was_sent and self._worker.is_running:
            self._stopping = self._worker.when_free(self._stopped)

    def give_up(self) -> None:
        """The same, without waiting for the worker."""
        run, self.current, self._stopping = self.current, None, None  # so that their last words are of no interest
        if run and run.request:
            self._worker.cancel(run.request)

    def write(self, run: Run, result: SegmentResult) -> Written:
        """Into the scene. A region says nothing of what lies outside it, so there the segments keep what they have.

        Raises:
            MedSegError: it cannot be written.
        """
        labelmap = result.labels
        self._scene.write_structures(labelmap, run.labels, "add" if run.region else "set")
        counts = {label.name: int(np.count_nonzero(labelmap.array == label.value)) for label in run.labels}
        found = [(name, count * labelmap.grid.voxel_volume_ml) for name, count in counts.items() if count]
        missing = [name for name, count in counts.items() if not count]
        device = self._worker.describe(result.report.get("device", ""))
        return Written(found, missing, self._clock() - run.started, device)

    def _count(self, done: int, total: int, message: str) -> None:
        if self.current:
            self.current.clock.count(done, total, message, self._clock())

    def _done(self, request: Request) -> None:
        run = self.current
        if run is None or (run.request is not None and request is not run.request):
            return  # it was given up
        self.current = None
        self._on_done(run, request)

    def _stopped(self, greeting: Request) -> None:
        if greeting is self._stopping:
            self._stopping = None
            self._on_stopped()
