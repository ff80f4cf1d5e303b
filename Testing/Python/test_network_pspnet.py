"""PSPNet: the paper's layers counted by hand, and what the levels of its pyramid see."""

from __future__ import annotations

import pytest
import torch

from MedSegDLLib.networks import create
from MedSegDLLib.networks.blocks import parameter_count
from MedSegDLLib.networks.pyramid import PyramidPooling

both_dimensions = pytest.mark.parametrize("dims", [2, 3])
RESNET = {"resnet50": 23_508_032, "resnet101": 42_500_160}


@pytest.mark.parametrize(
    ("backbone", "auxiliary", "parameters"),
    [
        ("resnet50", False, 46_592_597),
        ("resnet50", True, 48_957_802),
        ("resnet101", False, 65_584_725),
        ("resnet101", True, 67_949_930),
    ],
)
def test_parameters_are_as_many_as_in_the_papers_layers(backbone, auxiliary, parameters):
    norm = 2  # parameters of a batch norm per channel
    levels = 4 * (2048 * 512 + norm * 512)
    head = 9 * 4096 * 512 + norm * 512 + (512 + 1) * 21
    auxiliary_head = 9 * 1024 * 256 + norm * 256 + (256 + 1) * 21
    with torch.device("meta"):
        network = create("pspnet", 2, 3, 21, backbone=backbone, auxiliary=auxiliary)
    assert parameter_count(network) == parameters
    assert RESNET[backbone] + levels + head + auxiliary * auxiliary_head == parameters


@both_dimensions
def test_levels_average_their_regions(dims):
    pyramid = _passing_on(dims, channels=2, bins=(1, 2))
    x = torch.rand(1, 2, *(6, 4, 8)[:dims])
    with torch.inference_mode():
        whole, halves = (level(x)[0, 0] for level in pyramid.levels)
    assert torch.allclose(whole, x[0, 0].mean(), rtol=1e-4)
    for index in torch.cartesian_prod(*[torch.arange(2)] * dims).tolist():
        region = x[0, 0]
        for axis, i in enumerate(index):
            region = region.chunk(2, dim=axis)[i]
        assert torch.allclose(halves[tuple(index)], region.mean(), rtol=1e-4)


@both_dimensions
def test_the_map_and_its_averages_lie_side_by_side(dims):
    pyramid = _passing_on(dims, channels=8, bins=(1, 2, 3, 6))
    x = torch.rand(1, 8, *(6,) * dims)
    with torch.inference_mode():
        y = pyramid(x)
    assert y.shape == (1, 16, *x.shape[2:]) and pyramid.out_channels == 16
    assert torch.equal(y[:, :8], x)
    whole, sixths = y[:, 8:10], y[:, 14:]
    assert torch.allclose(whole, x.flatten(2).mean(2)[:, :2].view(1, 2, *(1,) * dims).expand_as(whole), rtol=1e-4)
    assert torch.allclose(sixths, x[:, :2], rtol=1e-4)  # six regions of six voxels


@pytest.mark.parametrize("bins", [(1,), (1, 2, 3)])
def test_bins_may_be_chosen(bins):
    network = create("pspnet", 2, 1, 2, backbone="resnet18", width=4, head_features=8, bins=bins).eval()
    assert len(network.head[0].levels) == len(bins)
    with torch.inference_mode():
        assert network(torch.randn(1, 1, 20, 17)).shape == (1, 2, 20, 17)


def _passing_on(dims: int, channels: int, bins: tuple[int, ...]) -> PyramidPooling:
    """A pyramid whose 1x1 convolutions pass the first channels on as they are."""
    pyramid = PyramidPooling(dims, channels, bins).eval()
    for level in pyramid.levels:
        weight = next(level.parameters())
        torch.nn.init.dirac_(weight)
    return pyramid
