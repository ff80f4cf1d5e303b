"""Where a structure may lie and how bright it is, learned by counting: what starts every classical method.

Classical methods need seeds, markers or a first contour, which a person would give. Here they come from the training
cases: the share of cases that have the structure at a place (in fractions of the image's edges), times the likelihood
of the voxel's brightness (a histogram), as Bayes' rule combines them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from MedSegDLLib.labels import Label

from ..data.dataset import IGNORE, Case
from .seen import Seen

_PLACES = 24  # cells along each axis of an image
_BINS = np.linspace(-0.5, 1.5, 65)


@dataclass(frozen=True)
class Evidence:
    """What is known of one structure in one case.

    place: (k, j, i) share of the training cases with the structure there.
    probability: (k, j, i) of the structure, from place and brightness.
    brightness: cumulative histogram of the structure's grey values, for `quantile`.
    """

    place: np.ndarray
    probability: np.ndarray
    brightness: np.ndarray

    def quantile(self, share: float) -> float:
        """The grey value below which this share of the structure's training voxels lies."""
        return float(np.interp(share, self.brightness, _BINS))


class Experience:
    """Counts over training cases: `places` (K + 1, 24, 24, 24), `histograms` (K + 1, 64); background first."""

    def __init__(self, places: np.ndarray, histograms: np.ndarray):
        self.places = places
        self.histograms = histograms

    @staticmethod
    def of(cases: Iterable[Case], labels: tuple[Label, ...]) -> Experience:
        """Count over the cases; where a case lacks a structure's contours it says nothing about that structure."""
        counter = _Counter(labels)
        for case in cases:
            counter.add(case)
        return counter.experience()

    def evidence(self, seen: Seen) -> list[Evidence]:
        """One for each structure, in the order of the labels."""
        places = np.stack([_resized(place, seen.shape) for place in self.places])
        bins = np.clip(np.digitize(seen.image, _BINS) - 1, 0, len(_BINS) - 2)
        likelihoods = self.histograms / np.maximum(self.histograms.sum(axis=1, keepdims=True), 1e-12)
        probabilities = places * likelihoods[:, bins]
        probabilities /= np.maximum(probabilities.sum(axis=0), 1e-12)
        cumulative = np.concatenate([np.zeros((len(likelihoods), 1)), likelihoods.cumsum(axis=1)], axis=1)
        return [Evidence(*parts) for parts in zip(places[1:], probabilities[1:], cumulative[1:])]

    def save(self, path: Path) -> None:
        np.savez_compressed(path, places=self.places, histograms=self.histograms)

    @staticmethod
    def load(path: Path) -> Experience:
        with np.load(path, allow_pickle=False) as stored:
            return Experience(stored["places"], stored["histograms"])


class _Counter:
    def __init__(self, labels: tuple[Label, ...]):
        classes = len(labels) + 1
        self._labels = labels
        self._places = np.zeros((classes, *(_PLACES,) * 3), dtype=np.float64)
        self._cases = np.zeros(classes)
        self._histograms = np.zeros((classes, len(_BINS) - 1))

    def add(self, case: Case) -> None:
        volumes, label = case.load()
        seen = Seen.of(volumes)
        truth = seen.turned(label.array)
        for number, structure in enumerate(self._labels, start=1):
            if structure.name not in case.not_contoured:
                self._count(number, seen, truth == structure.value)
        if not case.not_contoured:
            self._count(0, seen, ~np.isin(truth, [IGNORE, *(structure.value for structure in self._labels)]))

    def _count(self, number: int, seen: Seen, mask: np.ndarray) -> None:
        self._places[number] += _resized(mask.astype(np.float32), (_PLACES,) * 3)
        self._cases[number] += 1
        self._histograms[number] += np.histogram(seen.image[mask], _BINS)[0]

    def experience(self) -> Experience:
        places = self._places / np.maximum(self._cases, 1).reshape(-1, 1, 1, 1)
        if not self._cases[0]:
            places[0] = 1 - places[1:].sum(axis=0)
        smooth = ndimage.gaussian_filter1d(self._histograms, 1.0, axis=1)
        return Experience(np.clip(places, 1e-6, 1).astype(np.float32), smooth + 1e-9)


def _resized(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """By linear interpolation between the centres of the voxels, edges kept."""
    axes = [(np.arange(m) + 0.5) * n / m - 0.5 for n, m in zip(array.shape, shape)]
    for axis, positions in enumerate(axes):
        low = np.clip(np.floor(positions).astype(int), 0, array.shape[axis] - 1)
        high = np.minimum(low + 1, array.shape[axis] - 1)
        weight = np.clip(positions - low, 0, 1).astype(np.float32)
        weight = weight.reshape([-1 if a == axis else 1 for a in range(array.ndim)])
        array = array.take(low, axis) * (1 - weight) + array.take(high, axis) * weight
    return array
