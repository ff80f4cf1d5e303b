"""DoubleU-Net: the authors' sizes part by part, and what the second network sees of the first."""

from __future__ import annotations

import pytest
import torch

from MedSegDLLib.networks import create
from MedSegDLLib.networks.backbone import load_backbone
from MedSegDLLib.networks.blocks import parameter_count
from MedSegDLLib.networks.doubleu_net import Decoder, Stage, foreground
from MedSegDLLib.networks.vgg import VGG
from network_makers import small


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_parameters_are_as_many_as_in_the_authors_network():
    with torch.device("meta"):
        network = create("doubleu-net", 2, 3, 1)
    assert {name: parameter_count(part) for name, part in network.named_children()} == {
        "backbone": 20_024_384,
        "pyramid1": 971_520,
        "decoder1": 2_908_828,
        "head1": 33,
        "encoder2": 1_195_516,
        "pyramid2": 496_384,
        "decoder2": 3_692_188,
        "head2": 33,
    }
    assert parameter_count(network) == 29_288_886


def test_the_first_encoder_has_the_names_of_torchvisions_vgg19():
    weights = small("doubleu-net", 2).backbone.state_dict()
    convs = [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34]
    assert list(weights) == [f"features.{conv}.{kind}" for conv in convs for kind in ("weight", "bias")]


def test_weights_of_a_vgg19_load_into_it():
    network, vgg = small("doubleu-net", 2), VGG(2, 3, depth=19, width=6)
    load_backbone(network, vgg.state_dict() | {"classifier.0.weight": torch.zeros(2, 2)})
    loaded = network.backbone.features
    assert torch.equal(loaded[34].weight, vgg.features[34].weight)
    assert torch.allclose(loaded[0].weight, vgg.features[0].weight.sum(1, keepdim=True))


@pytest.mark.parametrize("classes", [1, 2, 4])
def test_the_second_network_sees_the_image_times_the_first_mask(classes):
    network = small("doubleu-net", 2, in_channels=2, out_channels=classes).eval()
    seen = _inputs_and_outputs(network)
    x = torch.randn(2, 2, 32, 48)
    logits = network(x)
    mask = foreground(seen["head1"][1])
    assert 0 < mask.min() < mask.max() < 1
    assert torch.allclose(seen["encoder2"][0], x * mask)
    assert torch.equal(logits, seen["head2"][1])


@pytest.mark.parametrize("logit", [-100.0, 100.0])
def test_an_empty_mask_hides_the_image_and_a_full_one_shows_it(logit):
    network = small("doubleu-net", 2, out_channels=1).eval()
    torch.nn.init.zeros_(network.head1.weight)
    torch.nn.init.constant_(network.head1.bias, logit)
    seen = _inputs_and_outputs(network)
    x = torch.randn(1, 1, 32, 32)
    network(x)
    assert torch.allclose(seen["encoder2"][0], x * (logit > 0))


def test_foreground_is_all_but_the_background():
    one, two, four = (torch.randn(2, classes, 5, 6) for classes in (1, 2, 4))
    assert torch.equal(foreground(one), one.sigmoid())
    assert torch.allclose(foreground(two)[:, 0], (two[:, 1] - two[:, 0]).sigmoid(), atol=1e-6)
    assert torch.allclose(foreground(four)[:, 0], 1 - four.softmax(1)[:, 0], atol=1e-6)


def test_the_second_decoder_takes_in_the_skips_of_both_encoders():
    network = small("doubleu-net", 2).eval()
    seen = _inputs_and_outputs(network)
    skips = {}
    for name in ("decoder1", "decoder2"):
        getattr(network, name).register_forward_pre_hook(lambda _, inputs, name=name: skips.update({name: inputs[1]}))
    network(torch.randn(1, 1, 32, 32))
    for first, own, both in zip(skips["decoder1"], seen["encoder2"][1][:4], skips["decoder2"], strict=True):
        assert torch.equal(both, torch.cat((first, own), dim=1))
    assert [each.shape[1] for each in skips["decoder1"]] == [6, 12, 24, 48]
    assert [each.shape[2] for each in skips["decoder1"]] == [32, 16, 8, 4]


def test_both_networks_are_supervised_the_second_is_the_result():
    network = small("doubleu-net", 2, deep_supervision=True).train()
    seen = _inputs_and_outputs(network)
    second, first = network(torch.randn(2, 1, 30, 33))
    assert network.loss_weights == (1.0, 1.0)
    assert first.shape == second.shape == (2, 3, 30, 33)
    assert torch.equal(second, seen["head2"][1][:, :, :30, :33])
    assert torch.equal(first, seen["head1"][1][:, :, :30, :33])


def test_the_second_loss_teaches_the_first_network_through_the_mask():
    network = small("doubleu-net", 2).train()
    network(torch.randn(2, 1, 32, 32)).square().mean().backward()
    assert network.head1.weight.grad.abs().max() > 0


def test_channels_are_weighed_by_squeeze_and_excitation():
    stage = Stage(3, 16).eval()
    x = torch.randn(1, 3, 8, 8)
    before = stage.convs(x)
    weights = stage.excitation(before)
    assert weights.shape == (1, 16, 1, 1) and weights.min() > 0 and weights.max() < 1
    assert torch.allclose(stage(x), before * weights)


def test_a_decoder_doubles_the_size_four_times():
    decoder = Decoder(6, (2, 3, 4, 5), (8, 9, 10, 11)).eval()
    skips = [torch.randn(1, channels, size, size) for channels, size in ((2, 32), (3, 16), (4, 8), (5, 4))]
    assert decoder(torch.randn(1, 6, 2, 2), skips).shape == (1, 8, 32, 32)


def _inputs_and_outputs(network) -> dict:
    """By the name of a part: the first thing it was given, and what it gave, of the latest call."""
    seen = {}
    for name, part in network.named_children():
        part.register_forward_hook(lambda _, inputs, output, name=name: seen.update({name: (inputs[0], output)}))
    return seen
