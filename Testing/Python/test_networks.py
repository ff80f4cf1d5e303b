"""What holds for every network: any input size, gradients everywhere, and the same answer after export."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest
import torch

from MedSegDLLib.engine.private_openvino import openvino
from MedSegDLLib.networks import create, names
from MedSegDLLib.networks.registry import NETWORKS
from network_makers import EVERY, SMALL, small

NOT_EXPORTED = {"mask-rcnn", "mednext-b", "mednext-m", "mednext-l"}
"""How many instances Mask R-CNN finds decides how much it computes: no graph of fixed shape says that. The others are
MedNeXt S with more of the same blocks, and take long."""
EXPORTED = [each for each in EVERY if each[0] not in NOT_EXPORTED]
NEEDS_MONAI = {name for name in names() if NETWORKS[name].factory.startswith("from_monai:")}

every_network = pytest.mark.parametrize(("name", "dims"), EVERY)
SIZES = [(17, 23), (33, 18), (32, 32), (17, 19, 23), (32, 17, 18)]


@pytest.mark.parametrize(
    ("name", "size"), [(name, size) for name, dims in EVERY for size in SIZES if len(size) == dims]
)
def test_logits_have_the_inputs_size(name, size):
    with torch.inference_mode():
        logits = small(name, len(size)).eval()(torch.randn(1, 1, *size))
    assert logits.shape == (1, 3, *size)
    assert logits.isfinite().all()


@every_network
def test_images_of_a_batch_do_not_touch_each_other(name, dims):
    network = small(name, dims, in_channels=2).eval()
    x = torch.randn(2, 2, *(32,) * dims)
    with torch.inference_mode():
        assert torch.allclose(network(x)[1:], network(x[1:]), atol=1e-4)


@every_network
def test_gradients_reach_every_parameter(name, dims):
    network = small(name, dims, **_supervised(name))
    _take_a_step(network, dims)  # a layer that starts at zero, as published, lets nothing through before
    network.zero_grad()
    _loss(network, dims).backward()
    unreached = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    # a bias before a norm is taken away by it, so its gradient may be 0; a weight's may not
    flat = [name for name, p in network.named_parameters() if p.ndim > 1 and p.grad.abs().max() == 0]
    assert (unreached, flat) == ([], [])


@every_network
def test_supervision_is_for_training_only(name, dims):
    supervised = _supervised(name)
    if not supervised:
        return
    network = small(name, dims, **supervised)
    x = torch.randn(2, 1, *(32,) * dims)
    logits = network.train()(x)
    assert len(logits) == len(network.loss_weights) > 1
    assert logits[0].shape == (2, 3, *(32,) * dims)
    assert all(each.shape[:2] == (2, 3) for each in logits)
    assert isinstance(network.eval()(x), torch.Tensor)
    assert isinstance(small(name, dims).train()(x), torch.Tensor)


@every_network
def test_half_precision_stays_finite(name, dims):
    network = small(name, dims).eval()
    x = torch.randn(1, 1, *(32,) * dims)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        rounded = network(x)
    assert rounded.isfinite().all()


@every_network
def test_a_seed_decides_the_weights(name, dims):
    first, second = small(name, dims).state_dict(), small(name, dims).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    torch.manual_seed(1)
    other = create(name, dims, 1, 3, **SMALL[name]).state_dict()
    assert any(not torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize(("name", "dims"), EXPORTED)
def test_exported_graphs_give_the_same_logits(name, dims):
    network = small(name, dims).eval()
    x = torch.randn(1, 1, *(19, 32, 18)[-dims:])
    with torch.inference_mode():
        expected = network(x)
        exported = torch.export.export(network, (x,)).module()(x)
    compiled = openvino.compile_model(
        openvino.convert_model(network, example_input=x, input=[list(x.shape)]),
        "CPU",
        {"INFERENCE_PRECISION_HINT": "f32"},
    )
    scale = max(1.0, expected.abs().max().item())
    assert torch.allclose(exported, expected, atol=1e-4 * scale)
    assert torch.allclose(torch.from_numpy(compiled(x.numpy())[0]), expected, atol=1e-3 * scale)


def test_networks_of_our_own_do_not_import_monai():
    own = [each for each in EVERY if each[0] not in NEEDS_MONAI]
    program = (
        "import sys, torch\n"
        "from MedSegDLLib.networks import create\n"
        "with torch.device('meta'):\n"
        f"    for name, dims in {own!r}: create(name, dims, 1, 2)\n"
        "sys.exit('monai' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], env=_path_to_the_library()).returncode == 0


def test_unknown_names_and_arguments():
    with pytest.raises(ValueError, match="no network 'resnet'; there are fcn-32s, "):
        create("resnet", 3, 1, 2)
    with pytest.raises(TypeError, match="breadth"):
        create("unet", 3, 1, 2, breadth=3)
    with pytest.raises(ValueError, match="TransUNet has 2 dimensions, not 3"):
        create("transunet", 3, 1, 2)


def _supervised(name: str) -> dict:
    """The argument that makes a network supervise more than its result, where it has one."""
    module, _, factory = NETWORKS[name].factory.partition(":")
    build = getattr(__import__(f"MedSegDLLib.networks.{module}", fromlist=[factory]), factory)
    known = inspect.signature(build).parameters
    return {argument: True for argument in ("deep_supervision", "auxiliary") if argument in known}


def _loss(network, dims: int) -> torch.Tensor:
    torch.manual_seed(2)
    x = torch.randn(2, 1, *(32,) * dims)
    labels = (x[:, 0] > 0.3).long() + (x[:, 0] > 1)
    if hasattr(network, "training_loss"):
        return network.training_loss(x, labels)
    logits = network.train()(x)
    logits = logits if isinstance(logits, list) else [logits]
    return sum(each.square().mean() + each.mean() for each in logits)


def _take_a_step(network, dims: int) -> None:
    _loss(network, dims).backward()
    torch.optim.SGD(network.parameters(), 1e-3).step()


def _path_to_the_library() -> dict:
    import os
    from pathlib import Path

    import MedSegDLLib

    return os.environ | {"PYTHONPATH": str(Path(MedSegDLLib.__file__).parents[1])}
