"""How well single objects are found, two of them that touch as two: average precision of instances.

Two measures go by the name:

- The Data Science Bowl 2018's (`bowl_precision`): TP / (TP + FP + FN) at an IoU threshold, of one image, with the mean
  over images; scores play no part. At one threshold this is what stardist calls accuracy. (Caicedo et al. 2019,
  doi:10.1038/s41592-019-0612-7.)
- COCO's (`coco_precision`): the area under the precision-recall curve of the detections of all images by falling score,
  precision made monotonous and read at 101 recalls (Lin et al. 2014, arXiv:1405.0312, and its cocoeval).

Both at the thresholds 0.50, 0.55 ... 0.95, and as the mean over them. A found and a true object are matched by the
greatest IoU: COCO's way for COCO, detections by falling score each taking the best object that is left; pairs by
falling IoU for the bowl.

Objects are given as a numbered image (0 outside), or as masks that may overlap. Needs numpy and scipy only; the
connected components of a semantic network cc3d.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

THRESHOLDS = tuple(round(0.5 + 0.05 * n, 2) for n in range(10))

_RECALLS = np.linspace(0, 1, 101)
_ROUNDING = 1e-9


@dataclass(frozen=True)
class ImageMatch:
    """One image: how every found object overlaps with every true one.

    Attributes:
        iou: (found, true).
        scores: (found,), how sure the method was of each.
    """

    iou: np.ndarray
    scores: np.ndarray

    @property
    def found(self) -> int:
        return self.iou.shape[0]

    @property
    def true(self) -> int:
        return self.iou.shape[1]


@dataclass(frozen=True)
class Precision:
    """Average precision over images: at each threshold, and the mean over thresholds; None without any true object."""

    at: dict[float, float | None]

    @property
    def ap50(self) -> float | None:
        return self.at[0.5]

    @property
    def ap75(self) -> float | None:
        return self.at[0.75]

    @property
    def mean(self) -> float | None:
        """Over the thresholds 0.50, 0.55 ... 0.95."""
        values = list(self.at.values())
        return None if None in values else float(np.mean(values))


def match_numbered(found: np.ndarray, true: np.ndarray, scores: Sequence[float] | None = None) -> ImageMatch:
    """Objects that do not overlap.

    Args:
        found, true: whole numbers, one an object, 0 outside; of one shape. Numbers need not be consecutive.
        scores: of the found objects by ascending number; all alike by default.
    """
    found_numbers, found_sizes, found = _renumbered(found)
    true_numbers, true_sizes, true = _renumbered(true)
    pairs = np.bincount(found * (len(true_numbers) + 1) + true, minlength=len(found_sizes) * len(true_sizes))
    both = pairs.reshape(len(found_sizes), len(true_sizes))[1:, 1:]
    return ImageMatch(_iou(both, found_sizes[1:], true_sizes[1:]), _scores(scores, len(found_numbers)))


def match_masks(found: np.ndarray, true: np.ndarray, scores: Sequence[float] | None = None) -> ImageMatch:
    """Objects that may overlap.

    Args:
        found: bool (N, *spatial), for example `instances.masks > 0.5` of a Mask R-CNN.
        true: whole numbers (*spatial), as in `match_numbered`.
        scores: (N,).
    """
    numbers, sizes, flat = _renumbered(true)
    both = np.array([np.bincount(flat[mask.ravel()], minlength=len(sizes))[1:] for mask in found])
    own = found.reshape(len(found), -1).sum(axis=1)
    return ImageMatch(_iou(both.reshape(len(found), len(numbers)), own, sizes[1:]), _scores(scores, len(found)))


def components(mask: np.ndarray) -> np.ndarray:
    """The objects of a semantic network: pieces that hang together along faces (edges in 2D), numbered."""
    import cc3d

    return cc3d.connected_components(np.ascontiguousarray(mask), connectivity=6 if mask.ndim == 3 else 4)


def bowl_precision(images: Sequence[ImageMatch]) -> Precision:
    """The Data Science Bowl 2018's: TP / (TP + FP + FN) of each image, the mean over images.

    An image without objects in which none was found does not count.
    """
    counted = [image for image in images if image.found or image.true]
    shares = {
        threshold: [hits / (image.found + image.true - hits) for image, hits in _hits(counted, threshold)]
        for threshold in THRESHOLDS
    }
    return Precision({threshold: float(np.mean(each)) if each else None for threshold, each in shares.items()})


def _hits(images: Sequence[ImageMatch], threshold: float):
    return [(image, _matched_pairs(image.iou, threshold)) for image in images]


def _matched_pairs(iou: np.ndarray, threshold: float) -> int:
    """Pairs of an object and its counterpart, the greatest IoU first, each object in one pair.

    Unless objects overlap there is no choice above 0.5: at most one counterpart reaches it.
    """
    found, true = np.nonzero(iou >= threshold - _ROUNDING)
    order = np.argsort(-iou[found, true], kind="stable")
    taken_found, taken_true = set(), set()
    for f, t in zip(found[order].tolist(), true[order].tolist()):
        if f not in taken_found and t not in taken_true:
            taken_found.add(f)
            taken_true.add(t)
    return len(taken_found)


def coco_precision(images: Sequence[ImageMatch]) -> Precision:
    """COCO's, of all images together. Without scores its curve has one point, and the order of images matters little.

    Detections of equal score count in the order of the images.
    """
    true = sum(image.true for image in images)
    scores = np.concatenate([np.zeros(0), *(image.scores for image in images)])
    order = np.argsort(-scores, kind="stable")
    return Precision({threshold: _area_under_curve(images, order, true, threshold) for threshold in THRESHOLDS})


def _area_under_curve(images: Sequence[ImageMatch], order: np.ndarray, true: int, threshold: float) -> float | None:
    if not true:
        return None
    hits = np.concatenate([np.zeros(0, bool), *(_detections_that_hit(image, threshold) for image in images)])[order]
    so_far = np.cumsum(hits)
    recall = so_far / true
    precision = np.maximum.accumulate((so_far / np.arange(1, len(hits) + 1))[::-1])[::-1]
    places = np.searchsorted(recall, _RECALLS - _ROUNDING)
    return float(np.append(precision, 0)[places].mean())


def _detections_that_hit(image: ImageMatch, threshold: float) -> np.ndarray:
    """(found,) bool: by falling score, each detection takes the object with the greatest IoU that is still free."""
    free = np.ones(image.true, dtype=bool)
    hits = np.zeros(image.found, dtype=bool)
    for n in np.argsort(-image.scores, kind="stable"):
        candidates = np.where(free, image.iou[n], -1)
        if image.true and candidates.max() >= threshold - _ROUNDING:
            free[candidates.argmax()] = False
            hits[n] = True
    return hits


def _renumbered(numbered: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The numbers in use, voxels of outside and of each object, and the image as (N,) with numbers from 1."""
    numbers, flat = np.unique(numbered, return_inverse=True)
    flat = flat.ravel()
    if not len(numbers) or numbers[0] != 0:
        numbers, flat = np.concatenate([[0], numbers]), flat + 1
    return numbers[1:], np.bincount(flat, minlength=len(numbers)), flat


def _iou(both: np.ndarray, found: np.ndarray, true: np.ndarray) -> np.ndarray:
    either = found[:, None] + true[None] - both
    return both / np.maximum(either, 1)


def _scores(scores: Sequence[float] | None, count: int) -> np.ndarray:
    return np.ones(count) if scores is None else np.asarray(scores, dtype=float)
