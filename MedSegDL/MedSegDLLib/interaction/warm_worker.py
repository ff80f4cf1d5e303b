"""The worker as the effect keeps it: alive, and acquainted with the image before the first click."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from pathlib import Path

from ..connection import Request
from ..errors import CancelledError, MedSegError
from ..prompts import Point, Prompts
from ..volume import Volume
from .effect_ports import Worker


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
        self._warming: list[Request] = []  # what its start still owes; nobody waits for it
        self._started_at = 0.0
        self._warm_for: Hashable | None = None
        self._image: Request | None = None
        self._devices: dict[str, str] = {}

    @property
    def is_running(self) -> bool:
        return self._worker.is_running

    @property
    def is_warming(self) -> bool:
        self._warming = [request for request in self._warming if not request.done]
        return bool(self._warming)

    @property
    def is_looking(self) -> bool:
        """Whether it has not yet taken in the image."""
        return self._image is not None and not self._image.done

    @property
    def seconds_since_start(self) -> float:
        return self._clock() - self._started_at

    def describe(self, device: str) -> str:
        """What a person calls the device."""
        return self._devices.get(device) or device

    def ensure(self) -> None:
        """Have a living process.

        Raises:
            WorkerError: it cannot be started.
        """
        if not self._worker.is_running:
            self._started_at, self._warm_for = self._clock(), None
            self._warming = [*self._worker.begin_restart(), self._worker.begin_hello(self._welcomed)]

    def warm_up(self, key: Hashable | None, image: Callable[[], Volume], model: Path | None) -> None:
        """Let it load what the first click needs, by a click in the middle that nobody made.

        Args:
            key: of the image; None where there is none, and the process only starts.
        """
        self.ensure()
        if key is not None and key != self._warm_for:
            volume, self._warm_for = image(), key
            self._image = self._worker.begin_image(volume)
            middle = Prompts([Point(tuple(volume.grid.center_ras))])
            self._warming.append(self._worker.begin_prompt(middle, model, _ignore))

    def ask(self, image: Volume, prompts: Prompts, model: Path | None, on_done: Callable[[Request], None]) -> Request:
        """Ask for what the prompts mean; it need not wait for the click that nobody made."""
        self.stop_warming()
        self.ensure()
        self._image = self._worker.begin_image(image)
        return self._worker.begin_prompt(prompts, model, on_done)

    def stop_warming(self) -> None:
        for request in self._warming:
            if request.method == "prompt":
                self._worker.cancel(request)

    def when_free(self, on_done: Callable[[Request], None]) -> Request:
        """Be told when all that was asked before is done with."""
        return self._worker.begin_hello(on_done)

    def cancel(self, request: Request) -> None:
        self._worker.cancel(request)

    def poll(self) -> None:
        self._worker.poll()

    def _welcomed(self, greeting: Request) -> None:
        if greeting.error is None:
            devices = greeting.result().get("devices", ())
            self._devices = {device["name"]: device.get("description", "") for device in devices}
        elif not isinstance(greeting.error, CancelledError):
            self._on_failure(greeting.error)


def _ignore(request: Request) -> None:
    """What came of warming up shows at the first click."""
