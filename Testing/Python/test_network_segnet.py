"""SegNet: published size, torchvision's names, a mirrored decoder, and values back at the places of their maxima."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from MedSegDLLib.engine.private_openvino import openvino
from MedSegDLLib.networks import create
from MedSegDLLib.networks.blocks import BATCH_NORM, CONV, parameter_count
from MedSegDLLib.networks.segnet import POOL, unpool
from network_makers import small

VGG16_BN = dict(zip([0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40], [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6))
"""Convolutions of torchvision's vgg16_bn: their number in `features`, their output channels."""

both_dimensions = pytest.mark.parametrize("dims", [2, 3])


def torchvision_weights(in_channels: int = 1, shrink: int = 1) -> dict[str, torch.Tensor]:
    """A state dict with the names and shapes of torchvision's vgg16_bn, its width divided by `shrink`."""
    weights = {}
    for number, channels in VGG16_BN.items():
        channels //= shrink
        weights[f"features.{number}.weight"] = torch.randn(channels, in_channels, 3, 3)
        weights[f"features.{number}.bias"] = torch.randn(channels)
        for each in ("weight", "bias", "running_mean", "running_var"):
            weights[f"features.{number + 1}.{each}"] = torch.rand(channels) + 0.5
        weights[f"features.{number + 1}.num_batches_tracked"] = torch.tensor(7)
        in_channels = channels
    return weights


@pytest.mark.parametrize(
    ("dims", "in_channels", "classes", "parameters"),
    [(2, 3, 11, 29_449_355), (2, 3, 12, 29_449_932), (2, 3, 21, 29_455_125), (3, 1, 2, 88_281_410)],
)
def test_parameters(dims, in_channels, classes, parameters):
    with torch.device("meta"):
        assert parameter_count(create("segnet", dims, in_channels, classes)) == parameters


def test_the_encoder_is_named_as_torchvisions():
    with torch.device("meta"):
        weights = create("segnet", 2, 3, 11).backbone.state_dict()
        expected = torchvision_weights(3)
    assert {key: weight.shape for key, weight in weights.items()} == {key: w.shape for key, w in expected.items()}


def test_weights_of_torchvision_make_a_difference():
    network = small("segnet", 2).eval()
    x = torch.randn(1, 1, 20, 20)
    before = network(x)
    network.backbone.load_state_dict(torchvision_weights(shrink=32))
    assert not torch.allclose(network(x), before)


@both_dimensions
def test_the_decoder_mirrors_the_encoder(dims):
    network = small("segnet", dims, in_channels=3, out_channels=3)
    encoder, decoder = _convolutions(network.backbone), _convolutions(network.decoder)
    assert len(encoder) == 13
    mirrored = [(conv.out_channels, conv.in_channels) for conv in reversed(encoder)]
    assert [(conv.in_channels, conv.out_channels) for conv in decoder] == mirrored
    assert {conv.kernel_size for conv in encoder + decoder} == {(3,) * dims}
    assert (_norms(network.backbone), _norms(network.decoder)) == (13, 12)
    assert isinstance(network.decoder[-1][-1], CONV[dims])


@both_dimensions
def test_values_return_to_where_the_maximum_was(dims):
    x = torch.randn(2, 3, *(6, 4, 8)[:dims]) + 10
    pooled, places = POOL[dims](x, 2, return_indices=True)
    unpooled = unpool(pooled, places)
    assert unpooled.shape == x.shape
    at_maximum = x == F.interpolate(pooled, scale_factor=2)  # nearest: each window's maximum all over it
    assert torch.equal(unpooled, torch.where(at_maximum, x, 0))
    assert (unpooled != 0).sum() == pooled.numel()
    # other values go to the same places
    assert torch.equal(unpool(-2 * pooled, places), -2 * unpooled)


@both_dimensions
def test_only_places_cross_over(dims):
    """Without the deepest features the image decides nothing but where values go, and there are none."""
    network = small("segnet", dims).eval()
    last = network.backbone.features[-3]  # the batch norm before the last ReLU and pooling
    nn.init.zeros_(last.weight)
    first, second = torch.randn(2, 1, 1, *(33,) * dims)
    with torch.inference_mode():
        assert torch.equal(network(first), network(second))
        nn.init.ones_(last.bias)
        assert not torch.allclose(network(first), network(second))


class _PoolAndBack(nn.Module):
    def forward(self, x):
        return unpool(*POOL[x.ndim - 2](x, 2, return_indices=True))


@both_dimensions
def test_openvino_unpools_to_the_same_places(dims):
    x = torch.randn(2, 3, *(6, 8, 10)[:dims]).round()  # windows with two maxima among them
    compiled = openvino.compile_model(
        openvino.convert_model(_PoolAndBack(), example_input=x, input=[list(x.shape)]), "CPU"
    )
    assert torch.equal(torch.from_numpy(compiled(x.numpy())[0]), _PoolAndBack()(x))


def _convolutions(module: nn.Module) -> list[nn.Module]:
    return [each for each in module.modules() if isinstance(each, tuple(CONV.values()))]


def _norms(module: nn.Module) -> int:
    return sum(isinstance(each, tuple(BATCH_NORM.values())) for each in module.modules())
