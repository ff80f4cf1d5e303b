"""What a network learns from: a case as the network sees it, with its classes and where they are."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from MedSegDLLib.bundle import Specification
from MedSegDLLib.engine.preprocessing import prepare
from MedSegDLLib.errors import InputError
from MedSegDLLib.labels import voxel_counts
from MedSegDLLib.volume import Volume, as_volumes

from .case import IGNORE, check_same_grid

MOST_PLACES = 10_000
"""Voxels of a class that are remembered: enough to centre patches on, few enough to read quickly (nnU-Net's number)."""

ANYWHERE = 0
"""The key of annotated voxels among the places of a sample."""


@dataclass(frozen=True, eq=False)
class Sample:
    """A case on the network's grid.

    Args:
        image: (C, k, j, i), float32 or float16.
        classes: (k, j, i) uint8, the class of each voxel; `IGNORE` where nobody annotated.
        annotated: (K,) bool, the classes that were looked for in this case; background always is.
        places: some voxels (k, j, i) of each class from 1 that is there. If there are voxels to be ignored, the key
            `ANYWHERE` holds some of those that are not.
        instances: (k, j, i) uint16, every single object with a number of its own, 0 elsewhere.
    """

    image: np.ndarray
    classes: np.ndarray
    annotated: np.ndarray
    places: dict[int, np.ndarray]
    instances: np.ndarray | None = None

    def halved(self) -> Sample:
        """The same with an image in half precision, for keeping."""
        return replace(self, image=self.image.astype(np.float16))


def prepare_sample(
    images: Volume | Sequence[Volume],
    label: Volume,
    spec: Specification,
    not_contoured: Collection[str] = (),
    instances: Volume | None = None,
) -> Sample:
    """Bring a case to the model's orientation, spacing and intensities; label values become class indices.

    Labels are resampled to the nearest voxel. Values that the specification does not know count as background.

    Args:
        images: one a channel.
        label: values of the specification's labels, `IGNORE` where nobody annotated; on the first image's grid.
        not_contoured: names of the structures that nobody looked for in this case.
        instances: every object with its own number, on the same grid.

    Raises:
        InputError: an image cannot be used, labels do not lie on its grid, or there is not one annotated voxel.
    """
    first = as_volumes(images)[0]
    check_same_grid(first.grid, label.grid, "The labels")
    prepared = prepare(images, spec)
    turned = first.grid.steps_to(spec.orientation)
    classes = class_lookup(spec)[nearest(turned.apply(label.array), prepared.grid.shape)]
    if (classes == IGNORE).all():
        raise InputError("Not one voxel of the case is annotated.", "Annotate some of it, or leave the case out.")
    numbers = None
    if instances is not None:
        check_same_grid(first.grid, instances.grid, "The instances")
        numbers = nearest(turned.apply(instances.array), prepared.grid.shape).astype(np.uint16)
    return Sample(prepared.array, classes, annotated_classes(spec, not_contoured), places_of(classes), numbers)


def class_lookup(spec: Specification) -> np.ndarray:
    """(256,) uint8: the class of each label value."""
    lookup = np.zeros(256, dtype=np.uint8)
    lookup[spec.class_values] = np.arange(len(spec.class_values))
    lookup[IGNORE] = IGNORE
    return lookup


def annotated_classes(spec: Specification, not_contoured: Collection[str]) -> np.ndarray:
    """(K,) bool."""
    return np.array([True, *(label.name not in not_contoured for label in spec.labels)])


def nearest(array: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Another number of voxels between the same edges, each with the value of the nearest."""
    return array[np.ix_(*(_nearest_indices(n, m) for n, m in zip(array.shape, shape)))]


def _nearest_indices(n: int, m: int) -> np.ndarray:
    return np.minimum(((np.arange(m) + 0.5) * n / m).astype(int), n - 1)


def places_of(classes: np.ndarray) -> dict[int, np.ndarray]:
    """Voxels (N, 3) of each class that is there, at most `MOST_PLACES` each; always the same ones."""
    rng = np.random.default_rng(0)
    counts = voxel_counts(classes, IGNORE)
    places = {int(c): _some(classes == c, rng) for c in np.flatnonzero(counts[:IGNORE]) if c}
    if counts[IGNORE]:
        places[ANYWHERE] = _some(classes != IGNORE, rng)
    return places


def _some(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    found = np.flatnonzero(mask)
    if len(found) > MOST_PLACES:
        found = np.sort(rng.choice(found, MOST_PLACES, replace=False))
    return np.stack(np.unravel_index(found, mask.shape), axis=1).astype(np.int32)
