"""TransUNet: published sizes, standardised filters, positions that scale, attention among all tokens."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from MedSegDLLib.networks import create
from MedSegDLLib.networks.backbone import load_backbone
from MedSegDLLib.networks.blocks import parameter_count
from MedSegDLLib.networks.resnet_v2 import GroupNorm, ResNetV2, StandardisedConv2d
from network_makers import small


def test_parameters_are_as_many_as_in_the_authors_network():
    with torch.device("meta"):
        network = create("transunet", 2, 3, 9)
    assert parameter_count(network.backbone) == 11_894_848
    assert parameter_count(network.backbone) + parameter_count(network.transformer) == 97_888_576
    assert parameter_count(network.decoder) == 7_387_200
    assert parameter_count(network.head) == 1_305
    assert parameter_count(network) == 105_277_081


def test_positions_are_learnt_for_the_grid_of_the_image_size():
    with torch.device("meta"):
        assert create("transunet", 2, 1, 2).transformer.position_embedding.shape == (1, 768, 14, 14)
        assert create("transunet", 2, 1, 2, image_size=(512, 200)).transformer.position_embedding.shape[2:] == (32, 13)


def test_heads_share_the_channels_equally():
    with pytest.raises(ValueError, match="5 heads cannot share 24 channels equally"):
        small("transunet", 2, heads=5)


def test_weights_start_as_the_authors_weights():
    network = small("transunet", 2, hidden=64, mlp=256)
    assert not network.transformer.position_embedding.any()
    for layer in network.transformer.layers:
        for linear in (layer.mlp[0], layer.mlp[3]):
            assert linear.weight.std().item() == pytest.approx((2 / (64 + 256)) ** 0.5, rel=0.05)  # Glorot
            assert 0 < linear.bias.abs().max() < 1e-5
        projections = layer.attention.query_key_value.weight
        assert projections.abs().max().item() == pytest.approx(64**-0.5, rel=0.01)


def test_filters_have_mean_0_and_variance_1():
    torch.manual_seed(0)
    conv = StandardisedConv2d(2, 5, 3, padding=1, bias=False)
    with torch.no_grad():
        conv.weight.mul_(3).add_(1)
    impulses = torch.zeros(2, 2, 3, 3)
    impulses[[0, 1], [0, 1], 1, 1] = 1
    filters = conv(impulses).transpose(0, 1).flatten(1)  # the response to an impulse is the filter
    assert torch.allclose(filters.mean(1), torch.zeros(5), atol=1e-5)
    assert torch.allclose(filters.var(1, correction=0), torch.ones(5), atol=1e-3)
    assert (conv.weight.flatten(1).mean(1) > 0.5).all()


def test_norm_is_torchs_group_norm():
    torch.manual_seed(0)
    norm, x = GroupNorm(2, 6), torch.randn(2, 6, 5, 4)
    torch.nn.init.normal_(norm.weight)
    assert torch.allclose(norm(x), F.group_norm(x, 2, norm.weight, norm.bias), atol=1e-6)


def test_feature_maps_halve_and_double():
    network = ResNetV2(1, width=4).eval()
    with torch.inference_mode():
        maps = network(torch.randn(1, 1, 48, 80))
    assert [each.shape[1] for each in maps] == list(network.channels) == [4, 16, 32, 64]
    assert [each.shape[2:] for each in maps] == [(24, 40), (12, 20), (6, 10), (3, 5)]
    # the pooling is not padded, the map is
    assert not maps[1][..., -1].any() and not maps[1][..., -1, :].any() and maps[1][..., :-1, :-1].any(1).all()


def test_stages_have_as_many_blocks_as_published():
    backbone = small("transunet", 2).backbone
    assert [len(stage) for stage in backbone.body] == [3, 4, 9]
    assert {"root.conv.weight", "body.block1.unit1.gn_proj.bias", "body.block3.unit9.conv3.weight"} <= set(
        backbone.state_dict()
    )


def test_weights_for_three_channels_treat_one_as_if_it_were_repeated():
    torch.manual_seed(0)
    trained, network = ResNetV2(3, width=4).double().eval(), small("transunet", 2).double().eval()
    load_backbone(network, trained.state_dict())
    x = torch.randn(1, 1, 32, 48, dtype=torch.float64)
    with torch.inference_mode():
        for own, theirs in zip(network.backbone(x), trained(x.expand(-1, 3, -1, -1))):
            assert theirs.abs().max() > 0.1
            assert torch.allclose(own, theirs, atol=1e-4)


def test_positions_at_the_native_grid_are_the_learnt_ones():
    transformer, learnt = _transformer()
    x = torch.randn(1, 64, 2, 2)
    with torch.inference_mode():
        expected = transformer.patch_embedding(x) + learnt
        expected = transformer.norm(transformer.layers(expected.flatten(2).transpose(1, 2)))
        assert torch.allclose(transformer(x).flatten(2).transpose(1, 2), expected, atol=1e-5)


def test_positions_at_another_grid_lie_between_the_learnt_ones():
    transformer, learnt = _transformer()
    transformer.layers, transformer.norm = torch.nn.Identity(), torch.nn.Identity()
    torch.nn.init.zeros_(transformer.patch_embedding.weight)
    torch.nn.init.zeros_(transformer.patch_embedding.bias)
    with torch.inference_mode():
        positions = transformer(torch.randn(1, 64, 4, 2))
    first, last = learnt[:, :, 0], learnt[:, :, 1]
    for row, weight in enumerate((0, 0.25, 0.75, 1)):
        assert torch.allclose(positions[:, :, row], first + weight * (last - first), atol=1e-5)


def test_every_token_sees_every_other():
    transformer, _ = _transformer()
    assert (_tokens_that_reach_the_first(transformer) > 0).all()
    for layer in transformer.layers:
        torch.nn.init.zeros_(layer.attention.out.weight)
    reached = _tokens_that_reach_the_first(transformer)
    assert reached[0, 0] > 0 and reached.sum() == reached[0, 0]


def test_order_of_tokens_matters_by_their_positions_alone():
    transformer, _ = _transformer()
    x = torch.randn(1, 64, 2, 2)
    with torch.inference_mode():
        assert not torch.allclose(transformer(x.flip(2)), transformer(x).flip(2), atol=1e-3)
        transformer.position_embedding.zero_()
        assert torch.allclose(transformer(x.flip(2)), transformer(x).flip(2), atol=1e-5)


def test_decoder_uses_the_three_skips_and_gives_sixteen_times_the_size():
    decoder = small("transunet", 2).decoder.eval()
    skips = [torch.randn(1, c, s, s, requires_grad=True) for c, s in ((32, 4), (16, 8), (4, 16))]
    features = decoder(torch.randn(1, 24, 2, 2), skips)
    assert features.shape == (1, 4, 32, 32)
    features.square().sum().backward()
    assert all(skip.grad.any() for skip in skips)
    assert [stage.convs[0][0].in_channels for stage in decoder.stages] == [16 + 32, 16 + 16, 8 + 4, 8]


def test_a_slice_need_not_be_square():
    network = small("transunet", 2).eval()
    with torch.inference_mode():
        assert network(torch.randn(1, 1, 20, 131)).shape == (1, 3, 20, 131)


def _transformer():
    """A small one for a 2 x 2 grid, its layers far from their start, and what it learnt of the positions."""
    transformer = small("transunet", 2, image_size=32).transformer.eval()
    torch.nn.init.normal_(transformer.position_embedding)
    return transformer, transformer.position_embedding.detach()


def _tokens_that_reach_the_first(transformer) -> torch.Tensor:
    torch.manual_seed(0)
    x = torch.randn(1, 64, 5, 7, requires_grad=True)
    transformer(x)[0, :, 0, 0].square().sum().backward()
    return x.grad[0].abs().sum(0)
