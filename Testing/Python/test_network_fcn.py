"""FCN-32s, 16s and 8s and their VGG: published sizes, torchvision's names, scores that meet where they belong."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from MedSegDLLib.engine.private_openvino import openvino
from MedSegDLLib.networks import create
from MedSegDLLib.networks.blocks import parameter_count
from MedSegDLLib.networks.fcn import bilinear_kernel
from MedSegDLLib.networks.vgg import VGG
from network_makers import small

NAMES = ["fcn-32s", "fcn-16s", "fcn-8s"]
VGG16 = {0: 64, 2: 64, 5: 128, 7: 128, 10: 256, 12: 256, 14: 256, 17: 512, 19: 512, 21: 512, 24: 512, 26: 512, 28: 512}
"""Convolutions of torchvision's vgg16: their number in `features`, their output channels."""

every_fcn = pytest.mark.parametrize("name", NAMES)


def torchvision_weights(in_channels: int = 1, shrink: int = 1) -> dict[str, torch.Tensor]:
    """A state dict with the names and shapes of torchvision's vgg16, its width divided by `shrink`."""
    weights = {}
    for number, channels in VGG16.items():
        channels //= shrink
        weights[f"features.{number}.weight"] = torch.randn(channels, in_channels, 3, 3) * (2 / 9 / in_channels) ** 0.5
        weights[f"features.{number}.bias"] = torch.zeros(channels)
        in_channels = channels
    return weights


def awake(name: str, scores: str = "score pool_scores.0 pool_scores.1") -> nn.Module:
    """A small network of which the named score layers no longer give zero."""
    network = small(name, 2).eval()
    for layer, module in network.named_modules():
        if layer in scores.split():
            nn.init.normal_(module.weight)
    return network


@pytest.mark.parametrize(
    ("name", "trained", "without_upsampling", "with_every_kernel"),
    [
        ("fcn-32s", 134_346_581, 134_346_581, 134_346_581 + 21 * 21 * 64 * 64),
        ("fcn-16s", 134_364_410, 134_357_354, 134_364_410 + 21 * 21 * 32 * 32),
        ("fcn-8s", 134_376_863, 134_362_751, 134_489_759),
    ],
)
def test_parameters_are_as_many_as_in_the_authors_network(name, trained, without_upsampling, with_every_kernel):
    with torch.device("meta"):
        network = create(name, 2, 3, 21)
    assert parameter_count(network) == trained
    assert parameter_count(network) - parameter_count(network.doublings) == without_upsampling
    # Caffe stores the fixed kernel for every pair of classes, though it is zero between different ones
    assert parameter_count(network) + 21 * 21 * network.kernel.numel() == with_every_kernel
    assert parameter_count(network.backbone) + parameter_count(network.classifier) == 134_260_544


@pytest.mark.parametrize(
    ("arguments", "parameters"),
    [({}, 14_714_688), ({"batch_norm": True}, 14_723_136), ({"depth": 19}, 20_024_384)],
)
def test_vgg_has_as_many_parameters_as_torchvisions(arguments, parameters):
    with torch.device("meta"):
        assert parameter_count(VGG(2, 3, **arguments)) == parameters


def test_vgg_is_named_as_torchvisions():
    with torch.device("meta"):
        network = create("fcn-8s", 2, 3, 21)
        expected = torchvision_weights(3)
    weights = network.backbone.state_dict()
    assert {key: weight.shape for key, weight in weights.items()} == {key: w.shape for key, w in expected.items()}
    # torchvision's Linear(512 * 7 * 7, 4096) and Linear(4096, 4096), row by row
    assert network.classifier.state_dict()["0.weight"].shape == (4096, 512, 7, 7)
    assert network.classifier.state_dict()["3.weight"].shape == (4096, 4096, 1, 1)


@pytest.mark.parametrize("depth", [16, 19])
@pytest.mark.parametrize("dims", [2, 3])
def test_vgg_gives_its_stages_before_and_after_their_pooling(depth, dims):
    vgg = VGG(dims, 1, depth, width=2)
    x = torch.randn(1, 1, 64, *(32,) * (dims - 1))
    before, after = vgg(x), vgg(x, pooled=True)
    assert [each.shape[1:3] for each in before] == [(2, 64), (4, 32), (8, 16), (16, 8), (16, 4)]
    assert [each.shape[1:3] for each in after] == [(2, 32), (4, 16), (8, 8), (16, 4), (16, 2)]
    pool = F.max_pool2d if dims == 2 else F.max_pool3d
    assert all(torch.equal(pool(b, 2), a) for b, a in zip(before, after))
    assert torch.equal(after[-1], vgg.features(x))


def test_weights_of_torchvision_make_a_difference():
    network = awake("fcn-8s")
    x = torch.randn(1, 1, 20, 20)
    before = network(x)
    network.backbone.load_state_dict(torchvision_weights(shrink=16))
    assert not torch.allclose(network(x), before, atol=0.1)


@every_fcn
def test_every_size_comes_back(name):
    with torch.device("meta"):
        network = small(name, 2)
        sizes = [(height, 81 - height) for height in range(1, 81)]
        assert [network(torch.empty(1, 1, *size)).shape[2:] for size in sizes] == sizes


@every_fcn
def test_scores_start_at_zero(name):
    assert not small(name, 2)(torch.randn(1, 1, 20, 20)).any()


@every_fcn
def test_the_last_upsampling_is_not_learned(name):
    network = small(name, 2)
    assert "kernel" not in network.state_dict()
    assert all(doubling.weight.requires_grad for doubling in network.doublings)


@pytest.mark.parametrize("factor", [2, 8, 16, 32])
def test_the_kernel_interpolates_linearly(factor):
    score = torch.randn(1, 1, 4, 5)
    upsampled = F.conv_transpose2d(score, bilinear_kernel(factor)[None, None], stride=factor)
    expected = F.interpolate(score, scale_factor=factor, mode="bilinear")
    # beyond the outermost centres one fades to zero, the other goes on as it was
    inside, half = slice(factor, -factor), factor // 2
    assert torch.allclose(upsampled[..., inside, inside], expected[..., half:-half, half:-half], atol=1e-5)


@pytest.mark.parametrize("name", ["fcn-16s", "fcn-8s"])
def test_doublings_start_as_linear_interpolation_of_each_class(name):
    score = torch.randn(1, 3, 4, 5)
    for doubling in small(name, 2).doublings:
        expected = F.interpolate(score, scale_factor=2, mode="bilinear")
        assert torch.allclose(doubling(score)[..., 2:-2, 2:-2], expected[..., 1:-1, 1:-1], atol=1e-6)


@every_fcn
def test_nothing_is_shifted(name):
    """With symmetric kernels a flipped image gives the flipped result, if each crop leaves as much on either side."""
    network = awake(name)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data += module.weight.flip(2)
            module.weight.data += module.weight.flip(3)
            module.weight.data /= 2  # keeps the variance
    x = torch.randn(1, 1, 58, 90)  # with 198 pixels of padding multiples of 32: no pooling is cut short
    x[..., :20, :40] += 5
    with torch.inference_mode():
        logits = network(x)
        flips = [network(x.flip(axis)).flip(axis) for axis in (2, 3)]
    scale = logits.std()
    assert all(torch.allclose(each, logits, atol=1e-4 * scale) for each in flips)
    assert not torch.allclose(logits.flip(2), logits, atol=0.1 * scale)


@pytest.mark.parametrize(("coarse", "fine"), [("fcn-32s", "fcn-16s"), ("fcn-16s", "fcn-8s")])
def test_a_finer_network_goes_on_from_a_coarser_one(coarse, fine):
    coarse, fine = awake(coarse), small(fine, 2).eval()
    missing, unexpected = fine.load_state_dict(coarse.state_dict(), strict=False)
    added = len(coarse.doublings)
    assert missing == [f"pool_scores.{added}.weight", f"pool_scores.{added}.bias", f"doublings.{added}.weight"]
    assert unexpected == []
    # the new score is zero: what remains is the coarse result, interpolated in two steps instead of one
    with torch.inference_mode():
        x = torch.randn(1, 1, 70, 70)
        expected, logits = coarse(x), fine(x)
    assert (logits - expected).square().mean() < 0.05 * expected.var()


def test_scores_are_added():
    x = torch.randn(1, 1, 40, 40)
    layers = ["score", "pool_scores.0", "pool_scores.1"]
    together = awake("fcn-8s")
    weights = together.state_dict()
    parts = torch.zeros(1, 3, 40, 40)
    with torch.inference_mode():
        for kept in layers:
            part = small("fcn-8s", 2).eval()
            part.load_state_dict(weights)
            for layer in set(layers) - {kept}:
                nn.init.zeros_(part.get_submodule(layer).weight)
            contribution = part(x)
            assert contribution.std() > 0.01
            parts += contribution
        assert torch.allclose(together(x), parts, atol=1e-4 * parts.std())


@pytest.mark.parametrize(
    ("name", "score", "reach"),
    # half the receptive field of the pooling (44 and 100 pixels), and half the last kernel
    [("fcn-8s", "pool_scores.1", 22 + 8), ("fcn-16s", "pool_scores.0", 50 + 16)],
)
def test_each_pooling_is_scored_where_it_is(name, score, reach):
    network = awake(name, score)
    x = torch.randn(1, 1, 180, 180)
    other = x.clone()
    other[0, 0, 90, 70] += 10
    with torch.inference_mode():
        rows, columns = (network(other) != network(x)).any(1)[0].nonzero().T
    assert 90 - reach <= rows.min() < 90 < rows.max() <= 90 + reach
    assert 70 - reach <= columns.min() < 70 < columns.max() <= 70 + reach


def test_the_exported_graph_gives_the_same_logits_once_there_are_any():
    network = awake("fcn-8s")
    x = torch.randn(1, 1, 33, 18)
    model = openvino.convert_model(network, example_input=x, input=[list(x.shape)])
    compiled = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    with torch.inference_mode():
        expected = network(x)
    assert expected.std() > 0.01
    assert torch.allclose(torch.from_numpy(compiled(x.numpy())[0]), expected, atol=1e-3 * expected.std())
