"""FCN over a dilated ResNet, and what it shares with DeepLabV3 and PSPNet."""

from __future__ import annotations

import pytest
import torch

from MedSegDLLib.networks import create
from MedSegDLLib.networks.blocks import parameter_count
from network_makers import small

both_dimensions = pytest.mark.parametrize("dims", [2, 3])
with_auxiliary_head = pytest.mark.parametrize("name", ["fcn-resnet", "deeplabv3", "pspnet"])


@pytest.mark.parametrize(
    ("arguments", "parameters"),
    [
        ({}, 32_957_013),
        ({"auxiliary": True}, 35_322_218),
        ({"backbone": "resnet101", "auxiliary": True}, 54_314_346),
    ],
)
def test_parameters_are_as_many_as_in_torchvisions_network(arguments, parameters):
    with torch.device("meta"):
        network = create("fcn-resnet", 2, 3, 21, **arguments)
    assert parameter_count(network) == parameters


@both_dimensions
@with_auxiliary_head
def test_the_auxiliary_head_sits_on_the_stage_before_the_last(name, dims):
    network = small(name, dims, auxiliary=True).train()
    result, auxiliary = network(torch.randn(2, 1, *(32,) * dims))
    assert result.shape == auxiliary.shape == (2, 3, *(32,) * dims)
    auxiliary.square().mean().backward()
    assert all(p.grad is None for p in network.backbone.layer4.parameters())
    assert all(p.grad is None for p in network.head.parameters())
    assert all(p.grad is not None for p in network.backbone.layer3.parameters())


@pytest.mark.parametrize(("name", "weight"), [("fcn-resnet", 0.5), ("deeplabv3", 0.5), ("pspnet", 0.4)])
def test_the_auxiliary_head_counts_as_published(name, weight):
    assert small(name, 2, auxiliary=True).loss_weights == (1.0, weight)


@both_dimensions
@with_auxiliary_head
def test_the_auxiliary_head_leaves_the_result_alone(name, dims):
    network = small(name, dims, auxiliary=True).eval()
    alone = small(name, dims).eval()
    own = {key: value for key, value in network.state_dict().items() if not key.startswith("auxiliary_head.")}
    alone.load_state_dict(own)
    x = torch.randn(1, 1, *(20,) * dims)
    with torch.inference_mode():
        assert torch.equal(network(x), alone(x))
