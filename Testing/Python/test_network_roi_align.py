"""RoIAlign against plain interpolation and against a loop over its definition; masks pasted back into the image."""

from __future__ import annotations

from itertools import product
from math import floor

import pytest
import torch
import torch.nn.functional as F

from MedSegDLLib.networks.blocks import LINEAR
from MedSegDLLib.networks.roi_align import paste, pool, roi_align

both_dimensions = pytest.mark.parametrize("dims", [2, 3])
SHAPE = (5, 8, 11)
SIZE = (4, 3, 6)


def feature_maps(dims: int, batch: int = 1) -> torch.Tensor:
    return torch.randn(batch, 3, *SHAPE[-dims:], generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def whole(shape) -> torch.Tensor:
    return torch.tensor([[0.0] * len(shape) + list(shape)], dtype=torch.float64)


@both_dimensions
def test_a_box_over_the_whole_map_is_plain_interpolation(dims):
    maps, size = feature_maps(dims), SIZE[-dims:]
    pooled = roi_align(maps, 4 * whole(SHAPE[-dims:]), torch.zeros(1, dtype=torch.long), size, stride=4, points=1)
    assert torch.allclose(pooled, F.interpolate(maps, size, mode=LINEAR[dims]))
    averaged = roi_align(maps, whole(SHAPE[-dims:]), torch.zeros(1, dtype=torch.long), size, points=2)
    finer = F.interpolate(maps, [2 * n for n in size], mode=LINEAR[dims])
    assert torch.allclose(averaged, F.interpolate(finer, size, mode="area"))


@both_dimensions
def test_a_bin_a_cell_is_the_map_itself(dims):
    maps = feature_maps(dims)
    pooled = roi_align(maps, whole(SHAPE[-dims:]), torch.zeros(1, dtype=torch.long), SHAPE[-dims:], points=1)
    assert torch.allclose(pooled, maps)


def by_definition(one_map, box, size, stride, points):
    """One box in plain loops: (C, *spatial) -> (C, *size)."""
    dims = one_map.ndim - 1
    pooled = one_map.new_zeros(one_map.shape[0], *size)
    for place in product(*(range(n) for n in size)):
        for point in product(range(points), repeat=dims):
            corners = [[]]
            for axis in range(dims):
                start, end = box[axis] / stride, box[axis + dims] / stride
                at = start + (place[axis] + (point[axis] + 0.5) / points) * (end - start) / size[axis] - 0.5
                at = min(max(at, 0), one_map.shape[1 + axis] - 1)
                low = min(floor(at), one_map.shape[1 + axis] - 2)
                corners = [c + [(low + step, abs(1 - step - (at - low)))] for c in corners for step in (0, 1)]
            for corner in corners:
                value = one_map[(slice(None), *(cell for cell, _ in corner))]
                for _, weight in corner:
                    value = value * weight
                pooled[(slice(None), *place)] += value / points**dims
    return pooled


@both_dimensions
@pytest.mark.parametrize("points", [1, 2])
def test_random_boxes_agree_with_the_definition(dims, points):
    stride, maps = 4, feature_maps(dims, batch=2)
    generator = torch.Generator().manual_seed(1)
    extent = stride * torch.tensor(SHAPE[-dims:], dtype=torch.float64)
    corners = torch.rand(2, 6, dims, generator=generator, dtype=torch.float64) * extent
    boxes = torch.cat([corners.amin(0), corners.amax(0)], 1)
    chosen = torch.tensor([1, 0, 0, 1, 1, 0])
    pooled = roi_align(maps, boxes, chosen, SIZE[-dims:], stride, points)
    for each, box, number in zip(pooled, boxes.tolist(), chosen):
        assert torch.allclose(each, by_definition(maps[number], box, SIZE[-dims:], stride, points))


@both_dimensions
def test_gradients_reach_the_map_under_the_box_only(dims):
    maps = feature_maps(dims).requires_grad_()
    box = torch.tensor([[1.0] * dims + [4.0] * dims], dtype=torch.float64)
    roi_align(maps, box, torch.zeros(1, dtype=torch.long), 3, points=1).sum().backward()
    under = torch.zeros_like(maps)
    under[(..., *(slice(1, 4) for _ in range(dims)))] = 1  # each bin is one cell
    assert torch.allclose(maps.grad, under)


@both_dimensions
def test_each_box_is_read_from_the_level_of_its_size(dims):
    levels = [torch.full((2, 1, *(64 // 2**n,) * dims), float(n + 2)) for n in range(4)]
    for level in levels:
        level[1] += 10  # the second image
    sides = torch.tensor([3.0, 27, 28, 55, 56, 111, 112, 223])
    boxes = torch.cat([torch.zeros(8, dims), sides[:, None].expand(8, dims)], 1)
    pooled = pool(levels, [boxes[:5], boxes[5:]], 2, canonical=56)
    assert pooled.shape == (8, 1, *(2,) * dims)
    assert torch.allclose(pooled.flatten(1).mean(1), torch.tensor([2.0, 2, 3, 3, 4, 14, 15, 15]))


@both_dimensions
def test_no_boxes_give_no_bins(dims):
    levels = [torch.randn(1, 3, *(8 // 2**n,) * dims) for n in range(4)]
    assert pool(levels, [torch.zeros(0, 2 * dims)], 5, canonical=56).shape == (0, 3, *(5,) * dims)


@both_dimensions
def test_half_precision_keeps_places_apart(dims):
    ramp = torch.arange(256.0).view(1, 1, *(1,) * (dims - 1), 256).expand(1, 1, *(2,) * (dims - 1), 256)
    box = torch.tensor([[0.0] * (dims - 1) + [201.0] + [2.0] * (dims - 1) + [204.0]])
    pooled = roi_align(ramp.bfloat16(), box, torch.zeros(1, dtype=torch.long), (*(1,) * (dims - 1), 3), points=1)
    assert pooled.dtype == torch.bfloat16
    assert pooled.flatten().tolist() == [201, 202, 203]


@both_dimensions
def test_pasting_undoes_reading(dims):
    image = torch.zeros(1, 1, *(16,) * dims)
    image[(..., *(slice(4, 8) for _ in range(dims)))] = 1
    boxes = torch.tensor([[2.0] * dims + [10.0] * dims])
    mask = roi_align(image, boxes, torch.zeros(1, dtype=torch.long), 8, points=1)[:, 0]
    assert torch.allclose(paste(mask, boxes, (16,) * dims), image[0], atol=1e-6)


@both_dimensions
def test_pasting_is_linear_interpolation(dims):
    masks = torch.rand(2, *SIZE[-dims:], generator=torch.Generator().manual_seed(0))
    boxes = torch.tensor([[3.0] * dims + [15.0] * dims, [-2.0] * dims + [10.0] * dims])
    pasted = paste(masks, boxes, (20,) * dims)
    resized = F.interpolate(masks[:, None], (12,) * dims, mode=LINEAR[dims])[:, 0]
    inner = [slice(2, 10)] * dims  # towards its edge a pasted mask fades to 0 instead of ending
    assert torch.allclose(pasted[(0, *(slice(5, 13) for _ in range(dims)))], resized[(0, *inner)], atol=1e-5)
    assert torch.allclose(pasted[(1, *(slice(0, 8) for _ in range(dims)))], resized[(1, *inner)], atol=1e-5)
    assert pasted[(0, *(slice(18, 20) for _ in range(dims)))].abs().max() == 0
