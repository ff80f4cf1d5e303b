"""A network in torch: half precision on CUDA, bf16 or fp32 on a CPU."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from ..bundle import Bundle
from ..errors import DeviceError, ModelError
from ..networks import create
from .upsampling import LabelUpsampler

_SLAB_BYTES = 256 << 20  # interpolated logits of a few layers, on the device


class TorchRuntime:
    """The bundle's network with its weights.

    Args:
        bundle: any valid bundle.
        device: a torch device, "cuda:0" or "cpu".
        precision: on a CPU "f32" or "bf16"; CUDA always runs in fp16.
        threads: processor cores to use; None for torch's own choice.
    """

    def __init__(self, bundle: Bundle, device: str, precision: str, threads: int | None = None):
        if threads:
            torch.set_num_threads(threads)
        self._device = torch.device(device)
        self.classes = bundle.spec.network.out_channels
        self.precision = "f16" if self._device.type == "cuda" else precision
        self._dtype = {"f16": torch.float16, "bf16": torch.bfloat16, "f32": None}[self.precision]
        torch.backends.cudnn.benchmark = True  # every window has the same size
        self._network = load_network(bundle).to(self._device).eval()
        self._two_dimensional = bundle.spec.network.spatial_dims == 2

    @torch.no_grad()
    def __call__(self, window: np.ndarray) -> torch.Tensor:
        tensor = self.upload(window)
        tensor = (tensor[:, 0] if self._two_dimensional else tensor)[None]
        try:
            with torch.autocast(self._device.type, self._dtype, enabled=self._dtype is not None):
                logits = self._network(tensor)[0].float()
        except torch.OutOfMemoryError as error:
            free, total = torch.cuda.mem_get_info(self._device)
            raise DeviceError(
                f"The GPU ran out of memory with {free / 2**30:.1f} of {total / 2**30:.1f} GB free.",
                "Close other programs that use the GPU, or choose the CPU.",
                str(error),
            ) from error
        return logits[:, None] if self._two_dimensional else logits

    def unmirrored(self, logits: torch.Tensor, steps: tuple[int, int, int]) -> torch.Tensor:
        axes = [axis for axis, step in enumerate(steps, start=1) if step < 0]
        return logits.flip(axes) if axes else logits

    def add_weighted(self, total: torch.Tensor, logits: torch.Tensor, weight: torch.Tensor) -> None:
        total.addcmul_(logits, weight)

    def zeros(self, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.zeros(shape, device=self._device)

    def upload(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(self._device)

    def upsampler(self, shape: tuple[int, int, int], out: np.ndarray, class_values: np.ndarray):
        if self._device.type == "cpu":
            return _FromTensors(LabelUpsampler(shape, out, class_values))
        return SlabUpsampler(shape, out, class_values)


class SlabUpsampler:
    """`LabelUpsampler` for a GPU, where interpolating every class is cheap as long as it is done in slabs."""

    def __init__(self, shape: tuple[int, int, int], out: np.ndarray, class_values: np.ndarray):
        self._shape = tuple(shape)
        self._out = out
        self._values = class_values
        self._pending = None
        self._received = self._written = 0

    def push(self, logits: torch.Tensor) -> None:
        """Add layers (classes, n, j, i) and write every label that they decide."""
        first = self._received
        self._received += logits.shape[1]
        if self._pending is not None:
            logits, first = torch.cat((self._pending, logits), dim=1), first - 1
        self._pending = logits[:, -1:].clone()
        position = self._positions(logits.device)
        end = len(position)
        if self._received < self._shape[0]:
            end = int(torch.searchsorted(position, float(self._received - 1)))
        step = max(1, _SLAB_BYTES // (4 * len(logits) * self._out.shape[1] * self._out.shape[2]))
        for start in range(self._written, end, step):
            voxels = slice(start, min(start + step, end))
            self._out[voxels] = self._labels(logits, position[voxels] - first)
        self._written = end

    def _positions(self, device: torch.device) -> torch.Tensor:
        """Where the output's layers lie among the logits' layers."""
        samples, voxels = self._shape[0], self._out.shape[0]
        position = (torch.arange(voxels, device=device) + 0.5) * (samples / voxels) - 0.5
        return position.clamp(0, samples - 1)

    def _labels(self, logits: torch.Tensor, position: torch.Tensor) -> np.ndarray:
        low = position.long().clamp(max=max(logits.shape[1] - 2, 0))
        high = (low + 1).clamp(max=logits.shape[1] - 1)
        weight = (position - low)[:, None, None]
        layers = logits[:, low] * (1 - weight) + logits[:, high] * weight
        in_plane = F.interpolate(layers, self._out.shape[1:], mode="bilinear", align_corners=False)
        return self._values[in_plane.argmax(dim=0).to(torch.uint8).cpu().numpy()]


class _FromTensors:
    def __init__(self, upsampler: LabelUpsampler):
        self._upsampler = upsampler

    def push(self, logits: torch.Tensor) -> None:
        self._upsampler.push(logits.numpy())


def load_network(bundle: Bundle) -> torch.nn.Module:
    """The bundle's network with its weights in fp32. Raises ModelError where they do not fit each other."""
    network = bundle.spec.network
    try:
        module = create(
            network.name, network.spatial_dims, network.in_channels, network.out_channels, **network.arguments
        )
        module.load_state_dict({name: t.float() for name, t in load_file(bundle.weights_path).items()})
    except (ValueError, TypeError, RuntimeError) as error:
        raise ModelError(
            f"The weights of '{bundle.name}' do not fit its network '{network.name}'.",
            "Install the model again, or update MedSegDL.",
            str(error),
        ) from error
    return module
