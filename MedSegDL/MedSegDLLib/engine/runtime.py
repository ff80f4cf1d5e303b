"""A network on a device: OpenVINO on a CPU, torch on a GPU or where a model has no exported graph.

Both take one window and give its logits, and own the arrays in which the windows are summed, so that on a GPU nothing
is copied back before it is labels.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Protocol

import numpy as np

from ..bundle import Bundle
from ..errors import DeviceError, ModelError
from .devices import Device, supports_bf16
from .upsampling import LabelUpsampler


class Runtime(Protocol):
    """`__call__` takes a window (k, j, i) float32 and returns logits (classes, k, j, i) in an array of its own kind."""

    classes: int
    precision: str

    def __call__(self, window: np.ndarray): ...

    def unmirrored(self, logits, steps: tuple[int, int, int]):
        """Turn back the logits of a window that was mirrored along the axes whose step is -1."""

    def zeros(self, shape: tuple[int, ...]): ...

    def upload(self, array: np.ndarray): ...

    def upsampler(self, shape: tuple[int, int, int], out: np.ndarray, class_values: np.ndarray):
        """Something with `push(logits)` that writes labels into `out`."""


class OpenVinoRuntime:
    """The bundle's exported graph on a CPU, without torch.

    Args:
        bundle: one with a graph.
        precision: "f32" or "bf16"; the latter counts only where the processor has it.
        threads: cores to use; None for all.
    """

    def __init__(self, bundle: Bundle, precision: str, threads: int | None = None):
        import openvino

        self.classes = bundle.spec.network.out_channels
        self.precision = precision if precision == "f32" or supports_bf16() else "f32"
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": self.precision,
            "CACHE_DIR": str(_cache_folder()),
        }
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        try:
            compiled = openvino.Core().compile_model(str(bundle.graph_path), "CPU", settings)
        except RuntimeError as error:
            raise ModelError(
                f"The exported graph of '{bundle.name}' cannot be read.", "Install the model again.", str(error)
            ) from error
        self._request = compiled.create_infer_request()
        self._check_output(bundle, compiled)

    def __call__(self, window: np.ndarray) -> np.ndarray:
        two_dimensional = len(self._input_shape) == 4
        tensor = window[None] if two_dimensional else window[None, None]
        logits = next(iter(self._request.infer({0: tensor}, share_inputs=True).values()))[0]
        return logits[:, None] if two_dimensional else logits

    def unmirrored(self, logits: np.ndarray, steps: tuple[int, int, int]) -> np.ndarray:
        return logits[(slice(None), *(slice(None, None, step) for step in steps))]

    def zeros(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.zeros(shape, dtype=np.float32)

    def upload(self, array: np.ndarray) -> np.ndarray:
        return array

    def upsampler(self, shape, out, class_values) -> LabelUpsampler:
        return LabelUpsampler(shape, out, class_values)

    def _check_output(self, bundle: Bundle, compiled) -> None:
        self._input_shape = tuple(compiled.input(0).shape)
        classes = compiled.output(0).shape[1]
        if classes != self.classes:
            raise ModelError(
                f"The exported graph of '{bundle.name}' has {classes} classes, its labels need {self.classes}.",
                "Export the model again.",
            )


def make_runtime(bundle: Bundle, device: Device, precision: str, threads: int | None) -> Runtime:
    """The fastest way to run the bundle on the device. Raises ModelError or DeviceError."""
    if device.name == "cpu" and bundle.graph_path:
        return OpenVinoRuntime(bundle, precision, threads)
    try:
        from .torch_runtime import TorchRuntime
    except ImportError as error:
        raise DeviceError(
            f"'{bundle.name}' needs PyTorch here, and it is not installed.",
            "Install PyTorch, or choose a model with an exported graph and the CPU.",
            str(error),
        ) from error
    return TorchRuntime(bundle, device.name, precision, threads)


def _cache_folder() -> Path:
    """Where OpenVINO keeps compiled graphs: a second start loads in a fraction of the time."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library/Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return base / "MedSegDL" / "graphs"
