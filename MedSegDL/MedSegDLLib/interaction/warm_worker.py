"""The worker as the effect keeps it: alive, and acquainted with the image before the first click."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from enum import Enum, auto
from pathlib import Path

from ..connection import Request
from ..errors import CancelledError, MedSegError
from ..prompts import Prompts
from ..volume import Volume
from .effect_ports import PromptOptions, Worker


class Warming(Enum):
    """What the worker does before the first click."""

    STARTING = auto()
    LOADING = auto()  # a prompting model, and the image into it
    LOOKING = auto()


class WarmWorker:
    """Starts the worker when it is needed, and again after its death.

    Args:
        worker: the process.
        clock: seconds.
        on_failure: told why the process could not begin, when nobody has asked it for anything yet.
    """

    def __init__(self, worker: Worker, clock: Callable[[], float], on_failure: Callable[[MedSegError], None]):
        self._worker = worker
        self._clock = clock
        self._on_failure = on_failure
        self._starting: list[Request] = []  # what its start still owes; nobody waits for it
        self._warm: Request | None = None
        self._began_at = 0.0
        self._warm_for: tuple[Hashable, Path | None] | None = None
        self._image: Request | None = None
        self.devices: tuple[dict, ...] = ()

    @property
    def is_running(self) -> bool:
        return self._worker.is_running

    @property
    def warming(self) -> Warming | None:
        """None once it is warm."""
        if not all(request.done for request in self._starting):
            return Warming.STARTING
        if self._warm is None or self._warm.done:
            return None
        _, model = self._warm_for
        return Warming.LOADING if model else Warming.LOOKING

    @property
    def is_looking(self) -> bool:
        """Whether it has not yet taken in the image, or what every prompt needs of it."""
        return any(request is not None and not request.done for request in (self._image, self._warm))

    @property
    def seconds_warming(self) -> float:
        return self._clock() - self._began_at

    def describe(self, device: str) -> str:
        """What a person calls the device."""
        return next((one.get("description", "") for one in self.devices if one["name"] == device), "") or device

    def ensure(self) -> None:
        """Have a living process.

        Raises:
            WorkerError: it cannot be started.
        """
        if not self._worker.is_running:
            self._began_at, self._warm_for, self._warm = self._clock(), None, None
            self._starting = [*self._worker.begin_restart(), self._worker.begin_hello(self._welcomed)]

    def warm_up(self, key: Hashable | None, image: Callable[[], Volume], model: Path | None) -> None:
        """Let it load what the first click needs, so that this costs no more than the second.

        Args:
            key: of the image; None where there is none, and the process only starts.
            model: folder of a prompting model; None for the prompter that needs no training.
        """
        self.ensure()
        if key is None or (key, model) == self._warm_for:
            return
        if not self.warming:
            self._began_at = self._clock()
        self.stop_warming()
        self._image = self._worker.begin_image(image())
        self._warm_for = key, model
        self._warm = self._worker.begin_warm(model)

    def ask(
        self, image: Volume, prompts: Prompts, options: PromptOptions, on_done: Callable[[Request], None]
    ) -> Request:
        """Ask for what the prompts mean; what warms up goes on, since the answer needs what comes of it."""
        self.ensure()
        self._image = self._worker.begin_image(image)
        return self._worker.begin_prompt(prompts, options.model, on_done, options.smoothing_mm, options.islands)

    def stop_warming(self) -> None:
        if self._warm and not self._warm.done:
            self._warm_for = None  # it is to be done again
            self._worker.cancel(self._warm)

    def when_free(self, on_done: Callable[[Request], None]) -> Request:
        """Be told when all that was asked before is done with."""
        return self._worker.begin_hello(on_done)

    def cancel(self, request: Request) -> None:
        self._worker.cancel(request)

    def poll(self) -> None:
        self._worker.poll()

    def _welcomed(self, greeting: Request) -> None:
        if greeting.error is None:
            self.devices = tuple(greeting.result().get("devices", ()))
        elif not isinstance(greeting.error, CancelledError):
            self._on_failure(greeting.error)
