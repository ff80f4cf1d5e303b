"""FCNN: nothing but convolutions, a decoder that mirrors the encoder, and dropout between them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from MedSegDLLib.networks import create
from MedSegDLLib.networks.blocks import BATCH_NORM, CONV, MAX_POOL, TRANSPOSED_CONV, parameter_count
from network_makers import small

both_dimensions = pytest.mark.parametrize("dims", [2, 3])


def count(module: nn.Module, kinds: type | tuple[type, ...]) -> int:
    return sum(isinstance(each, kinds) for each in module.modules())


@pytest.mark.parametrize(("dims", "parameters"), [(2, 31_784_130), (3, 90_775_874)])
def test_parameters(dims, parameters):
    with torch.device("meta"):
        assert parameter_count(create("fcnn", dims, 1, 2)) == parameters


@both_dimensions
def test_the_decoder_mirrors_the_encoder(dims):
    network = small("fcnn", dims)
    encoder, decoder = (
        [(each.in_channels, each.out_channels) for each in part.modules() if isinstance(each, CONV[dims])]
        for part in (network.encoder, network.decoder)
    )
    # but for the outermost: the encoder's takes the image, the decoder's leaves the width to the head
    assert [(o, i) for i, o in reversed(encoder)][:-1] == decoder[:-1]
    assert count(network.encoder, MAX_POOL[dims]) == count(network.decoder, TRANSPOSED_CONV[dims]) == 3


@both_dimensions
def test_every_layer_is_a_convolution(dims):
    network = small("fcnn", dims)
    convolutions = count(network, (CONV[dims], TRANSPOSED_CONV[dims]))
    assert count(network, nn.Linear) == 0
    assert count(network, BATCH_NORM[dims]) == count(network, nn.ReLU) == convolutions - 1 == 18


@both_dimensions
def test_the_bottom_is_the_only_way(dims):
    """No skips: once the fully connected layers say the same, so does the network."""
    network = small("fcnn", dims).eval()
    first, second = torch.randn(2, 1, 1, *(20,) * dims)
    with torch.inference_mode():
        assert not torch.allclose(network(first), network(second))
        network.fully_connected.register_forward_hook(lambda module, inputs, output: torch.ones_like(output))
        assert torch.equal(network(first), network(second))


def test_dropout_is_for_training():
    network = small("fcnn", 2, dropout=0.9)
    x = torch.randn(2, 1, 32, 32)
    with torch.inference_mode():
        assert not torch.equal(network.train()(x), network(x))
        assert torch.equal(network.eval()(x), network(x))


def test_features_decide_depth_and_size():
    network = small("fcnn", 2, features=[2, 3, 4, 5])
    depths = []
    network.fully_connected.register_forward_hook(lambda module, inputs, output: depths.append(inputs[0].shape))
    assert network(torch.randn(2, 1, 33, 70)).shape == (2, 3, 33, 70)
    assert depths == [(2, 5, 3, 5)]
