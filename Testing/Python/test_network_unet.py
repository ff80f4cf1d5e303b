"""U-Net: published sizes, padded and valid convolutions that agree, and the mirrored border."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from MedSegDLLib.networks import create
from MedSegDLLib.networks.blocks import parameter_count
from MedSegDLLib.networks.u_shape import centre_crop, mirror
from network_makers import small

both_networks = pytest.mark.parametrize("name", ["unet", "unet-valid"])
CONTEXT = 20
"""What the small valid network, of three levels, needs beyond each side of its output: 6 * 4 - 4."""


@both_networks
@pytest.mark.parametrize(
    ("channels", "arguments", "parameters"), [(1, {}, 31_030_658), (3, {"batch_norm": True}, 31_037_698)]
)
def test_parameters_are_as_many_as_published(name, channels, arguments, parameters):
    with torch.device("meta"):
        network = create(name, 2, channels, 2, **arguments)
    assert parameter_count(network) == parameters


def test_the_papers_tile():
    with torch.device("meta"):
        network = create("unet-valid", 2, 1, 2)
        assert [each.shape[1:] for each in network.encode(torch.empty(1, 1, 572, 572))] == [
            (64, 568, 568),
            (128, 280, 280),
            (256, 136, 136),
            (512, 64, 64),
            (1024, 28, 28),
        ]
        assert network.tile_logits(torch.empty(1, 1, 572, 572)).shape == (1, 2, 388, 388)


@both_networks
@pytest.mark.parametrize("features", [[3, 5], [2, 3, 4, 5, 6, 7]])
def test_any_widths_and_depth(name, features):
    network = small(name, 2, features=features).eval()
    with torch.inference_mode():
        assert network(torch.randn(1, 1, 17, 40)).shape == (1, 3, 17, 40)


def test_a_tile_in_three_dimensions():
    with torch.device("meta"):
        assert small("unet-valid", 3).tile_logits(torch.empty(1, 1, 44, 48, 60)).shape == (1, 3, 4, 8, 20)


@pytest.mark.parametrize("size", [61, 62, 63])
@both_networks
def test_a_tile_that_does_not_halve_evenly(name, size):
    with pytest.raises(ValueError, match="must halve evenly at each level"):
        small(name, 2).tile_logits(torch.zeros(1, 1, 60, size))


def test_an_output_away_from_the_border_is_that_of_its_tile():
    network = small("unet-valid", 2).eval()
    x = torch.randn(1, 1, 73, 90)
    with torch.inference_mode():
        whole, tile = network(x), network.tile_logits(x[..., 8 : 8 + 56, 12 : 12 + 60])
    inner = whole[..., 8 + CONTEXT : 8 + 56 - CONTEXT, 12 + CONTEXT : 12 + 60 - CONTEXT]
    assert torch.allclose(tile, inner, atol=1e-5)
    assert tile.std() > 0.01


def test_context_ends_where_it_should():
    network = small("unet-valid", 2).eval()
    x = torch.randn(1, 1, 60, 60, requires_grad=True)
    network.tile_logits(x).square().sum().backward()
    reached = x.grad[0, 0].abs().sum(0).nonzero().flatten()
    assert (reached.min(), reached.max()) == (0, 59)


@pytest.mark.parametrize("arguments", [{}, {"batch_norm": True}])
def test_padded_and_valid_convolutions_agree_away_from_the_border(arguments):
    padded, valid = (small(name, 2, **arguments).eval() for name in ("unet", "unet-valid"))
    valid.load_state_dict(padded.state_dict())
    x = torch.randn(1, 1, 112, 112)
    start = 26  # so that both pool the same pairs of voxels: the valid one loses 2, then 2 of twice the size
    with torch.inference_mode():
        whole, tile = padded(x), valid.tile_logits(x[..., start : start + 60, start : start + 60])
    inner = slice(start + CONTEXT, start + 60 - CONTEXT)
    assert torch.allclose(tile, whole[..., inner, inner], atol=1e-5)
    assert tile.std() > 0.01


def test_what_lies_beyond_the_border_is_a_mirror_image():
    network = small("unet-valid", 2).eval()
    x = torch.randn(1, 1, 60, 40)
    around = nn.functional.pad(x, (CONTEXT,) * 4, mode="reflect")
    with torch.inference_mode():
        assert torch.allclose(network(x), network.tile_logits(around), atol=1e-5)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (1, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        (2, [1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1]),
        (3, [1, 0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2]),
        (8, [5, 4, 3, 2, 1, 0, 1, 2, 3, 4, 5, 6, 7, 6, 5, 4, 3]),
    ],
)
def test_mirrors_face_each_other(size, expected):
    after = len(expected) - 5 - size
    for axis in (2, 3):
        x = torch.arange(size).view(1, 1, *((-1, 1) if axis == 2 else (1, -1)))
        assert mirror(x, axis, 5, after).flatten().tolist() == expected


def test_the_middle_of_a_skip_connection():
    x = torch.arange(12.0).view(1, 1, 2, 6)
    assert centre_crop(x, (2, 2)).tolist() == [[[[2.0, 3.0], [8.0, 9.0]]]]
    assert centre_crop(x, (2, 6)) is x


def test_weights_start_with_the_papers_deviation():
    network = small("unet", 2, features=[32, 64, 128])
    for conv in (each for each in network.modules() if isinstance(each, nn.Conv2d) and each.weight.numel() > 5000):
        assert conv.weight.std().item() == pytest.approx((2 / conv.weight[0].numel()) ** 0.5, rel=0.05)
    assert all(not conv.bias.any() for conv in network.modules() if isinstance(conv, nn.Conv2d))


def test_dropout_ends_the_contracting_path():
    network = small("unet", 2, features=[2, 3, 4, 5, 6])
    assert [any(isinstance(each, nn.Dropout) for each in stage) for stage in network.encoder] == [False] * 3 + [
        True
    ] * 2
    assert not any(isinstance(each, nn.Dropout) for each in network.decoder.modules())
    x = torch.randn(1, 1, 32, 32)
    with torch.inference_mode():
        assert not torch.equal(network.train()(x), network(x))
        assert torch.equal(network.eval()(x), network(x))
