"""Residual backbones: published sizes, and dilation in place of strides."""

from __future__ import annotations

import pytest
import torch

from MedSegDLLib.networks.blocks import parameter_count
from MedSegDLLib.networks.resnet import ResNet

both_dimensions = pytest.mark.parametrize("dims", [2, 3])
both_blocks = pytest.mark.parametrize("name", ["resnet18", "resnet50"])
SIZE = (33, 47, 26)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("resnet18", 11_176_512), ("resnet34", 21_284_672), ("resnet50", 23_508_032), ("resnet101", 42_500_160)],
)
@pytest.mark.parametrize("output_stride", [8, 32])
def test_parameters_are_as_many_as_in_torchvisions_network(name, parameters, output_stride):
    with torch.device("meta"):
        assert parameter_count(ResNet(2, 3, name, output_stride)) == parameters


@both_dimensions
@both_blocks
@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_feature_maps_have_the_strides_asked_for(name, dims, output_stride):
    network = ResNet(dims, 1, name, output_stride, width=2).eval()
    with torch.inference_mode():
        maps = network(torch.randn(1, 1, *SIZE[:dims]))
    strides = [min(stride, output_stride) for stride in (2, 4, 8, 16, 32)]
    assert [each.shape[1] for each in maps] == list(network.channels)
    assert [each.shape[2:] for each in maps] == [tuple(-(-size // s) for size in SIZE[:dims]) for s in strides]


@both_dimensions
@both_blocks
@pytest.mark.parametrize("output_stride", [8, 16])
def test_a_dilated_network_computes_what_the_strided_one_does(name, dims, output_stride):
    torch.manual_seed(0)
    strided = ResNet(dims, 1, name, 32, width=2).double().eval()
    dilated = ResNet(dims, 1, name, output_stride, width=2).double().eval()
    dilated.load_state_dict(strided.state_dict())
    x = torch.randn(1, 1, *SIZE[:dims], dtype=torch.float64)
    with torch.inference_mode():
        coarse, fine = strided(x)[-1], dilated(x)[-1]
    step = slice(None, None, 32 // output_stride)
    assert coarse.std() > 0
    assert torch.allclose(fine[(..., *(step,) * dims)], coarse)


@pytest.mark.parametrize("dims_and_axis", [(2, 0), (2, 1), (3, 0), (3, 2)])
@pytest.mark.parametrize("output_stride", [8, 32])
@pytest.mark.parametrize(
    ("name", "spacings"),
    [
        ("resnet18", [4] * 4 + [4] + [8] * 3 + [8] + [16] * 3 + [16] + [32] * 3),
        ("resnet50", [4] * 3 + [4] + [8] * 3 + [8] + [16] * 5 + [16] + [32] * 2),
    ],
)
def test_a_feature_sees_as_far_as_the_layers_say(name, spacings, output_stride, dims_and_axis):
    """`spacings`: for each 3x3 convolution how far apart in the image the neighbours are that it reads.

    The first of a stage still reads at the spacing before. All weights are positive and the pooling averages, so that
    nothing is rectified or passed over.
    """
    dims, axis = dims_and_axis
    network = ResNet(dims, 1, name, output_stride, width=1).double().eval()
    network.maxpool = (torch.nn.AvgPool2d if dims == 2 else torch.nn.AvgPool3d)(3, 2, 1)
    for weight in network.parameters():
        if weight.ndim > 1:
            torch.nn.init.constant_(weight, 1 / weight[0].numel())
    size = [6] * dims  # as small as a 3D pooling takes it
    size[axis] = 640
    x = torch.ones(1, 1, *size, dtype=torch.float64, requires_grad=True)
    features = network(x)[-1][0, 0].movedim(axis, 0).flatten(1)[:, 0]
    features[len(features) // 2].backward()
    seen = x.grad[0, 0].movedim(axis, 0).flatten(1).sum(1).nonzero().flatten()
    reach = 1 + 6 + 2 * 2 + 2 * sum(spacings)  # the stem's 7x7, its 3x3 pooling at spacing 2, the rest
    assert 0 < seen[0] and seen[-1] < 639
    assert len(seen) == seen[-1] - seen[0] + 1 == reach


def test_the_name_and_the_stride_are_checked():
    with pytest.raises(ValueError, match="no backbone 'resnet20'; there are resnet18, resnet34, resnet50, resnet101"):
        ResNet(2, 1, "resnet20")
    with pytest.raises(ValueError, match="is 8, 16 or 32, not 4"):
        ResNet(2, 1, "resnet18", 4)
