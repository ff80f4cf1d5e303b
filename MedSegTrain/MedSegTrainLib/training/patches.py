"""An endless, seeded stream of augmented training patches."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from ..data.cases import Sample
from .augmentation import augmentation, cut_patch
from .recipe import Recipe


class Patches(IterableDataset):
    """Patches {"image": (1, k, j, i) float32, "label": (1, k, j, i) int64} of random samples.

    For a network of two dimensions slices (1, j, i).

    Args:
        samples: number of samples and a function that gives one.
        recipe: patch size, augmentation, share of patches centred on a structure, seed.
        seed_offset: differs between the parts of an interrupted training.
    """

    def __init__(self, samples: Sequence[Callable[[], Sample]], recipe: Recipe, seed_offset: int = 0):
        self._samples = samples
        self._recipe = recipe
        self._seed = recipe.optimisation.seed + 1000 * seed_offset
        self._patch = recipe.spec.patch_kji
        self._seen = self._patch[-recipe.spec.network.spatial_dims :]
        self._classes = recipe.spec.network.out_channels

    def __iter__(self):
        worker = get_worker_info()
        seed = self._seed + (worker.id if worker else 0)
        rng = np.random.default_rng(seed)
        transform = augmentation(self._recipe.augmentation, self._seen, self._classes).set_random_state(seed)
        while True:
            sample = self._samples[rng.integers(len(self._samples))]()
            yield self._plain(transform(self._cut(sample, self._center(sample.classes, rng))))

    def _center(self, classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A voxel of a random structure, or one that keeps the patch inside as far as the image is large enough."""
        present = np.unique(classes)[1:]
        if len(present) and rng.random() < self._recipe.optimisation.foreground_share:
            return rng.choice(np.argwhere(classes == rng.choice(present)))
        half = np.array(self._patch) // 2
        low = np.minimum(half, np.array(classes.shape) // 2)
        high = np.maximum(np.array(classes.shape) - (np.array(self._patch) - half), low)
        return rng.integers(low, high, endpoint=True)

    def _cut(self, sample: Sample, center: np.ndarray) -> dict[str, torch.Tensor]:
        image, classes = (
            torch.from_numpy(cut_patch(array, center, self._patch)).reshape(self._seen)
            for array in (sample.image, sample.classes)
        )
        one_hot = torch.nn.functional.one_hot(classes.long(), self._classes).movedim(-1, 0).float()
        return {"image": image[None], "label": one_hot}

    @staticmethod
    def _plain(patch: dict) -> dict[str, torch.Tensor]:
        """Without MONAI's metadata, which a batch would carry along for nothing."""
        return {name: torch.as_tensor(value.as_tensor()) for name, value in patch.items()}
