"""What a network asks of its patches and of the memory, found out on torch's "meta" device: nothing is computed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import torch
from torch import nn

from MedSegDLLib.bundle import Network

from .heads import built, head_name

_HALVED = 0.6
"""What mixed precision leaves of the memory for feature maps: convolutions keep halves, norms and losses do not."""
_BYTES_PER_WEIGHT = 16  # the weight, its gradient, and two averages of the optimiser
_OVERHEAD_BYTES = 700 << 20  # CUDA's context and libraries
_USUAL_MULTIPLE = 16


@dataclass(frozen=True)
class NetworkFacts:
    """Of a network that was built for the dimensions, channels and classes at hand.

    Args:
        network: on the meta device.
        description: what it was built from.
    """

    network: nn.Module
    description: Network

    @staticmethod
    def of(name: str, spatial_dims: int, in_channels: int, out_channels: int, arguments: dict) -> NetworkFacts:
        """Raises InputError for a network that cannot be built."""
        description = Network(name, spatial_dims, in_channels, out_channels, "", arguments)
        with torch.device("meta"):
            network = built(description)
        return NetworkFacts(network, replace(description, head=head_name(description)))

    @property
    def multiple(self) -> tuple[int, ...]:
        """Patch sizes (k, j, i) or (j, i) that the network need not pad."""
        return getattr(self.network, "multiple", (_USUAL_MULTIPLE,) * self.description.spatial_dims)

    def training_bytes(self, patch: tuple[int, ...], batch: int, mixed_precision: bool = True) -> int:
        """Memory of a training step, roughly, for patches (k, j, i) or (j, i)."""
        weights = sum(parameter.numel() for parameter in self.network.parameters()) * _BYTES_PER_WEIGHT
        maps = self._saved_bytes(patch) * batch * (_HALVED if mixed_precision else 1)
        return round(maps + weights + _OVERHEAD_BYTES)

    def _saved_bytes(self, patch: tuple[int, ...]) -> float:
        """Of all that the backward pass of one patch needs."""
        count = 2  # a batch norm may refuse a single one
        image = torch.empty(count, self.description.in_channels, *patch, device="meta")
        saved: dict[int, torch.UntypedStorage] = {}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            if not isinstance(tensor, nn.Parameter):
                storage = tensor.untyped_storage()
                saved[storage._cdata] = storage
            return tensor

        work = getattr(self.network, "most_work", self.network)  # of one whose work depends on what it finds
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            self.network.train()
            work(image)
        logits = prod(patch) * self.description.out_channels * 4 * 3  # probabilities, their gradient, the label's
        return sum(storage.nbytes() for storage in saved.values()) / count + logits
