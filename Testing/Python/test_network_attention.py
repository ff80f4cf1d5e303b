"""The attention gates: published sizes, maps between 0 and 1, and what each of them looks at."""

from __future__ import annotations

import pytest
import torch

from MedSegDLLib.networks.attention import CBAM, ChannelAttention, SpatialAttention, SqueezeExcitation
from MedSegDLLib.networks.blocks import parameter_count

both_dimensions = pytest.mark.parametrize("dims", [2, 3])


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize(("dims", "channels", "reduction"), [(2, 256, 16), (3, 256, 16), (2, 64, 8), (3, 32, 4)])
def test_parameters_are_as_many_as_the_papers_formulas_say(dims, channels, reduction):
    cbam = CBAM(dims, channels, reduction)
    assert parameter_count(cbam.channel) == 2 * channels**2 // reduction
    assert parameter_count(cbam.spatial) == 2 * 7**dims
    assert parameter_count(cbam) == 2 * channels**2 // reduction + 2 * 7**dims


def test_channel_attention_is_never_without_a_hidden_layer():
    assert parameter_count(ChannelAttention(2, 4, reduction=16)) == 2 * 4


@both_dimensions
@pytest.mark.parametrize(
    ("build", "shape"),
    [
        (lambda dims: ChannelAttention(dims, 8, 2), (3, 8, 1, 1, 1)),
        (lambda dims: SqueezeExcitation(dims, 8, 4), (3, 8, 1, 1, 1)),
        (SpatialAttention, (3, 1, 9, 10, 11)),
    ],
    ids=["channel", "squeeze", "spatial"],
)
def test_maps_lie_between_0_and_1(dims, build, shape):
    with torch.inference_mode():
        map_ = build(dims)(torch.randn(3, 8, *(9, 10, 11)[:dims]))
    assert map_.shape == shape[: 2 + dims]
    assert 0 < map_.min() < map_.max() < 1


@both_dimensions
def test_channel_attention_is_one_mlp_over_both_pools(dims):
    attention = ChannelAttention(dims, 8, 2)
    x = torch.randn(2, 8, *(6,) * dims)
    inward, outward = (conv.weight.flatten(1) for conv in (attention.mlp[0], attention.mlp[2]))

    def mlp(pooled):
        return (pooled @ inward.T).relu() @ outward.T

    expected = torch.sigmoid(mlp(x.flatten(2).mean(2)) + mlp(x.flatten(2).max(2).values))
    assert torch.allclose(attention(x).flatten(1), expected, atol=1e-6)


@both_dimensions
def test_channel_attention_needs_both_pools(dims):
    attention = ChannelAttention(dims, 8, 2)
    x = torch.randn(1, 8, *(6,) * dims)
    mean, place = x.flatten(2).mean(2), (slice(None), slice(None), *(0,) * dims)
    other_maximum = x.clone()
    other_maximum[place] += 5
    other_maximum -= (other_maximum.flatten(2).mean(2) - mean).view(1, 8, *(1,) * dims)
    lowered = x.clone()
    lowered[x < 0] -= 1
    assert not torch.allclose(attention(other_maximum), attention(x), atol=1e-4)  # the mean is the same
    assert not torch.allclose(attention(lowered), attention(x), atol=1e-4)  # the maximum is the same


@both_dimensions
@pytest.mark.parametrize("gate", [ChannelAttention, SqueezeExcitation])
def test_gates_over_channels_do_not_look_at_places(dims, gate):
    gate = gate(dims, 8, 2)
    x = torch.randn(2, 8, *(6,) * dims)
    assert torch.allclose(gate(x.flip(2)), gate(x), atol=1e-6)
    assert not torch.allclose(gate(x.flip(1)), gate(x), atol=1e-4)


@both_dimensions
def test_spatial_attention_does_not_look_at_which_channel(dims):
    attention = SpatialAttention(dims)
    x = torch.randn(2, 8, *(9,) * dims)
    map_ = attention(x)
    assert torch.allclose(attention(x[:, torch.randperm(8)]), map_, atol=1e-6)
    assert not torch.allclose(attention(x.flip(2)), map_, atol=1e-4)


@both_dimensions
def test_spatial_attention_sees_7_voxels_wide(dims):
    attention = SpatialAttention(dims)
    x = torch.randn(1, 4, *(15,) * dims)
    changed = x.clone()
    changed[(slice(None), slice(None), *(7,) * dims)] += 3
    difference = (attention(changed) - attention(x)).detach().abs()[0, 0]
    assert difference[(4,) * dims] > 0 and difference[(10,) * dims] > 0
    difference[(slice(4, 11),) * dims] = 0
    assert difference.max() == 0


@both_dimensions
def test_cbam_weighs_channels_then_places(dims):
    cbam = CBAM(dims, 8, 2)
    x = torch.randn(2, 8, *(9,) * dims)
    weighed = x * cbam.channel(x)
    assert torch.allclose(cbam(x), weighed * cbam.spatial(weighed))


def test_hooks_read_the_maps():
    cbam, maps = CBAM(2, 8, 2), []
    for gate in (cbam.channel, cbam.spatial):
        gate.register_forward_hook(lambda module, inputs, map_: maps.append(map_))
    x = torch.randn(1, 8, 9, 9)
    assert torch.allclose(cbam(x), x * maps[0] * maps[1], atol=1e-6)


@both_dimensions
def test_squeeze_excitation_is_as_hu_wrote_it(dims):
    gate = SqueezeExcitation(dims, 16, 4)
    assert parameter_count(gate) == 2 * 16 * 4 + 16 + 4
    x = torch.randn(2, 16, *(6,) * dims)
    first, second = gate.mlp[0], gate.mlp[2]
    hidden = (x.flatten(2).mean(2) @ first.weight.flatten(1).T + first.bias).relu()
    expected = torch.sigmoid(hidden @ second.weight.flatten(1).T + second.bias)
    assert torch.allclose(gate(x).flatten(1), expected, atol=1e-6)
