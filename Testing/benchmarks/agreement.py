"""How far the labels of the peers agree, and whether ours are those of the interpolated logits."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from case import CLASSES, Case

INTERPOLATED = "its own logits, interpolated by torch"


@dataclass(frozen=True)
class Agreement:
    """Two label images on the same grid: share of voxels that differ, Dice of each label."""

    first: str
    second: str
    differing: float
    dice: list[float]


def agreements(case: Case, peers: list[str]) -> list[Agreement]:
    """Each peer against its own logits where it left them, then every pair of peers."""
    labels = {peer: _read(case, peer) for peer in peers}
    exactness = [
        _agreement(peer, INTERPOLATED, labels[peer], _interpolated(case, peer, labels[peer].shape))
        for peer in peers
        if case.logits_path(peer).exists()
    ]
    return exactness + [_agreement(a, b, labels[a], labels[b]) for a, b in combinations(peers, 2)]


def _agreement(first: str, second: str, a: np.ndarray, b: np.ndarray) -> Agreement:
    return Agreement(first, second, float((a != b).mean()), [_dice(a == n, b == n) for n in range(1, CLASSES)])


def _dice(a: np.ndarray, b: np.ndarray) -> float:
    """1 where both are empty."""
    total = np.count_nonzero(a) + np.count_nonzero(b)
    return 2 * np.count_nonzero(a & b) / total if total else 1.0


def _read(case: Case, peer: str) -> np.ndarray:
    import SimpleITK as sitk

    return sitk.GetArrayFromImage(sitk.ReadImage(case.labels_path(peer)))


def _interpolated(case: Case, peer: str, shape: tuple[int, int, int]) -> np.ndarray:
    """The reference that builds what we never do: all logits at full resolution, then their argmax."""
    import torch
    from torch.nn.functional import interpolate

    layers = [np.load(path) for path in sorted(case.logits_path(peer).iterdir())]
    logits = torch.from_numpy(np.concatenate(layers, axis=1))
    return interpolate(logits[None], size=shape, mode="trilinear")[0].argmax(dim=0).to(torch.uint8).numpy()
