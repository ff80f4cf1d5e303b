"""Attention U-Net: published sizes, and gates that can be opened, closed and looked at."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from MedSegDLLib.networks import create
from MedSegDLLib.networks.blocks import parameter_count
from network_makers import small

both_dimensions = pytest.mark.parametrize("dims", [2, 3])


@pytest.mark.parametrize(("arguments", "parameters"), [({}, 34_878_573), ({"gates": False}, 34_527_041)])
def test_parameters_are_as_many_as_published(arguments, parameters):
    with torch.device("meta"):
        network = create("attention-unet", 2, 3, 1, **arguments)
    assert parameter_count(network) == parameters


def test_gates_work_at_half_the_width():
    with torch.device("meta"):
        network = create("attention-unet", 2, 3, 1)
    assert [gate.psi[0].in_channels for gate in network.gates] == [32, 64, 128, 256]
    assert [gate.skip[0].in_channels for gate in network.gates] == [64, 128, 256, 512]


@pytest.mark.parametrize("size", [(32, 48), (17, 23), (18, 17, 21)])
def test_one_map_for_each_skip_connection(size):
    network = small("attention-unet", len(size), features=[4, 6, 8, 10]).eval()
    with torch.inference_mode():
        maps = network.attention(torch.randn(2, 1, *size))
    assert [each.shape for each in maps] == [(2, 1, *(-(-n // 2**level) for n in size)) for level in range(3)]
    assert all(0 < each.min() < each.max() < 1 for each in maps)


def test_the_maps_are_what_the_skip_connections_are_multiplied_by():
    network = small("attention-unet", 2).eval()
    took = []
    for stage in network.decoder:
        stage.register_forward_pre_hook(lambda _, args: took.append(args[0]))
    x = torch.randn(1, 1, 32, 32)
    with torch.inference_mode():
        network(x)
        came_down, maps = network.encode(x), network.attention(x)
    for level, skip in enumerate(came_down[:-1]):
        gated = took[:2][::-1][level][:, skip.shape[1] :]
        assert torch.allclose(gated, maps[level] * skip, atol=1e-6)


@both_dimensions
def test_open_gates_make_it_a_u_net(dims):
    network, plain = small("attention-unet", dims).eval(), small("attention-unet", dims, gates=False).eval()
    plain.load_state_dict({key: each for key, each in network.state_dict().items() if not key.startswith("gates.")})
    x = torch.randn(1, 1, *(24,) * dims)
    with torch.inference_mode():
        assert not torch.allclose(network(x), plain(x), atol=1e-3)
        _force(network, 40.0)
        assert torch.allclose(network(x), plain(x), atol=1e-5)
    assert plain.attention(x) == []


def test_closed_gates_cut_the_skip_connections():
    network = small("attention-unet", 2).eval()
    x = torch.randn(1, 1, 32, 32)
    with torch.inference_mode():
        before = network(x)
        _force(network, -200.0)
        *skips, bottom = network.encode(x)
        without = network.head(network.decode([*map(torch.zeros_like, skips), bottom]))
        assert torch.allclose(network(x), without, atol=1e-6)
        assert not torch.allclose(before, without, atol=1e-3)


def test_the_gate_sees_both_the_skip_connection_and_what_comes_up():
    gate = small("attention-unet", 2).gates[0].eval()
    skip, gating = torch.randn(2, 1, 4, 8, 8)
    with torch.inference_mode():
        alpha = gate(skip, gating)
        assert not torch.allclose(gate(skip + 1, gating), alpha)
        assert not torch.allclose(gate(skip, gating + 1), alpha)


def test_gates_are_open_at_first():
    network = small("attention-unet", 2, features=[8, 16, 32]).train()
    with torch.inference_mode():
        maps = network.attention(torch.randn(4, 1, 32, 32))
    assert all(each.mean() > 0.85 for each in maps)


def test_norms_start_scattered_around_one():
    network = small("attention-unet", 2, features=[32, 64, 128])
    scales = torch.cat([each.weight for each in network.modules() if isinstance(each, nn.BatchNorm2d)]).detach()
    assert scales.mean().item() == pytest.approx(1, abs=0.005) and scales.std().item() == pytest.approx(0.02, rel=0.15)


@pytest.mark.parametrize("features", [[3, 5], [1, 2], [2, 3, 4, 5, 6, 7]])
def test_any_widths_and_depth(features):
    network = small("attention-unet", 2, features=features).eval()
    with torch.inference_mode():
        assert network(torch.randn(1, 1, 17, 40)).shape == (1, 3, 17, 40)


def _force(network, shift: float) -> None:
    """Make alpha the sigmoid of one number everywhere."""
    for gate in network.gates:
        nn.init.zeros_(gate.psi[1].weight)
        nn.init.constant_(gate.psi[1].bias, shift)
