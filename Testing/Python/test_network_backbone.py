"""A user's weights into a network's backbone: torchvision's names, other numbers of channels, and what does not fit."""

from __future__ import annotations

import pytest
import torch

from MedSegDLLib.networks.backbone import load_backbone
from MedSegDLLib.networks.resnet import ResNet
from network_makers import small

WIDTH = 4
COUNTER = ".num_batches_tracked"
BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3)}
networks_with_a_resnet = pytest.mark.parametrize("name", ["fcn-resnet", "deeplabv3", "deeplabv3-plus", "pspnet"])


@pytest.mark.parametrize(("name", "entries"), [("resnet18", 122), ("resnet50", 320), ("resnet101", 626)])
def test_names_and_shapes_are_torchvisions(name, entries):
    published = resnet_shapes(name, width=64)
    assert len(published) == entries
    with torch.device("meta"):
        backbone = ResNet(2, 3, name, output_stride=8)
    ours = {key: tuple(weight.shape) for key, weight in backbone.state_dict().items()}
    assert ours == {key: shape for key, shape in published.items() if not key.startswith("fc.")}


@networks_with_a_resnet
def test_all_weights_arrive_and_nothing_else_changes(name):
    network = small(name, 2, in_channels=3)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    weights = resnet_weights()
    load_backbone(network, weights)
    after = network.state_dict()
    parts = {key for key in weights if not key.endswith(COUNTER) and not key.startswith("fc.")}
    assert all(torch.equal(after[f"backbone.{key}"], weights[key]) for key in parts)
    assert all(torch.equal(after[key], before[key]) for key in after if not key.startswith("backbone."))


def test_vgg_has_torchvisions_names():
    network = small("fcn-32s", 2, in_channels=3)
    weights = vgg16_weights()
    load_backbone(network, weights)
    assert all(torch.equal(value, weights[key]) for key, value in network.backbone.state_dict().items())


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_a_grey_image_keeps_its_response(channels):
    network = small("deeplabv3", 2, in_channels=channels)
    weights = resnet_weights()
    load_backbone(network, weights)
    grey = torch.randn(1, 1, 20, 20)
    expected = torch.nn.functional.conv2d(grey.expand(1, 3, 20, 20), weights["conv1.weight"], stride=2, padding=3)
    with torch.inference_mode():
        response = network.backbone.conv1(grey.expand(1, channels, 20, 20))
    assert torch.allclose(response, expected, atol=1e-4)


def test_counters_may_be_missing():
    network = small("deeplabv3", 2, in_channels=3)
    weights = {key: value for key, value in resnet_weights().items() if not key.endswith(COUNTER)}
    load_backbone(network, weights)
    assert torch.equal(network.backbone.layer4[1].bn2.running_var, weights["layer4.1.bn2.running_var"])


def test_complaints_name_everything_and_nothing_is_loaded():
    network = small("deeplabv3", 2, in_channels=3)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    weights = resnet_weights()
    weights["layer3.0.conv1.weight"] = weights["layer3.0.conv1.weight"][..., :1]
    weights["conv1.weight"] = torch.zeros(WIDTH, 3, 3, 3)
    weights["layer9.bias"] = weights.pop("bn1.bias")
    with pytest.raises(ValueError) as complaint:
        load_backbone(network, weights)
    assert str(complaint.value) == (
        "the weights are not this backbone's: missing: bn1.bias; unexpected: layer9.bias; of another shape: "
        "conv1.weight (4, 3, 3, 3) for (4, 3, 7, 7), layer3.0.conv1.weight (16, 8, 3, 1) for (16, 8, 3, 3)"
    )
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_long_lists_are_cut():
    with pytest.raises(ValueError, match=r"missing: conv1.weight, .* and 90 more; unexpected: state_dict$"):
        load_backbone(small("deeplabv3", 2, in_channels=3), {"state_dict": torch.zeros(1)})


def test_weights_of_slices_do_not_fit_a_network_of_volumes():
    with pytest.raises(ValueError, match=r"conv1.weight \(4, 3, 7, 7\) for \(4, 3, 7, 7, 7\), .* and 10 more$"):
        load_backbone(small("deeplabv3", 3, in_channels=3), resnet_weights())


def test_networks_without_a_backbone():
    with pytest.raises(ValueError, match="PlainUNet has no backbone"):
        load_backbone(small("nnunet", 2), {})


def resnet_shapes(name: str, width: int) -> dict[str, tuple[int, ...]]:
    """Entries of torchvision's state dict, written from its documentation and not from our network."""
    expansion = 1 if name == "resnet18" else 4
    shapes = {"conv1.weight": (width, 3, 7, 7)} | norm_shapes("bn1", width)
    channels = width
    for stage, blocks in enumerate(BLOCKS[name]):
        features = width * 2**stage
        for block in range(blocks):
            prefix = f"layer{stage + 1}.{block}"
            kernels = (
                [(channels, 3), (features, 3)] if expansion == 1 else [(channels, 1), (features, 3), (features, 1)]
            )
            for n, (read, kernel) in enumerate(kernels, start=1):
                written = features * expansion if n == len(kernels) else features
                shapes[f"{prefix}.conv{n}.weight"] = (written, read, kernel, kernel)
                shapes |= norm_shapes(f"{prefix}.bn{n}", written)
            if block == 0 and (stage > 0 or expansion > 1):
                shapes[f"{prefix}.downsample.0.weight"] = (features * expansion, channels, 1, 1)
                shapes |= norm_shapes(f"{prefix}.downsample.1", features * expansion)
            channels = features * expansion
    return shapes | {"fc.weight": (1000, channels), "fc.bias": (1000,)}


def norm_shapes(prefix: str, channels: int) -> dict[str, tuple[int, ...]]:
    shapes = {f"{prefix}.{part}": (channels,) for part in ("weight", "bias", "running_mean", "running_var")}
    return shapes | {f"{prefix}.num_batches_tracked": ()}


def resnet_weights() -> dict[str, torch.Tensor]:
    """Random weights for the small networks' backbone, with the classifier that a file of torchvision's has."""
    shapes = resnet_shapes("resnet18", WIDTH)
    return {key: torch.rand(shape) for key, shape in shapes.items()}


def vgg16_weights() -> dict[str, torch.Tensor]:
    shapes, channels = {}, 3
    layers = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
    for layer, features in zip(layers, [1, 1, 2, 2, 4, 4, 4, 8, 8, 8, 8, 8, 8]):
        shapes[f"features.{layer}.weight"] = (features * WIDTH, channels, 3, 3)
        shapes[f"features.{layer}.bias"] = (features * WIDTH,)
        channels = features * WIDTH
    shapes |= {"classifier.0.weight": (16, channels * 49), "classifier.0.bias": (16,)}
    return {key: torch.rand(shape) for key, shape in shapes.items()}
