"""U-Transformer: the attention's parameters, a sight of the whole image, and skip connections that are filtered."""

from __future__ import annotations

import math

import pytest
import torch

from MedSegDLLib.networks import create
from MedSegDLLib.networks.blocks import attend, parameter_count
from MedSegDLLib.networks.u_transformer import CrossAttention, positions
from network_makers import small


def test_parameters_are_the_u_nets_and_the_attentions():
    with torch.device("meta"):
        network = create("u-transformer", 2, 3, 2)
    assert parameter_count(network.self_attention) == 4 * 1024**2
    assert [parameter_count(gate) for gate in network.gates] == [_cross_attention(n) for n in (128, 256, 512)]
    assert parameter_count(network) == 31_037_698 + 4 * 1024**2 + sum(map(_cross_attention, (128, 256, 512)))
    assert parameter_count(network) == 37_645_826


@pytest.mark.parametrize(("gates", "widths"), [(0, []), (1, [8]), (2, [8, 8]), (3, [8, 8, 8]), (9, [8, 8, 8, 8])])
def test_the_deepest_skip_connections_have_gates(gates, widths):
    network = small("u-transformer", 2, features=[8] * 5, gates=gates).eval()
    assert [gate.query.in_features for gate in network.gates] == widths
    with torch.inference_mode():
        assert network(torch.randn(1, 1, 33, 18)).shape == (1, 3, 33, 18)


def test_features_are_multiples_of_the_heads():
    for features in ([8, 10], [4, 8]):
        with pytest.raises(ValueError, match="multiples of 4 and of its 8 heads"):
            small("u-transformer", 2, features=features, heads=8)


def test_attention_is_a_mean_of_the_values_weighted_by_likeness():
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, tokens, 6) for tokens in (3, 5, 5))
    expected = []
    for head in (slice(0, 3), slice(3, 6)):
        scores = query[..., head] @ key[..., head].mT / math.sqrt(3)
        weights = scores.exp() / scores.exp().sum(-1, keepdim=True)
        expected.append(weights @ value[..., head])
    assert torch.allclose(attend(query, key, value, heads=2), torch.cat(expected, -1), atol=1e-5)


def test_weights_of_the_attention_sum_to_one():
    torch.manual_seed(0)
    same = torch.randn(1, 1, 6).expand(-1, 5, -1)
    assert torch.allclose(attend(torch.randn(1, 3, 6), torch.randn(1, 5, 6), same, heads=3), same[:, :3], atol=1e-6)


def test_one_voxel_sees_the_whole_image_as_in_no_small_u_net():
    assert (_voxels_that_reach_the_corner("u-transformer") > 0).all()
    assert (_voxels_that_reach_the_corner("u-transformer", gates=0) > 0).all()
    assert (_voxels_that_reach_the_corner("unet") > 0).float().mean() < 0.5


def test_the_gate_filters_the_skip_connection_by_what_comes_up():
    torch.manual_seed(0)
    attention = CrossAttention(16, 32, heads=2).eval()
    skip, deep = torch.randn(1, 16, 6, 10), torch.randn(1, 32, 3, 5, requires_grad=True)
    gate = attention(skip, deep)
    assert gate.shape == skip.shape
    assert 0 < gate.min() < gate.max() < 1
    gate[0, :, 0, 0].sum().backward()
    assert (deep.grad.abs().sum(1) > 0).all()


def test_a_closed_gate_lets_nothing_of_the_skip_connection_pass():
    network = small("u-transformer", 2).eval()
    x, bottom = torch.randn(1, 1, 16, 16), torch.randn(1, 12, 4, 4)
    *skips, _ = network.encode(x)
    others = [torch.randn_like(skip) for skip in skips]
    with torch.inference_mode():
        for gate in network.gates:
            torch.nn.init.constant_(gate.out[1].bias, 30)
        opened = network.decode([*skips, bottom])
        assert not torch.allclose(opened, network.decode([*others, bottom]), atol=1e-2)
        for gate in network.gates:
            torch.nn.init.constant_(gate.out[1].bias, -30)
        closed = network.decode([*skips, bottom])
        assert torch.allclose(closed, network.decode([*others, bottom]), atol=1e-5)


def test_positions_differ_everywhere_and_move_as_waves():
    encoding = positions(torch.zeros(1, 16, 40, 30))
    assert encoding.shape == (16, 40, 30)
    flat = encoding.flatten(1).T
    assert (torch.cdist(flat, flat) + torch.eye(1200) * 9).min() > 0.1
    # the likeness of two places depends on the way between them only
    likeness = torch.einsum("cij,cij->ij", encoding[:, :-7, :-5], encoding[:, 7:, 5:])
    assert torch.allclose(likeness, likeness[0, 0].expand_as(likeness), atol=1e-4)
    assert torch.allclose(encoding[0, :, 3], torch.arange(40.0).sin(), atol=1e-5)
    assert torch.allclose(encoding[15, 5], (torch.arange(30.0) / 1000).cos(), atol=1e-5)


def test_positions_are_part_of_the_attention():
    attention = small("u-transformer", 2).self_attention
    alike = torch.ones(1, 12, 3, 4)
    with torch.inference_mode():
        y = attention(alike)
    assert y.flatten(2).std(-1).min() > 1e-5


def _cross_attention(c: int) -> int:
    """Parameters by formula: three matrices, 1x1 convolutions of skip, of twice as wide a map below, and at the end."""
    batch_norms = 3 * 2 * c
    return 3 * c * c + c * c + 2 * c * c + c * c + batch_norms


def _voxels_that_reach_the_corner(name: str, **arguments) -> torch.Tensor:
    """How much each voxel of an image decides about the first; batch norms at rest, or they would join all of them."""
    network = small(name, 2, **arguments).eval()
    x = torch.randn(1, 1, 96, 96, requires_grad=True)
    network(x)[0, :, 0, 0].sum().backward()
    return x.grad[0, 0].abs()
