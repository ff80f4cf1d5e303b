"""nnU-Net's networks: published sizes, thick slices, supervised depths."""

from __future__ import annotations

import pytest
import torch

from MedSegDLLib.networks import create
from MedSegDLLib.networks.blocks import parameter_count
from MedSegDLLib.networks.nnunet import ResidualBlock
from network_makers import small

FLAT = {"strides": [1, [1, 2, 2], [1, 2, 2]], "kernels": [[1, 3, 3], [1, 3, 3], 3]}
"""No downsampling along the first axis, as nnU-Net plans it for thick slices."""

both_networks = pytest.mark.parametrize("name", ["nnunet", "nnunet-residual"])
both_dimensions = pytest.mark.parametrize("dims", [2, 3])


@pytest.mark.parametrize(
    ("name", "dims", "arguments", "parameters"),
    [
        ("nnunet", 3, {}, 31_196_399),
        ("nnunet", 2, {"features": [32, 64, 128, 256, 512, 512, 512, 512]}, 46_326_581),
        ("nnunet-residual", 3, {}, 102_350_575),
    ],
)
def test_parameters_are_as_many_as_in_the_authors_network(name, dims, arguments, parameters):
    with torch.device("meta"):
        network = create(name, dims, 1, 3, **arguments)
    assert parameter_count(network) == parameters


@both_networks
@pytest.mark.parametrize("size", [(1, 1), (32, 8), (5, 40), (1, 1, 1), (1, 33, 2), (4, 30, 18)])
def test_small_sizes_are_no_obstacle(name, size):
    with torch.inference_mode():
        logits = small(name, len(size)).eval()(torch.randn(2, 1, *size))
    assert logits.shape == (2, 3, *size)
    assert logits.isfinite().all()


@both_networks
def test_an_axis_may_stay_fine(name):
    network = small(name, 3, **FLAT).eval()
    with torch.inference_mode():
        assert network(torch.randn(1, 1, 3, 18, 21)).shape == (1, 3, 3, 18, 21)


@both_dimensions
def test_residual_blocks_start_as_their_shortcuts(dims):
    blocks = [module for module in small("nnunet-residual", dims).modules() if isinstance(module, ResidualBlock)]
    assert len(blocks) == 5
    for block in blocks:
        x = torch.randn(1, block.convs[0][0].in_channels, *(8,) * dims)
        assert torch.equal(block(x), block.act(block.shortcut(x)))


@both_networks
@both_dimensions
def test_depths_are_supervised_at_their_own_size(name, dims):
    fine, coarse = small(name, dims, deep_supervision=True)(torch.randn(2, 1, *(15,) * dims))
    assert fine.shape[2:] == (15,) * dims and coarse.shape[2:] == (8,) * dims


@both_networks
def test_half_precision_stays_near(name):
    network = small(name, 3).eval()
    x = torch.randn(1, 1, 16, 16, 16)
    with torch.inference_mode():
        exact = network(x)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = network(x)
    assert (rounded.float() - exact).abs().max() < 0.1 * exact.abs().max()


def test_stages_without_strides():
    with pytest.raises(ValueError, match="6 stages need 6 strides and kernels, got 2 and 6"):
        create("nnunet", 3, 1, 2, strides=[1, 2])
