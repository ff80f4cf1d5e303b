"""Objects one by one, from a network that finds instances and from any that only labels voxels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np

from MedSegDLLib.bundle import Bundle
from MedSegDLLib.errors import InputError, ModelError
from MedSegDLLib.volume import Volume

from ..data.case import Case
from .evaluate import Segmenter
from .instances import ImageMatch, components, match_masks, match_numbered

_INSIDE = 0.5


class InstanceFinder(Protocol):
    def match(self, images: Sequence[Volume], truth: np.ndarray) -> ImageMatch:
        """Compare what is found in a case with its numbered objects (k, j, i)."""


class PiecesOf:
    """The connected pieces of each label of a segmenter."""

    def __init__(self, segmenter: Segmenter):
        self._segmenter = segmenter

    def match(self, images: Sequence[Volume], truth: np.ndarray) -> ImageMatch:
        labels = self._segmenter.segment(images).array
        found = np.zeros(labels.shape, dtype=np.int64)
        for value in np.unique(labels[labels > 0]):
            pieces = components(labels == value).astype(np.int64)
            found += np.where(pieces > 0, pieces + found.max(), 0)
        return match_numbered(found, truth)


class InstancesOf:
    """The instances that a network such as Mask R-CNN finds.

    It sees each image whole, not in windows: what lies across the edge of two would be found twice. So an image has to
    fit the device's memory.

    Args:
        bundle: of a network with the method `instances`.
        device: as torch names it.

    Raises ModelError for a network without it.
    """

    def __init__(self, bundle: Bundle, device: str = "cpu"):
        from MedSegDLLib.engine.torch_runtime import load_network

        self._spec = bundle.spec
        self._device = device
        self._network = load_network(bundle).to(device).eval()
        if not hasattr(self._network, "instances"):
            raise ModelError(
                f"The network '{bundle.spec.network.name}' finds no instances.", "Judge the pieces of its labels."
            )

    def match(self, images: Sequence[Volume], truth: np.ndarray) -> ImageMatch:
        masks, scores = self.find(images)
        return match_masks(masks, truth, scores)

    def find(self, images: Sequence[Volume]) -> tuple[np.ndarray, np.ndarray]:
        """Masks, bool (N, k, j, i) on the grid of the first image, and scores (N,), the surest first.

        Raises InputError where a network for slices is given more than one.
        """
        import torch

        from MedSegDLLib.engine.preprocessing import prepare

        seen = prepare(images, self._spec).array
        if self._spec.network.spatial_dims == 2:
            if seen.shape[1] != 1:
                raise InputError("Instances of a network for slices are found in single images only.", "Give slices.")
            seen = seen[:, 0]
        (found,) = self._network.instances(torch.from_numpy(seen)[None].to(self._device))
        masks = (found.masks > _INSIDE).cpu().numpy()
        masks = masks.reshape(len(masks), *((1,) * (4 - masks.ndim)), *masks.shape[1:])
        return self._on_grid_of(images[0], masks), found.scores.cpu().numpy()

    def _on_grid_of(self, image: Volume, masks: np.ndarray) -> np.ndarray:
        """Each voxel takes what the network says of the nearest point."""
        steps = image.grid.steps_to(self._spec.orientation)
        shape = steps.apply_to_grid(image.grid).shape
        nearest = np.ix_(*(((np.arange(n) + 0.5) * m / n).astype(int) for n, m in zip(shape, masks.shape[1:])))
        out = np.zeros((len(masks), *image.array.shape), dtype=bool)
        for mask, place in zip(masks, out):
            steps.apply(place)[...] = mask[nearest]
        return out


def match_cases(finder: InstanceFinder, cases: Iterable[Case]) -> list[ImageMatch]:
    """For `bowl_precision` and `coco_precision`. Raises InputError for a case without numbered objects."""
    matches = []
    for case in cases:
        truth = case.load_instances()
        if truth is None:
            raise InputError(
                f"Nobody numbered the objects of '{case.name}'.", "Import data in which each object has its own mask."
            )
        images, _ = case.load()
        matches.append(finder.match(images, truth.array))
    return matches
