"""Boxes of detection networks, in two and three dimensions.

A box is a row (start of each axis..., end of each axis...) in voxels, axes in the image's order. Voxel i covers
[i, i + 1), so that the box around voxels 3 to 5 is (3, 6) and as long as they are many.

Offsets ("deltas") from a reference box are those of Girshick et al. 2014, arXiv:1311.2524, appendix C: the shift of the
centre in lengths of the reference, and the logarithm of the ratio of lengths. Anchors are those of Ren et al. 2015,
arXiv:1506.01497, one size a level of the pyramid as in Lin et al. 2017, arXiv:1612.03144.

Checked against the formulae of torchvision's `AnchorGenerator`, `BoxCoder` and `batched_nms`. Two differences: anchors
stand on the centres of the cells of their feature map, as in Ren's own code, where torchvision's stand on their first
corners; and their lengths are not rounded, which a stride of four voxels would notice.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import torch
from torch import Tensor

_LARGEST_LOG_RATIO = log(1000 / 16)
"""No box grows beyond this in one refinement, torchvision's bound, so that the exponential of a fresh layer is tame."""


def volume(boxes: Tensor) -> Tensor:
    """(..., 2 * dims) -> (...): area in two dimensions."""
    start, end = boxes.chunk(2, -1)
    return (end - start).prod(-1)


def iou(first: Tensor, second: Tensor) -> Tensor:
    """(N, 2 * dims), (M, 2 * dims) -> (N, M): intersection over union of every pair, 0 where both are empty."""
    dims = first.shape[1] // 2
    overlap = torch.ones((), device=first.device)
    for axis in range(dims):  # one at a time: all together would hold (N, M, dims)
        start = torch.maximum(first[:, None, axis], second[None, :, axis])
        end = torch.minimum(first[:, None, axis + dims], second[None, :, axis + dims])
        overlap = overlap * (end - start).clamp(min=0)
    union = volume(first)[:, None] + volume(second)[None] - overlap
    return overlap / union.clamp(min=1e-6)


def encode(boxes: Tensor, references: Tensor, weights: tuple[float, float] = (1.0, 1.0)) -> Tensor:
    """Offsets that lead from each reference to its box: (..., 2 * dims), both -> (..., 2 * dims).

    Args:
        boxes: where to arrive.
        references: where from: anchors, or proposals.
        weights: factors on the shifts of the centre and on the logarithms of the lengths.
    """
    start, end = boxes.chunk(2, -1)
    from_start, from_end = references.chunk(2, -1)
    length, from_length = end - start, from_end - from_start
    shift = ((start + end) - (from_start + from_end)) / 2 / from_length
    return torch.cat([weights[0] * shift, weights[1] * (length / from_length).log()], -1)


def decode(offsets: Tensor, references: Tensor, weights: tuple[float, float] = (1.0, 1.0)) -> Tensor:
    """The boxes to which offsets lead: the inverse of `encode`."""
    shift, log_ratio = offsets.chunk(2, -1)
    start, end = references.chunk(2, -1)
    centre = (start + end) / 2 + shift / weights[0] * (end - start)
    half = (log_ratio / weights[1]).clamp(max=_LARGEST_LOG_RATIO).exp() * (end - start) / 2
    return torch.cat([centre - half, centre + half], -1)


def clip(boxes: Tensor, spatial: Sequence[int]) -> Tensor:
    """What of (..., 2 * dims) lies in an image of that size."""
    return boxes.clamp(min=0).minimum(boxes.new_tensor([*spatial, *spatial]))


def wide_enough(boxes: Tensor, length: float) -> Tensor:
    """(N, 2 * dims) -> (N,): whether a box has at least that length along each axis."""
    start, end = boxes.chunk(2, -1)
    return (end - start >= length).all(-1)


def anchors(
    shape: Sequence[int], stride: int, size: float, ratios: Sequence[float], device: torch.device | None = None
) -> Tensor:
    """The anchors of one level: (cells * ratios, 2 * dims), cell after cell in the feature map's order.

    Args:
        shape: of the feature map.
        stride: voxels of the image from one of its cells to the next.
        size: side of the anchor with ratio 1; the others have its volume.
        ratios: height / width, the last two axes. A third axis, the first, always has the length `size`, as in Jaeger
            et al. 2018, arXiv:1811.08661.
        device: where to put them.
    """
    ratio = torch.tensor(ratios, dtype=torch.float32, device=device)
    lengths = size * torch.stack([torch.ones_like(ratio)] * (len(shape) - 2) + [ratio.sqrt(), ratio.rsqrt()], -1)
    cells = [(torch.arange(n, dtype=torch.float32, device=device) + 0.5) * stride for n in shape]
    centres = torch.cartesian_prod(*cells)[:, None]
    return torch.cat([centres - lengths / 2, centres + lengths / 2], -1).flatten(0, 1)


def nms(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """Non-maximum suppression: (N, 2 * dims), (N,) -> the boxes to keep, best first, as indices.

    Greedy and exact: a box stays when none of the better ones that stay overlaps it by more than `threshold`. Instead
    of one box after another, that rule is applied to all at once until it changes nothing. After n rounds the first n
    answers are final, and a few rounds settle it: Zheng et al. 2020, arXiv:2005.03572 ("Cluster-NMS").
    """
    order = scores.argsort(descending=True, stable=True)
    suppresses = (iou(boxes[order], boxes[order]) > threshold).triu(1)
    keep, before = torch.ones_like(order, dtype=torch.bool), None
    while before is None or not torch.equal(keep, before):
        before, keep = keep, ~(suppresses & keep[:, None]).any(0)
    return order[keep]


def nms_by_group(boxes: Tensor, scores: Tensor, groups: Tensor, threshold: float) -> Tensor:
    """`nms` in which only boxes of the same group, a class or a level, suppress each other; best first over all.

    Group by group, so that the matrix of overlaps is only as large as the largest of them.
    """
    kept = [torch.empty(0, dtype=torch.long, device=boxes.device)]
    for group in groups.unique():
        members = (groups == group).nonzero().squeeze(1)
        kept.append(members[nms(boxes[members], scores[members], threshold)])
    kept = torch.cat(kept)
    return kept[scores[kept].argsort(descending=True, stable=True)]
