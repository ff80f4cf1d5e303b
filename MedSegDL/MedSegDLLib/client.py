"""The worker's client: what Slicer, a script and a test use in place of the engine itself.

    with Worker() as worker:
        worker.load(model_folder)
        worker.set_image(volume)
        result = worker.segment(on_progress=print)

`load`, `set_image`, `segment`, `warm`, `prompt`, `hello` and `restart` block; each has a `begin_...` that does not, for
a GUI: it returns a `Request`, and `poll` or `feed` calls its `on_done` when the time has come. Requests are answered in
order, so a GUI may send all three at once and only listen to the last. Everything is called on one thread.
"""

from __future__ import annotations

import contextlib
import tempfile
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from . import protocol
from .connection import Connection, Request
from .errors import CancelledError, WorkerError
from .prompts import Prompts
from .volume import Grid, Volume, as_volumes
from .worker_process import SubprocessTransport, Transport, find_python, worker_command, worker_environment

START_TIMEOUT_SECONDS = 60.0

Region = tuple[slice, slice, slice]
OnProgress = Callable[[int, int, str], None]
OnDone = Callable[[Request], None]
Islands = Literal["all", "clicked"]


@dataclass(frozen=True)
class SegmentResult:
    """Labels on the image's own grid, and how they came about: seconds a step, device, memory, notes."""

    labels: Volume
    report: dict


@dataclass(frozen=True)
class PromptedMask(Volume):
    """The structure that was meant: 1 inside, 0 outside (uint8), on the part of the image's grid that holds it.

    Args:
        seconds: what the worker needed for it.
        device: where it was computed.
    """

    seconds: float = 0.0
    device: str = ""


class Worker:
    """One worker process, started by the first request and kept warm; after its death `restart` brings it back.

    Args:
        python: the Python that runs it; see `find_python` for the default.
        log_path: file that takes whatever the worker prints; by default in a private folder, gone with `close`.
        command: the whole command line, in place of the default one.
        transport: the pipe; by default a child process and a thread.
        start_timeout_seconds: how long the first answer may take.
    """

    def __init__(
        self,
        python: str | None = None,
        log_path: str | Path | None = None,
        command: list[str] | None = None,
        transport: Transport | None = None,
        start_timeout_seconds: float = START_TIMEOUT_SECONDS,
    ):
        self._python = python
        self._command = command
        self._log_path = log_path
        self._connection = Connection(transport or SubprocessTransport(), start_timeout_seconds)
        self._temporary: tempfile.TemporaryDirectory | None = None
        self._file_count = 0
        self._model: Request | None = None
        self._image: Request | None = None
        self._image_arrays: tuple[weakref.ref[np.ndarray], ...] = ()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    @property
    def is_running(self) -> bool:
        return self._connection.is_open

    @property
    def model(self) -> Request | None:
        """The request that loaded the model which the worker has, or is about to have; None without one."""
        return self._model

    @property
    def folder(self) -> Path:
        """Private to this client (mode 0700), for the arrays that the two exchange."""
        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="medseg-", ignore_cleanup_errors=True)
        return Path(self._temporary.name)

    @property
    def log_path(self) -> Path:
        return Path(self._log_path or self.folder / "worker.log")

    def hello(self) -> dict:
        """Versions, devices and their free memory."""
        return self.wait(self.begin_hello())

    def load(self, model_folder: str | Path, device: str = "auto", **options: Any) -> dict:
        """Load a model; returns the device in use, seconds, and messages about fall-backs.

        Raises:
            ModelError: missing or damaged.
            DeviceError: no such device, or no room on it.
        """
        return self.wait(self.begin_load(model_folder, device, **options))

    def set_image(self, volumes: Volume | Sequence[Volume]) -> None:
        """Make a volume the current image, or several for a model of several channels; see `begin_image`."""
        self.wait(self.begin_image(volumes))

    def segment(
        self,
        region: Region | None = None,
        on_progress: OnProgress | None = None,
        cancelled: Callable[[], bool] | None = None,
        keep_largest: bool | None = None,
    ) -> SegmentResult:
        """Segment the current image, or a region (slices for k, j, i) of it, with the model; see `begin_segment`.

        Raises:
            MedSegError: what the engine met; CancelledError soon after `cancelled` returned True.
        """
        request = self.begin_segment(region, on_progress, keep_largest=keep_largest)
        return self.wait(request, cancelled=cancelled)

    def warm(self, model: str | Path | None = None) -> None:
        """Let the prompter look at the current image before anybody clicks; see `begin_warm`."""
        self.wait(self.begin_warm(model))

    def prompt(
        self,
        prompts: Prompts,
        model: str | Path | None = None,
        cancelled: Callable[[], bool] | None = None,
        smoothing_mm: float = 0.0,
        islands: Islands = "all",
    ) -> PromptedMask:
        """The structure of the current image that the prompts mean; see `begin_prompt`.

        Raises:
            InputError: no prompt says what belongs to the structure, or one lies outside the image.
            MedSegError: what else the engine met; CancelledError soon after `cancelled` returned True.
        """
        request = self.begin_prompt(prompts, model, smoothing_mm=smoothing_mm, islands=islands)
        return self.wait(request, cancelled=cancelled)

    def restart(self) -> None:
        """Start a new process that has the same model and image."""
        for request in self.begin_restart():
            self.wait(request)

    def close(self) -> None:
        """End the worker and remove the private folder."""
        self._connection.shut_down()
        self._model = self._image = None
        if self._temporary:
            self._temporary.cleanup()
            self._temporary = None

    def wait(
        self,
        request: Request,
        timeout_seconds: float | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Any:
        """The result of a request that was begun; see `Connection.wait`."""
        return self._connection.wait(request, timeout_seconds, cancelled)

    def poll(self) -> None:
        """Take in what the worker has sent, and notice its death; call it every now and then, it never blocks."""
        self._connection.poll()

    def feed(self, line: bytes) -> None:
        """Take in one line of the worker, from a transport that calls back."""
        self._connection.feed(line)

    def cancel(self, request: Request) -> None:
        """Give a request up: it is done at once, with a CancelledError; the worker stops at its next window."""
        self._connection.cancel(request)

    def begin_hello(self, on_done: OnDone | None = None) -> Request:
        self._ensure_running()
        return self._greet(on_done)

    def begin_load(
        self, model_folder: str | Path, device: str = "auto", on_done: OnDone | None = None, **options: Any
    ) -> Request:
        params = {"model": str(Path(model_folder).absolute()), "device": device, "options": options}
        self._model = self._begin("load", params, on_done=on_done)
        return self._model

    def begin_image(self, volumes: Volume | Sequence[Volume]) -> Request:
        """Send a volume, unless it is the current image already: the same array object in the same place.

        An array that was changed in place is told apart only by a new object, such as a copy or a view.

        Args:
            volumes: several for a model of several channels, in their order; labels lie on the grid of the first,
                and prompts are about the first.

        Raises:
            OutputError: the private folder's disk is full.
        """
        volumes = as_volumes(volumes)
        if not self._is_current(volumes):
            images = [{"array": self._saved(volume.array), **_place(volume)} for volume in volumes]
            self._send_image({"images": images})
            self._image_arrays = tuple(weakref.ref(volume.array) for volume in volumes)
        return self._image

    def begin_segment(
        self,
        region: Region | None = None,
        on_progress: OnProgress | None = None,
        on_done: OnDone | None = None,
        keep_largest: bool | None = None,
    ) -> Request:
        """Ask for the labels of the current image; the request's result is a `SegmentResult`.

        Args:
            region: slices for k, j, i; outside it everything is background.
            keep_largest: whether only the largest connected piece of each structure stays; None: as the model says.
        """
        output = self._new_file("labels")
        image = self._image
        return self._begin(
            "segment",
            {
                "region": region and [[part.start, part.stop] for part in region],
                "output": str(output),
                "keep_largest": keep_largest,
            },
            interpret=lambda reply: _read_result(image.params, reply),
            on_progress=on_progress,
            on_done=on_done,
            builds_on=tuple(filter(None, (self._model, image))),
            clean_up=lambda: _remove(output),
        )

    def begin_warm(self, model: str | Path | None = None, on_done: OnDone | None = None) -> Request:
        """Have the prompter look at the current image, so that the first prompt costs no more than the next ones.

        A prompt may be sent right away: it is answered after this, and needs what this computes.

        Args:
            model: see `begin_prompt`.
        """
        image = self._image
        builds_on = (image,) if image else ()
        return self._begin("warm", {"model": _model_folder(model)}, on_done=on_done, builds_on=builds_on)

    def begin_prompt(
        self,
        prompts: Prompts,
        model: str | Path | None = None,
        on_done: OnDone | None = None,
        smoothing_mm: float = 0.0,
        islands: Islands = "all",
    ) -> Request:
        """Ask for the structure that the prompts mean; the request's result is a `PromptedMask`.

        Args:
            prompts: all of them, as each answer starts afresh.
            model: folder of a prompting model; None for the prompter that needs no training, which needs no `load`.
            smoothing_mm: standard deviation of the Gaussian that smooths the outline; every prompt is still honoured.
            islands: "clicked" keeps only the connected pieces that hold a prompt which includes.
        """
        output = self._new_file("mask")
        image = self._image
        return self._begin(
            "prompt",
            {
                "prompts": prompts.to_dict(),
                "output": str(output),
                "model": _model_folder(model),
                "smoothing_mm": smoothing_mm,
                "islands": islands,
            },
            interpret=lambda reply: _read_mask(image.params, reply),
            on_done=on_done,
            builds_on=(image,) if image else (),
            clean_up=lambda: _remove(output),
        )

    def begin_restart(self) -> list[Request]:
        """Start a new process and send it the model and the image that the old one had; returns these requests."""
        self._connection.abort(CancelledError("The worker was restarted."))
        model, image = self._model, self._image
        self._model = self._image = None
        self._start()
        if _succeeded(model):
            self._model = self._begin("load", model.params)
        if _succeeded(image):
            self._send_image(image.params)
        return [request for request in (self._model, self._image) if request]

    def _begin(self, method: str, params: dict, **arguments: Any) -> Request:
        self._ensure_running()
        return self._connection.begin(method, params, **arguments)

    def _ensure_running(self) -> None:
        if self.is_running:
            return
        if self._connection.end:
            raise self._connection.end.with_traceback(None)
        self._start()

    def _start(self) -> None:
        command = self._command or worker_command(find_python(self._python))
        self._connection.open(command, worker_environment(command[0]), self.log_path)
        self._greet(self._part_unless_welcome)

    def _greet(self, on_done: OnDone | None) -> Request:
        return self._connection.begin("hello", {}, interpret=_checked_greeting, on_done=on_done)

    def _part_unless_welcome(self, greeting: Request) -> None:
        if greeting.error:
            self._connection.abort(greeting.error)

    def _send_image(self, params: dict) -> None:
        former = self._image.params["images"] if self._image else []
        self._image = self._begin("image", params, clean_up=lambda: _remove(*(Path(one["array"]) for one in former)))

    def _is_current(self, volumes: tuple[Volume, ...]) -> bool:
        if self._image is None or self._image.error or len(volumes) != len(self._image_arrays):
            return False
        known = zip(self._image_arrays, self._image.params["images"])
        return all(
            array() is volume.array and _place(volume).items() <= image.items()
            for volume, (array, image) in zip(volumes, known)
        )

    def _saved(self, array: np.ndarray) -> str:
        path = self._new_file("image")
        protocol.save_array(path, array)
        return str(path)

    def _new_file(self, stem: str) -> Path:
        self._file_count += 1
        return self.folder / f"{stem}-{self._file_count}.npy"


def _checked_greeting(reply: dict) -> dict:
    if reply.get("protocol") != protocol.VERSION:
        raise WorkerError(
            f"The worker speaks version {reply.get('protocol')} of the protocol, this program {protocol.VERSION}.",
            "Install the same version of MedSegDL on both sides.",
        )
    return reply


def _place(volume: Volume) -> dict:
    return {"ijk_to_ras": volume.ijk_to_ras.tolist(), "modality": volume.modality, "name": volume.name}


def _model_folder(model: str | Path | None) -> str:
    return str(Path(model).absolute()) if model else ""


def _read_result(params: dict, reply: dict) -> SegmentResult:
    image = params["images"][0]
    report = {key: value for key, value in reply.items() if key != "labels"}
    array = np.array(protocol.map_array(Path(reply["labels"])))
    return SegmentResult(Volume(array, np.array(image["ijk_to_ras"]), image["modality"], image["name"]), report)


def _read_mask(params: dict, reply: dict) -> PromptedMask:
    image = params["images"][0]
    array = np.array(protocol.map_array(Path(reply["labels"])))
    region = tuple(slice(start, start + size) for start, size in zip(reply["start"], array.shape))
    grid = Grid(array.shape, np.array(image["ijk_to_ras"])).cropped(region)
    return PromptedMask(array, grid.ijk_to_ras, image["modality"], image["name"], reply["seconds"], reply["device"])


def _succeeded(request: Request | None) -> bool:
    return request is not None and request.done and request.error is None


def _remove(*paths: Path) -> None:
    for file in (*paths, *map(protocol.partial_path, paths)):
        with contextlib.suppress(OSError):  # Windows keeps a file that the worker maps; `close` removes the folder
            file.unlink()
