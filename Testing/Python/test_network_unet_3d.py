"""3D U-Net: the published tile, the published parameters, one by one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from MedSegDLLib.networks import create
from MedSegDLLib.networks.blocks import parameter_count
from network_makers import small


@pytest.fixture
def published():
    with torch.device("meta"):
        return create("unet-3d", 3, 3, 3, padded=False)


def test_parameters_are_as_many_as_published(published):
    convs = [each for each in published.modules() if isinstance(each, nn.Conv3d)]
    ups = [each for each in published.modules() if isinstance(each, nn.ConvTranspose3d)]
    assert sum(each.weight.numel() for each in convs + ups) == 19_067_616
    assert sum(each.bias.numel() for each in convs if each is not published.head) == 2_336
    assert published.head.bias.numel() == 3
    assert sum(map(parameter_count, convs + ups)) == 19_069_955
    norms = sum(parameter_count(each) for each in published.modules() if isinstance(each, nn.BatchNorm3d))
    assert norms == 4_672 and parameter_count(published) == 19_069_955 + norms


def test_the_papers_tile(published):
    tile = torch.empty(1, 3, 132, 132, 116, device="meta")
    assert [each.shape[1:] for each in published.encode(tile)] == [
        (64, 128, 128, 112),
        (128, 60, 60, 52),
        (256, 26, 26, 22),
        (512, 9, 9, 7),
    ]
    assert published.tile_logits(tile).shape == (1, 3, 44, 44, 28)


def test_features_double_before_each_pooling(published):
    convs = [each for each in published.encoder.modules() if isinstance(each, nn.Conv3d)]
    assert [each.out_channels for each in convs] == [32, 64, 64, 128, 128, 256, 256, 512]


def test_what_each_level_of_the_synthesis_path_takes(published):
    assert [up.weight.shape for up in published.ups] == [(n, n, 2, 2, 2) for n in (128, 256, 512)]
    assert [stage[0].in_channels for stage in published.decoder] == [64 + 128, 128 + 256, 256 + 512]
    assert [[stage[0].out_channels, stage[3].out_channels] for stage in published.decoder] == [
        [64, 64],
        [128, 128],
        [256, 256],
    ]


def test_a_norm_before_each_relu(published):
    for stage in (*published.encoder, *published.decoder):
        assert [type(each) for each in stage] == [nn.Conv3d, nn.BatchNorm3d, nn.ReLU] * 2


@pytest.mark.parametrize("dims", [2, 3])
def test_padded_and_valid_convolutions_agree_away_from_the_border(dims):
    padded, valid = (small("unet-3d", dims, features=[4, 6], padded=each).eval() for each in (True, False))
    x = torch.randn(1, 1, *(36,) * dims)
    tile = x[(..., *(slice(8, 28),) * dims)]
    inner = slice(8 + 8, 28 - 8)  # two levels: context of 6 * 2 - 4 voxels
    with torch.inference_mode():
        assert torch.allclose(valid.tile_logits(tile), padded(x)[(..., *(inner,) * dims)], atol=1e-5)


@pytest.mark.parametrize("size", [(17, 23), (17, 18, 21)])
def test_valid_convolutions_at_any_size(size):
    network = small("unet-3d", len(size), padded=False).eval()
    with torch.inference_mode():
        assert network(torch.randn(1, 1, *size)).shape == (1, 3, *size)


@pytest.mark.parametrize("features", [[3, 5], [2, 3, 4, 5, 6]])
def test_any_widths_and_depth(features):
    network = small("unet-3d", 2, features=features).eval()
    with torch.inference_mode():
        assert network(torch.randn(1, 1, 17, 40)).shape == (1, 3, 17, 40)
