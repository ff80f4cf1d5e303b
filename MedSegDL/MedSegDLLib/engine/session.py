"""What the worker does for each request, with the model and the image that it keeps between them.

Heavy imports happen inside the methods that need them: `hello` answers at once, and can say what is missing.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import os
import platform
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .. import __version__, protocol
from ..errors import InputError, ModelError

if TYPE_CHECKING:
    from .report import MemoryUse

_REPORTED_PACKAGES = ("numpy", "openvino", "torch")


@dataclass
class Run:
    """One request under way: where its progress goes, and whether it is still wanted."""

    identifier: int
    send: Callable[[dict], None]
    stopped: threading.Event = field(default_factory=threading.Event)

    def progress(self, done: int, total: int, message: str, memory: MemoryUse) -> None:
        fraction = done / total if total else 0.0
        params = {"id": self.identifier, "fraction": fraction, "done": done, "total": total, "message": message}
        params |= {"memory_bytes": memory.used_bytes, "device_bytes": memory.total_bytes}
        self.send(protocol.notification("progress", params))

    def cancelled(self) -> bool:
        return self.stopped.is_set()


class Engine:
    """What a session runs; a test puts another in its place."""

    def devices(self) -> list[dict]:
        from .devices import list_devices

        return [device.to_dict() for device in list_devices()]

    def predictor(self, folder: str, device: str, options: dict):
        from ..bundle import Bundle
        from .predictor import Predictor

        return Predictor(Bundle.load(folder), device=device, **options)

    def prompter(self, model: str):
        """The prompter of a model's folder; without a model the one that needs no training."""
        if model:
            raise ModelError("This version has no prompting models.", "Choose the built-in prompter.")
        from .prompting import FrontPrompter

        return FrontPrompter()


class Session:
    """The methods of the protocol; it keeps the model and the current image, or images, between them."""

    def __init__(self, engine: Engine):
        self._engine = engine
        self._predictor = None
        self._images = ()
        self._prompters = {}
        self.methods = {
            "hello": self.hello,
            "load": self.load,
            "image": self.image,
            "segment": self.segment,
            "warm": self.warm,
            "prompt": self.prompt,
        }

    def hello(self, run: Run) -> dict:
        importlib.import_module("numpy")  # without it nothing works: better to fail now, and say so
        return {
            "protocol": protocol.VERSION,
            "version": __version__,
            "python": platform.python_version(),
            "executable": sys.executable,
            "platform": platform.platform(),
            "pid": os.getpid(),
            "devices": self._engine.devices(),
            "packages": _installed_versions(),
        }

    def load(self, run: Run, model: str, device: str, options: dict) -> dict:
        start = time.perf_counter()
        self._predictor = None  # two models at once may not fit on the device
        self._predictor = self._engine.predictor(model, device, options)
        return {
            "device": self._predictor.device,
            "seconds": time.perf_counter() - start,
            "messages": list(self._predictor.messages),
        }

    def image(self, run: Run, images: list[dict]) -> dict:
        """Take in the current images, one for each channel of a model: each an `array` file and its place."""
        from ..volume import Volume

        self._images = ()
        self._images = tuple(
            Volume(protocol.map_array(Path(image["array"])), image["ijk_to_ras"], image["modality"], image["name"])
            for image in images
        )
        return {"shapes": [image.grid.shape for image in self._images]}

    def segment(self, run: Run, output: str, region: list | None = None, keep_largest: bool | None = None) -> dict:
        predictor = self._predictor
        if predictor is None:
            raise ModelError("The worker has no model.", "Choose a model and let it load first.")
        self._check_image()
        labels = predictor.segment(
            self._images,
            region=region and tuple(slice(start, stop) for start, stop in region),
            progress=lambda *step: run.progress(*step, predictor.memory_use()),
            cancelled=run.cancelled,
            keep_largest=keep_largest,
        )
        protocol.save_array(Path(output), labels.array)
        return {"labels": output, **predictor.report.to_dict()}

    def warm(self, run: Run, model: str = "") -> dict:
        """Compute of the image what every prompt needs."""
        self._check_image()
        start = time.perf_counter()
        self._prompter(model).warm(self._images[0], run.cancelled)
        return {"seconds": time.perf_counter() - start}

    def prompt(
        self, run: Run, prompts: dict, output: str, model: str = "", smoothing_mm: float = 0.0, islands: str = "all"
    ) -> dict:
        """The structure that the prompts mean: `labels` is a file with a part of the grid that begins at `start`."""
        from ..prompts import Prompts
        from .prompting.finishing import finished

        self._check_image()
        start = time.perf_counter()
        image, drawn, prompter = self._images[0], Prompts.from_dict(prompts), self._prompter(model)
        mask = prompter.segment(image, drawn, run.cancelled)
        mask = finished(mask, image.grid, drawn, smoothing_mm, islands)
        protocol.save_array(Path(output), mask.array.astype("uint8"))
        seconds = time.perf_counter() - start
        return {"labels": output, "start": list(mask.start), "seconds": seconds, "device": prompter.device}

    def _check_image(self) -> None:
        if not self._images:
            raise InputError("The worker has no image.", "Choose a volume first.")

    def _prompter(self, model: str):
        if model not in self._prompters:
            self._prompters[model] = self._engine.prompter(model)
        return self._prompters[model]


def _installed_versions() -> dict[str, str]:
    versions = {}
    for package in _REPORTED_PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions
