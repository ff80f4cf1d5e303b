"""What a two-stage detector should have found: instances of a label map, and who is held responsible for which.

Ren et al. 2015, arXiv:1506.01497, section 3.1, for anchors, Girshick 2015, arXiv:1504.08083, for proposals. Checked
against the formulae of torchvision's `Matcher` and `BalancedPositiveNegativeSampler`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .boxes import iou

BACKGROUND, IGNORED = -1, -2
"""Instead of an instance's number."""


@dataclass
class Truth:
    """The instances of one image.

    Attributes:
        boxes: (N, 2 * dims), just around the masks.
        classes: (N,), 1 or more.
        masks: (N, *spatial), bool.
    """

    boxes: Tensor
    classes: Tensor
    masks: Tensor


def truth(labels: Tensor, instances: Tensor | None = None) -> Truth:
    """The instances of one label map.

    Args:
        labels: (*spatial), the class of each voxel; what is not above 0 is background.
        instances: (*spatial), the number of the instance that a voxel belongs to, 0 for none. An instance has the class
            of most of its voxels. Without it each class that is there is one instance.
    """
    foreground = labels > 0
    numbers = torch.where(foreground, labels if instances is None else instances, 0)
    masks = [numbers == number for number in numbers.unique() if number != 0]
    if not masks:
        return Truth(
            torch.zeros(0, 2 * labels.ndim, device=labels.device),
            torch.zeros(0, dtype=torch.long, device=labels.device),
            torch.zeros(0, *labels.shape, dtype=torch.bool, device=labels.device),
        )
    classes = torch.stack([labels[mask].mode().values for mask in masks]).long()
    return Truth(torch.stack([box_around(mask) for mask in masks]), classes, torch.stack(masks))


def box_around(mask: Tensor) -> Tensor:
    """(*spatial), not empty -> (2 * dims,)."""
    voxels = mask.nonzero()
    return torch.cat([voxels.amin(0), voxels.amax(0) + 1]).float()


def match(boxes: Tensor, instances: Tensor, low: float, high: float, spare_none: bool = False) -> Tensor:
    """For each box the instance that it overlaps most, or BACKGROUND or IGNORED: (N,).

    Args:
        boxes: (N, 2 * dims), anchors or proposals.
        instances: (M, 2 * dims), the true boxes.
        low: least overlap (IoU) of what is not background.
        high: least overlap of what is an instance.
        spare_none: an instance that no box overlaps enough still gets those that overlap it most.
    """
    if not len(instances):
        return torch.full((len(boxes),), BACKGROUND, device=boxes.device)
    overlap = iou(boxes, instances)
    most, matched = overlap.max(1)
    enough = most >= high
    if spare_none:
        best = overlap.amax(0) if len(boxes) else 0
        enough |= ((overlap == best) & (overlap > 0)).any(1)
    beside = torch.where(most < low, BACKGROUND, IGNORED)
    return torch.where(enough, matched, beside)


def sample(matched: Tensor, count: int, positive_share: float) -> Tensor:
    """At most `count` boxes for a loss, at random, as indices: instances up to their share, then background.

    Args:
        matched: what `match` gave.
        count: how many boxes.
        positive_share: at most this share are matched to an instance.
    """
    positive = _some(matched >= 0, int(count * positive_share))
    return torch.cat([positive, _some(matched == BACKGROUND, count - len(positive))])


def _some(those: Tensor, count: int) -> Tensor:
    indices = those.nonzero().squeeze(1)
    return indices[torch.randperm(len(indices), device=indices.device)[:count]]
