"""DeepLabV3 and DeepLabV3+: published sizes, what the pyramid sees, and the way of the low-level features."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from MedSegDLLib.networks import create
from MedSegDLLib.networks.blocks import parameter_count
from MedSegDLLib.networks.pyramid import ASPP
from network_makers import small

both_dimensions = pytest.mark.parametrize("dims", [2, 3])


@pytest.mark.parametrize(
    ("name", "arguments", "parameters"),
    [
        ("deeplabv3", {}, 39_638_869),
        ("deeplabv3", {"auxiliary": True}, 42_004_074),
        ("deeplabv3", {"backbone": "resnet101"}, 58_630_997),
        ("deeplabv3", {"backbone": "resnet101", "auxiliary": True}, 60_996_202),
        ("deeplabv3-plus", {"backbone": "resnet34"}, 22_442_597),
        ("deeplabv3-plus", {}, 26_682_725),
        ("deeplabv3-plus", {"backbone": "resnet101"}, 45_674_853),
    ],
)
def test_parameters_are_as_many_as_in_the_published_network(name, arguments, parameters):
    with torch.device("meta"):
        network = create(name, 2, 3, 21, **arguments)
    assert parameter_count(network) == parameters


@both_dimensions
@pytest.mark.parametrize("separable", [False, True])
def test_the_pyramid_sees_the_neighbours_at_its_rates_alone(dims, separable):
    torch.manual_seed(0)
    rates, centre = (2, 5, 7), 8
    pyramid = _without_the_image_branch(ASPP(dims, 4, 8, rates, separable).eval())
    x = torch.rand(1, 4, *(17,) * dims, requires_grad=True)
    pyramid(x)[(0, slice(None), *(centre,) * dims)].sum().backward()
    seen = {tuple(index) for index in x.grad[0].abs().sum(0).nonzero().tolist()}
    assert seen == {
        tuple(centre + offset for offset in offsets)
        for rate in rates
        for offsets in product((-rate, 0, rate), repeat=dims)
    }


@both_dimensions
def test_the_image_branch_sees_everything(dims):
    torch.manual_seed(0)
    pyramid = ASPP(dims, 4, 8, (2, 3, 4)).eval()
    x = torch.rand(1, 4, *(9,) * dims, requires_grad=True)
    pyramid(x)[(0, slice(None), *(0,) * dims)].sum().backward()
    assert (x.grad[0].abs().sum(0) > 0).all()


@both_dimensions
def test_low_level_features_reach_the_output_at_their_own_place(dims):
    """A voxel depends on the decoder's neighbourhood of 3 and on the two that enlarging mixes: four low-level ones."""
    network = small("deeplabv3-plus", dims).eval()
    low = []
    network.low_level.register_forward_hook(lambda _, inputs, output: low.append(output))
    logits = network(torch.randn(1, 1, *(64,) * dims))
    (low,) = low
    assert low.shape == (1, 48, *(16,) * dims)
    (gradient,) = torch.autograd.grad(logits[(0, slice(None), *(33,) * dims)].sum(), low)
    seen = gradient[0].abs().sum(0).nonzero()
    # voxel 33 lies between the centres of low-level voxels 7 and 8: 7.875
    assert seen.amin(0).tolist() == [6] * dims
    assert seen.amax(0).tolist() == [9] * dims


def test_the_low_level_map_is_the_second_stages():
    network = small("deeplabv3-plus", 2).eval()
    seen = []
    network.low_level.register_forward_hook(lambda _, inputs, output: seen.append(inputs[0]))
    x = torch.randn(1, 1, 40, 40)
    with torch.inference_mode():
        network(x)
        assert torch.equal(seen[0], network.backbone(x)[1])


@pytest.mark.parametrize(("name", "stride"), [("deeplabv3", 8), ("deeplabv3-plus", 16)])
def test_the_output_stride_is_the_published_one_unless_told(name, stride):
    for arguments, expected in (({}, stride), ({"output_stride": 32}, 32)):
        network = small(name, 2, **arguments).eval()
        with torch.inference_mode():
            assert network.backbone(torch.randn(1, 1, 64, 64))[-1].shape[2:] == (64 // expected,) * 2


def _without_the_image_branch(pyramid: ASPP) -> ASPP:
    for parameter in pyramid.image.parameters():
        torch.nn.init.zeros_(parameter)
    return pyramid
