"""From boxes to feature maps of one size, and from masks in boxes back to the image, in two and three dimensions.

RoIAlign, He et al. 2017, arXiv:1703.06870: each box is divided into bins, a map is interpolated linearly at a few
regular points of each bin, and a bin's value is their mean. Nothing is rounded. With `boxes`' convention cell i of a
map covers [i, i + 1) and has its value at i + 0.5. This is torchvision's and Detectron2's `aligned=True`; torchvision's
Mask R-CNN still uses the older `aligned=False`, which reads half a cell further on. A box that covers a map therefore
gives what `interpolate` gives without aligned corners, at one point a bin.

Beyond its outermost centres a map continues with its last value, as in torchvision; torchvision gives zeros further
than one cell outside, where boxes clipped to their image do not reach.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .blocks import per_axis
from .boxes import volume

_MEAN = {2: F.avg_pool2d, 3: F.avg_pool3d}
_FINEST, _CANONICAL = 2, 4
"""Levels of the pyramid by their numbers in the paper: P2, of stride 4, and P4."""


def roi_align(
    maps: Tensor, boxes: Tensor, chosen: Tensor, size: int | Sequence[int], stride: int = 1, points: int = 2
) -> Tensor:
    """(B, C, *spatial), (N, 2 * dims), (N,) -> (N, C, *size).

    Args:
        maps: where to read.
        boxes: what to read, in voxels of the image.
        chosen: for each box which of the maps.
        size: bins along each axis.
        stride: voxels of the image in a cell of the maps.
        points: read in each bin along each axis.
    """
    size = per_axis(size, maps.ndim - 2)
    pooled = maps.new_zeros(len(boxes), maps.shape[1], *size)
    for number in chosen.unique().tolist():
        here = (chosen == number).nonzero().squeeze(1)
        pooled[here] = _read(maps[number : number + 1], boxes[here] / stride, size, points).to(pooled.dtype)
    return pooled


def _read(one_map: Tensor, boxes: Tensor, size: Sequence[int], points: int) -> Tensor:
    """(1, C, *spatial), boxes in its cells -> (N, C, *size), all boxes in one call along the grid's first axis."""
    spatial = one_map.shape[2:]
    start, end = (each[:, :, None] for each in boxes.chunk(2, 1))
    axes = []
    for axis, bins in enumerate(size):
        along = (torch.arange(bins * points, dtype=boxes.dtype, device=boxes.device) + 0.5) / (bins * points)
        cells = start[:, axis] + along * (end - start)[:, axis]
        where = [len(boxes), *(1 for _ in size)]
        where[1 + axis] = bins * points
        axes.append((2 * cells / spatial[axis] - 1).view(where))
    grid = torch.stack(torch.broadcast_tensors(*reversed(axes)), -1)  # grid_sample names the last axis first
    dtype = torch.promote_types(one_map.dtype, grid.dtype)  # half precision could not tell the places apart
    values = F.grid_sample(
        one_map.to(dtype), grid.flatten(0, 1)[None].to(dtype), padding_mode="border", align_corners=False
    )
    values = values[0].unflatten(1, (len(boxes), -1))
    return _MEAN[len(size)](values, points).transpose(0, 1)


def pool(
    levels: Sequence[Tensor], boxes: Sequence[Tensor], size: int | Sequence[int], canonical: float, points: int = 2
) -> Tensor:
    """Read each box from that level of a pyramid to which its size belongs: (boxes of all images, C, *size).

    A box with the volume of a cube of side `canonical` is read from P4, one half as long from P3, and so on: equation 1
    of Lin et al. 2017, arXiv:1612.03144, where it is 224.

    Args:
        levels: (B, C, *spatial) each, P2 of stride 4 first, each next one of twice the stride.
        boxes: (N, 2 * dims) in voxels for each image of the batch.
        size: bins along each axis.
        canonical: see above.
        points: read in each bin along each axis.
    """
    rows = torch.cat(list(boxes))
    image = torch.cat([torch.full((len(each),), n, device=rows.device) for n, each in enumerate(boxes)])
    side = volume(rows) ** (2 / rows.shape[1])
    level = (_CANONICAL + torch.log2(side / canonical + 1e-6)).floor() - _FINEST
    level = level.clamp(0, len(levels) - 1)
    pooled = levels[0].new_zeros(len(rows), levels[0].shape[1], *per_axis(size, levels[0].ndim - 2))
    for number, maps in enumerate(levels):
        here = (level == number).nonzero().squeeze(1)
        pooled[here] = roi_align(maps, rows[here], image[here], size, 2 ** (_FINEST + number), points)
    return pooled


def paste(masks: Tensor, boxes: Tensor, spatial: Sequence[int]) -> Tensor:
    """Masks over boxes, (N, *mask), onto the image: (N, *spatial), linearly between their cells and to 0 outside.

    Linear interpolation goes axis by axis, each a product with the (voxels, cells) weights of that axis.
    """
    start, end = boxes.chunk(2, 1)
    for axis, voxels in enumerate(spatial):
        cells = masks.shape[1]
        centres = torch.arange(voxels, device=boxes.device) + 0.5
        place = (centres - start[:, axis, None]) / (end - start)[:, axis, None] * cells - 0.5
        weights = (1 - (place[..., None] - torch.arange(cells, device=boxes.device)).abs()).clamp(min=0)
        masks = torch.einsum("nvc,nc...->n...v", weights, masks)  # takes the first axis, gives the last
    return masks
