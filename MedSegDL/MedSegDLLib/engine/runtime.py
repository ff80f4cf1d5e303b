"""A network on a device: OpenVINO on a CPU, torch on a GPU or where a model has no exported graph.

Both take one window and give its logits, and own the arrays in which the windows are summed, so that on a GPU nothing
is copied back before it is labels.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from typing import Protocol

import numpy as np

from ..bundle import Bundle
from ..errors import DeviceError, ModelError
from ..folders import cache_folder
from .devices import Device, supports_bf16
from .upsampling import LabelUpsampler


class Runtime(Protocol):
    """A network on a device.

    `__call__` takes a window (channels, k, j, i) float32 and returns logits (classes, k, j, i) in an array of the
    device's kind, which lasts until the next call.
    """

    classes: int
    precision: str

    def __call__(self, window: np.ndarray): ...

    def unmirrored(self, logits, steps: tuple[int, int, int]):
        """Turn back the logits of a window that was mirrored along the axes whose step is -1."""

    def add_weighted(self, total, logits, weight) -> None:
        """Add logits (classes, k, j, i) times weight (k, j, i) to the total; the logits may be overwritten."""

    def zeros(self, shape: tuple[int, ...]): ...

    def upload(self, array: np.ndarray): ...

    def upsampler(self, shape: tuple[int, int, int], out: np.ndarray, class_values: np.ndarray):
        """Something with `push(logits)` that writes labels into `out`."""


class OpenVinoRuntime:
    """The bundle's exported graph on a CPU, without torch.

    Args:
        bundle: one with a graph.
        precision: "f32", or "bf16" where the processor has it.
        threads: cores to use; None for all.
    """

    def __init__(self, bundle: Bundle, precision: str, threads: int | None = None):
        from .private_openvino import openvino

        self.classes = bundle.spec.network.out_channels
        self.precision = precision
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": self.precision, **_cache(bundle)}
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        try:
            compiled = openvino.Core().compile_model(str(bundle.graph_path), "CPU", settings)
        except RuntimeError as error:
            raise ModelError(
                f"The exported graph of '{bundle.name}' cannot be read.", "Install the model again.", str(error)
            ) from error
        self._request = compiled.create_infer_request()
        self._two_dimensional = bundle.spec.network.spatial_dims == 2
        self._check_shapes(bundle, compiled)

    def __call__(self, window: np.ndarray) -> np.ndarray:
        tensor = (window[:, 0] if self._two_dimensional else window)[None]
        logits = next(iter(self._request.infer({0: tensor}, share_inputs=True, share_outputs=True).values()))[0]
        return logits[:, None] if self._two_dimensional else logits

    def unmirrored(self, logits: np.ndarray, steps: tuple[int, int, int]) -> np.ndarray:
        return logits[(slice(None), *(slice(None, None, step) for step in steps))]

    def add_weighted(self, total: np.ndarray, logits: np.ndarray, weight: np.ndarray) -> None:
        for layer in range(len(weight)):  # a layer fits the processor's cache, and is then read only once
            part = logits[:, layer]
            part *= weight[layer]
            total[:, layer] += part

    def zeros(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.zeros(shape, dtype=np.float32)

    def upload(self, array: np.ndarray) -> np.ndarray:
        return array

    def upsampler(self, shape, out, class_values) -> LabelUpsampler:
        return LabelUpsampler(shape, out, class_values)

    def _check_shapes(self, bundle: Bundle, compiled) -> None:
        window = bundle.spec.patch_kji[-bundle.spec.network.spatial_dims :]
        wanted = [[1, bundle.spec.network.in_channels, *window], [1, self.classes, *window]]
        found = [list(port.partial_shape.get_max_shape()) for port in (*compiled.inputs, *compiled.outputs)]
        if found != wanted:
            raise ModelError(
                f"The exported graph of '{bundle.name}' has the input and output {found}, "
                f"its description has {wanted}.",
                "Export the model again.",
            )


def make_runtime(bundle: Bundle, device: Device, precision: str, threads: int | None) -> Runtime:
    """The fastest way to run the bundle on the device. Raises ModelError or DeviceError."""
    if device.name == "cpu" and precision == "bf16" and not supports_bf16():
        precision = "f32"
    if device.name == "cpu" and bundle.graph_path:
        return OpenVinoRuntime(bundle, precision, threads)
    try:
        from .torch_runtime import TorchRuntime
    except (ImportError, OSError) as error:  # OSError: a library that torch wants is missing or broken
        raise DeviceError(
            f"'{bundle.name}' needs PyTorch here, and it cannot be imported.",
            "Install PyTorch, or choose a model with an exported graph and the CPU.",
            str(error),
        ) from error
    return TorchRuntime(bundle, device.name, precision, threads)


def _cache(bundle: Bundle) -> dict[str, str]:
    """OpenVINO's setting for where it keeps the compiled graph; none where that folder cannot be written.

    A folder for each content, since OpenVINO tells files apart by path and time, and an unpacked update may keep both.
    """
    content = hashlib.sha256("".join(bundle.checksums.values()).encode()).hexdigest()
    folder = cache_folder() / "graphs" / content[:16]
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    return {"CACHE_DIR": str(folder)} if os.access(folder, os.W_OK) else {}
