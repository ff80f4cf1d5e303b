"""The largest patch with which a network's training fits into the memory: nnU-Net's rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from MedSegDLLib.errors import InputError

from .network_facts import NetworkFacts
from .stages import stage_arguments
from .target_grid import TargetGrid

LEAST_BATCH = 2

_LARGEST = {2: 2048**2, 3: 256**3}  # voxels of a patch
_LEAST_SIZE = 17  # voxels that a network of the registry takes along an axis


@dataclass(frozen=True)
class PatchFitting:
    """Looks for the largest patch with which two of a batch fit into the memory."""

    network: str
    spatial_dims: int
    channels: int
    classes: int
    arguments: dict
    grid: TargetGrid
    mixed_precision: bool

    def fit(self, memory_bytes: int, given: Sequence[int] | None) -> tuple[tuple[int, int, int], NetworkFacts]:
        """The patch along i, j, k, and the network for it."""
        if given is not None:
            patch = _checked(given, self.spatial_dims)
            return patch, self._facts(patch)
        patch = self._largest()
        facts = self._facts(patch)
        patch = self._rounded(patch, facts.multiple)
        while (needed := self._needed(patch, facts)) > memory_bytes:
            # whole steps towards the goal, but not beyond it, as attention needs more than in proportion
            smaller = self._shrunk(patch, facts.multiple, prod(patch) * (memory_bytes / needed) ** 0.5)
            its_facts = self._facts(smaller, facts)
            smaller = self._rounded(smaller, its_facts.multiple)
            if prod(smaller) >= prod(patch):
                break
            patch, facts = smaller, its_facts
        return patch, facts

    def _largest(self) -> tuple[int, int, int]:
        """As many millimetres along each axis, but no more than the images have."""
        dims, sizes = self.spatial_dims, self.grid.median_size
        per_mm = 1 / np.array(self.grid.spacing_mm[:dims])
        wanted = per_mm * (_LARGEST[dims] / per_mm.prod()) ** (1 / dims)
        patch = [max(_LEAST_SIZE, min(round(n), size)) for n, size in zip(wanted, sizes)]
        return (*patch, 1)[:3]

    def _facts(self, patch: Sequence[int], last: NetworkFacts | None = None) -> NetworkFacts:
        """Of the network for a patch; it is the `last` again unless its depth follows the patch."""
        spacing, seen = self.grid.spacing_mm[::-1][-self.spatial_dims :], self._seen(patch)
        arguments = self.arguments | stage_arguments(self.network, spacing, seen, self.arguments)
        if last is not None and last.description.arguments == arguments:
            return last
        return NetworkFacts.of(self.network, self.spatial_dims, self.channels, self.classes, arguments)

    def _seen(self, patch: Sequence[int]) -> tuple[int, ...]:
        """(k, j, i), or (j, i) of a slice."""
        return tuple(patch[::-1])[-self.spatial_dims :]

    def _rounded(self, patch: Sequence[int], multiple: tuple[int, ...]) -> tuple[int, int, int]:
        """Up to what the network need not pad."""
        sizes = [-(-n // m) * m for n, m in zip(patch, multiple[::-1])]
        return (*sizes, 1)[:3]

    def _needed(self, patch: Sequence[int], facts: NetworkFacts) -> int:
        return facts.training_bytes(self._seen(patch), LEAST_BATCH, self.mixed_precision)

    def _shrunk(self, patch: tuple[int, int, int], multiple: tuple[int, ...], voxels: float) -> tuple[int, int, int]:
        """At least one step less, then on until there are so few voxels; as it is where it is as small as can be."""
        while (smaller := self._one_step_less(patch, multiple)) is not None:
            patch = smaller
            if prod(patch) <= voxels:
                break
        return patch

    def _one_step_less(self, patch: tuple[int, int, int], multiple: tuple[int, ...]) -> tuple[int, int, int] | None:
        """Along the axis of which the patch covers most."""
        shares = [n / size for n, size in zip(patch[: self.spatial_dims], self.grid.median_size)]
        for axis in np.argsort(shares)[::-1]:
            left = patch[axis] - multiple[::-1][axis]
            if left >= _LEAST_SIZE:
                return tuple(left if n == axis else size for n, size in enumerate(patch))
        return None


def _checked(patch, spatial_dims: int) -> tuple[int, int, int]:
    sizes = tuple(patch) if isinstance(patch, list | tuple) else ()
    sizes = (*sizes, 1) if len(sizes) == spatial_dims == 2 else sizes
    if len(sizes) != 3 or not all(isinstance(n, int) and n > 0 for n in sizes):
        raise InputError(f"The patch {patch} is not three whole numbers above 0.", "Write it as [64, 64, 32].")
    return sizes
