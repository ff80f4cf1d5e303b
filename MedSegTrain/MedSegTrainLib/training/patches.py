"""A seeded stream of augmented training patches that can be taken up again at any place.

The n-th patch of a training depends on the seed and on n, and on nothing else: not on how many processes make patches,
nor on whether the training was interrupted before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from MedSegDLLib.bundle import Specification

from ..data.case import IGNORE
from ..data.samples import ANYWHERE, Sample
from .augmentation import Intensities, affine_matrix, margin_for, resample_affine
from .recipe_fields import Augmentation


class Patches(Dataset):
    """`patches[n]`, for any n from 0, is the n-th patch of the whole training.

    A dict of tensors, of which * is the patch (k, j, i), or (j, i) of a slice for a network of two dimensions:
        image: (C, *) float32.
        label: (1, *) int64, classes and `IGNORE`.
        annotated: (K,) bool, the classes that were looked for in the patch's case.
        instances: (1, *) int64, where the samples have them.

    Args:
        samples: functions that give one sample each.
        spec: patch size, spacing and network.
        augmentation: how patches are changed; None leaves them as they are.
        batch: patches in a step, of all processes together; the last of each step are centred on a structure.
        foreground_share: how many of them.
        seed: of everything that is left to chance.
    """

    def __init__(
        self,
        samples: Sequence[Callable[[], Sample]],
        spec: Specification,
        augmentation: Augmentation | None,
        *,
        batch: int,
        foreground_share: float = 1 / 3,
        seed: int = 0,
    ):
        self._samples = samples
        self._augmentation = augmentation
        self._batch, self._foreground_share, self._seed = batch, foreground_share, seed
        self._dims = spec.network.spatial_dims
        self._window = spec.patch_kji
        self._patch = spec.patch_kji[-self._dims :]
        self._spacing = spec.spacing_mm[::-1][-self._dims :]
        self._intensities = Intensities(augmentation, self._patch) if augmentation else None

    def __getitem__(self, n: int) -> dict[str, torch.Tensor]:
        rng = np.random.default_rng((self._seed, n))
        sample = self._samples[rng.integers(len(self._samples))]()
        center = self._center(sample, self._wants_foreground(n % self._batch, rng), rng)
        patch = self._cut(sample, center, rng)
        return patch | {"annotated": torch.from_numpy(sample.annotated.copy())}

    def _wants_foreground(self, place: int, rng: np.random.Generator) -> bool:
        """The last of a batch do, as in nnU-Net; in a batch of one it is left to chance."""
        if self._batch == 1:
            return bool(rng.random() < self._foreground_share)
        return place >= round(self._batch * (1 - self._foreground_share))

    def _center(self, sample: Sample, foreground: bool, rng: np.random.Generator) -> np.ndarray:
        """The voxel (k, j, i) around which to cut: the patch stays in the image as far as that is large enough."""
        shape, window = np.array(sample.classes.shape), np.array(self._window)
        low = np.minimum(window // 2, shape // 2)
        high = np.maximum(shape - (window - window // 2), low)
        structures = [c for c in sample.places if c != ANYWHERE]
        if foreground and structures:
            return np.clip(rng.choice(sample.places[rng.choice(structures)]), low, high)
        if ANYWHERE in sample.places:  # so that there is something to learn from
            return np.clip(rng.choice(sample.places[ANYWHERE]), low, high)
        return rng.integers(low, high, endpoint=True)

    def _cut(self, sample: Sample, center: np.ndarray, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        matrix = None
        if self._augmentation:
            matrix = affine_matrix(self._augmentation, self._patch, self._spacing, rng)
        margin = margin_for(matrix, self._patch) if matrix is not None else np.zeros(self._dims, int)
        window = np.array(self._window)
        window[-self._dims :] += 2 * margin
        cut = {
            name: torch.from_numpy(cut_patch(array, center, tuple(window)).reshape(-1, *window[-self._dims :]))
            for name, array in _arrays(sample).items()
        }
        if matrix is not None:
            cut = _turned(cut, matrix, self._patch)
        if self._augmentation:
            cut = self._mirrored(cut, rng)
            cut["image"] = self._intensities(cut["image"], rng)
        return {name: tensor if name == "image" else tensor.long() for name, tensor in cut.items()}

    def _mirrored(self, cut: dict[str, torch.Tensor], rng: np.random.Generator) -> dict[str, torch.Tensor]:
        chosen = rng.random(3) < 0.5  # along k, j, i
        allowed = self._augmentation.mirror[::-1]
        axes = [n - 3 for n in range(3 - self._dims, 3) if chosen[n] and allowed[n]]
        return {name: tensor.flip(axes) for name, tensor in cut.items()} if axes else cut


class PatchOrder(Sampler[int]):
    """Which patches an epoch is made of, batch after batch: those of this process among `world` that train together.

    Args:
        batch: patches in a batch of one process.
        steps_per_epoch: batches in an epoch.
        start_step: batches of the whole training that are done; the first epoch then lacks what is done of it.
        rank, world: number of this process, from 0, and how many there are.
    """

    def __init__(self, batch: int, steps_per_epoch: int, start_step: int = 0, rank: int = 0, world: int = 1):
        self._batch, self._steps, self._start = batch, steps_per_epoch, start_step
        self._rank, self._world = rank, world
        self.set_epoch(start_step // steps_per_epoch)

    def set_epoch(self, epoch: int) -> None:
        """What the next iteration gives; Lightning calls it."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._steps * self._batch

    def __iter__(self) -> Iterator[int]:
        first = self._epoch * self._steps
        for step in range(max(first, self._start), first + self._steps):
            n = (step * self._world + self._rank) * self._batch
            yield from range(n, n + self._batch)


def patch_loader(
    patches: Patches,
    batch: int,
    steps_per_epoch: int,
    *,
    start_step: int = 0,
    workers: int = 0,
    rank: int = 0,
    world: int = 1,
    pin_memory: bool = False,
) -> DataLoader:
    """Batches of patches, an epoch an iteration, in the order of `PatchOrder`.

    `workers` processes make them; none: the process that trains does.
    """
    return DataLoader(
        patches,
        batch_size=batch,
        sampler=PatchOrder(batch, steps_per_epoch, start_step, rank, world),
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=pin_memory,
    )


def cut_patch(array: np.ndarray, center: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """A copy of `size` voxels around the center, with zeros (the mean of a normalised image) outside the array.

    Args:
        array: (..., k, j, i).
        center: k, j, i.
        size: along k, j, i.
    """
    patch = np.zeros((*array.shape[:-3], *size), dtype=_TORCH_KNOWS.get(array.dtype.name, array.dtype))
    starts = [int(c) - s // 2 for c, s in zip(center, size)]
    source = tuple(slice(max(0, a), max(0, a + s)) for a, s in zip(starts, size))
    found = array[(..., *source)]
    target = tuple(slice(max(0, -a), max(0, -a) + n) for a, n in zip(starts, found.shape[-3:]))
    patch[(..., *target)] = found
    return patch


_TORCH_KNOWS = {"float16": np.float32, "uint16": np.int32}


def _arrays(sample: Sample) -> dict[str, np.ndarray]:
    arrays = {"image": sample.image, "label": sample.classes, "instances": sample.instances}
    return {name: array for name, array in arrays.items() if array is not None}


def _turned(cut: dict[str, torch.Tensor], matrix: np.ndarray, patch: tuple[int, ...]) -> dict[str, torch.Tensor]:
    """Image and classes change linearly, the classes as one map each; instances take the nearest voxel.

    Maps of classes keep borders smooth where nearest neighbours would fray them. What of a voxel no class's map covers
    is background's share, also beyond the image.
    """
    image, label = cut["image"], cut["label"]
    present = [value for value in np.flatnonzero(np.bincount(label.numpy().ravel())).tolist() if value]
    maps = torch.empty(len(image) + len(present), *image.shape[1:])
    maps[: len(image)] = image
    for number, value in enumerate(present, start=len(image)):
        maps[number] = label[0] == value
    changed = resample_affine(maps, matrix, patch, "bilinear")
    result = {"image": changed[: len(image)], "label": _largest(present, changed[len(image) :])}
    if "instances" in cut:
        numbers = resample_affine(cut["instances"].float(), matrix, patch, "nearest")
        of_something = (result["label"] > 0) & (result["label"] != IGNORE)
        result["instances"] = numbers.where(of_something, 0)
    return result


def _largest(values: list[int], shares: torch.Tensor) -> torch.Tensor:
    """(1, *) uint8: the value with the largest of the shares (N, *), 0 where what they leave is larger.

    Value by value: torch's argmax over a handful of maps takes longer than all the rest of the augmentation.
    """
    largest = 1 - shares.sum(dim=0, keepdim=True)
    result = torch.zeros_like(largest, dtype=torch.uint8)
    for value, share in zip(values, shares.split(1)):
        result[share > largest] = value
        largest = torch.maximum(largest, share)
    return result
