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

from .. import __version__, protocol
from ..errors import InputError, ModelError

_REPORTED_PACKAGES = ("numpy", "openvino", "torch")


@dataclass
class Run:
    """One request under way: where its progress goes, and whether it is still wanted."""

    identifier: int
    send: Callable[[dict], None]
    stopped: threading.Event = field(default_factory=threading.Event)

    def progress(self, done: int, total: int, message: str) -> None:
        fraction = done / total if total else 0.0
        params = {"id": self.identifier, "fraction": fraction, "done": done, "total": total, "message": message}
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
    """The methods of the protocol; it keeps the model and the current image between them."""

    def __init__(self, engine: Engine):
        self._engine = engine
        self._predictor = None
        self._image = None
        self._prompters = {}
        self.methods = {
            "hello": self.hello,
            "load": self.load,
            "image": self.image,
            "segment": self.segment,
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

    def image(self, run: Run, array: str, ijk_to_ras: list, modality: str, name: str) -> dict:
        from ..volume import Volume

        self._image = None
        self._image = Volume(protocol.map_array(Path(array)), ijk_to_ras, modality, name)
        return {"shape": self._image.grid.shape}

    def segment(self, run: Run, output: str, region: list | None = None) -> dict:
        if self._predictor is None:
            raise ModelError("The worker has no model.", "Choose a model and let it load first.")
        if self._image is None:
            raise InputError("The worker has no image.", "Choose a volume first.")
        window = region and tuple(slice(start, stop) for start, stop in region)
        labels = self._predictor.segment(self._image, region=window, progress=run.progress, cancelled=run.cancelled)
        protocol.save_array(Path(output), labels.array)
        return {"labels": output, **self._predictor.report.to_dict()}

    def prompt(self, run: Run, prompts: dict, output: str, model: str = "") -> dict:
        """The structure that the prompts mean: `labels` is a file with a part of the grid that begins at `start`."""
        from ..prompts import Prompts

        if self._image is None:
            raise InputError("The worker has no image.", "Choose a volume first.")
        start = time.perf_counter()
        if model not in self._prompters:
            self._prompters[model] = self._engine.prompter(model)
        prompter = self._prompters[model]
        mask = prompter.segment(self._image, Prompts.from_dict(prompts), run.cancelled)
        protocol.save_array(Path(output), mask.array.astype("uint8"))
        seconds = time.perf_counter() - start
        return {"labels": output, "start": list(mask.start), "seconds": seconds, "device": prompter.device}


def _installed_versions() -> dict[str, str]:
    versions = {}
    for package in _REPORTED_PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions
