"""The networks from MONAI: published sizes, MONAI's own answers, and what differs from MONAI."""

from __future__ import annotations

import pytest
import torch
from monai.networks import nets

from MedSegDLLib.networks import create
from MedSegDLLib.networks.blocks import parameter_count
from network_makers import SMALL, small

UNREAD_NORMS = 12 * 2 * 768
"""Parameters of MONAI's UNETR that its forward pass never reads and ours does not have."""


@pytest.mark.parametrize(
    ("name", "dims", "classes", "arguments", "parameters"),
    [
        ("segresnet", 3, 3, {}, 18_796_035),
        ("segresnet", 2, 3, {}, 6_298_563),
        ("unetr", 3, 14, {}, 92_802_478 - UNREAD_NORMS),
        ("unetr", 2, 14, {}, 87_165_070 - UNREAD_NORMS),
        ("vnet", 3, 3, {}, 45_601_906),
        ("vnet", 2, 3, {}, 9_359_538),
        ("mednext-s", 3, 3, {}, 5_550_947),
        ("mednext-b", 3, 3, {}, 10_510_883),
        ("mednext-m", 3, 3, {}, 17_533_539),
        ("mednext-l", 3, 3, {}, 61_726_787),
        ("mednext-s", 3, 3, {"kernel": 5}, 5_980_579),
        ("mednext-b", 3, 3, {"kernel": 5}, 10_940_515),
        ("mednext-m", 3, 3, {"kernel": 5}, 18_245_411),
        ("mednext-l", 3, 3, {"kernel": 5}, 62_940_419),
        ("swin-unetr", 3, 14, {}, 62_187_296),
        ("swin-unetr", 3, 14, {"v2": True}, 72_762_656),
        ("swin-unetr", 2, 14, {}, 25_138_568),
        ("swin-unetr", 2, 14, {"v2": True}, 28_663_688),
    ],
)
def test_parameters_are_as_many_as_published(name, dims, classes, arguments, parameters):
    with torch.device("meta"):
        network = create(name, dims, 1, classes, **arguments)
    assert all(parameter.is_meta for parameter in network.parameters())
    assert parameter_count(network) == parameters


@pytest.mark.parametrize("dims", [2, 3])
def test_a_unetr_at_its_own_size_is_monais(dims):
    ours = small("unetr", dims).eval()
    knobs = SMALL["unetr"]
    theirs = nets.UNETR(
        1,
        3,
        knobs["image_size"],
        feature_size=knobs["width"],
        hidden_size=knobs["hidden"],
        mlp_dim=knobs["mlp"],
        num_heads=knobs["heads"],
        spatial_dims=dims,
    )
    missing, unknown = theirs.load_state_dict(ours.state_dict(), strict=False)
    assert unknown == [] and all("norm_cross_attn" in name for name in missing)
    x = torch.randn(1, 1, *(knobs["image_size"],) * dims)
    with torch.inference_mode():
        assert torch.allclose(ours(x), theirs.eval()(x), atol=1e-5)


def test_positions_of_a_unetr_grow_with_the_image():
    network = small("unetr", 2, image_size=(32, 48)).eval()
    embedding = network.vit.patch_embedding
    torch.nn.init.zeros_(embedding.patch_embeddings.weight)  # the tokens are now their positions
    torch.nn.init.zeros_(embedding.patch_embeddings.bias)
    grids = []
    network.vit.blocks[0].register_forward_pre_hook(lambda block, tokens: grids.append(tokens[0]))
    with torch.inference_mode():
        network(torch.zeros(1, 1, 32, 48))
        network(torch.zeros(1, 1, 64, 96))
    own, grown = (tokens[0].unflatten(0, grid) for tokens, grid in zip(grids, [(2, 3), (4, 6)]))
    assert torch.allclose(own.flatten(0, 1), embedding.position_embeddings[0])
    assert torch.allclose(grown[[0, 0, -1, -1], [0, -1, 0, -1]], own[[0, 0, -1, -1], [0, -1, 0, -1]])
    assert torch.allclose(grown[0, 1], 0.75 * own[0, 0] + 0.25 * own[0, 1], atol=1e-6)


@pytest.mark.parametrize("dims", [2, 3])
def test_a_vnet_is_monais(dims):
    torch.manual_seed(0)
    theirs = nets.VNet(dims, 1, 3).eval()
    ours = create("vnet", dims, 1, 3).eval()
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)))
    x = torch.randn(1, 1, *(32,) * dims)
    with torch.inference_mode():
        assert torch.allclose(ours(x), theirs(x), atol=1e-4)


def test_dropout_of_a_flat_vnet_leaves_out_maps_and_not_images():
    network = small("vnet", 2).train()
    seen = []
    network.ups[0].dropout2.register_forward_hook(lambda layer, given, result: seen.append(result))
    torch.manual_seed(0)
    network(torch.randn(8, 1, 64, 64))
    left_out = (seen[0] == 0).flatten(2).all(dim=2)
    assert left_out.any() and not left_out.all(dim=1).any()


def test_channels_of_a_vnets_image():
    x = torch.randn(1, 3, 32, 32)
    network = small("vnet", 2, in_channels=3, width=8).eval()
    with torch.inference_mode():
        assert network(x).shape == (1, 3, 32, 32)
        assert not torch.allclose(network(x), network(x.roll(1, dims=1)), atol=1e-4)
    with pytest.raises(ValueError, match="a V-Net of width 8 takes 8 channels at most, not 9"):
        small("vnet", 2, in_channels=9, width=8)


def test_dropout_of_a_segresnet_is_for_training():
    network, x = small("segresnet", 2), torch.randn(1, 1, 32, 32)
    with torch.no_grad():
        assert torch.equal(network.eval()(x), network(x))
        assert not torch.allclose(network.train()(x), network.eval()(x), atol=1e-4)


@pytest.mark.parametrize("dims", [2, 3])
def test_a_mednext_is_supervised_at_each_of_its_scales(dims):
    network = small("mednext-s", dims, deep_supervision=True).train()
    logits = network(torch.randn(1, 1, *(33,) * dims))
    assert [each.shape[2:] for each in logits] == [(n,) * dims for n in (33, 24, 12, 6, 3)]
    assert network.loss_weights == (1, 1 / 2, 1 / 4, 1 / 8, 1 / 16)


def test_mednexts_sizes():
    with pytest.raises(ValueError, match="there is no MedNeXt 'XL'; there are S, B, M, L"):
        create("mednext-s", 3, 1, 2, variant="XL")
