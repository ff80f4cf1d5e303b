"""The networks: published sizes, any input size, gradients everywhere, and the same answer after export."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from MedSegDLLib.engine.private_openvino import openvino
from MedSegDLLib.networks import create, names

SMALL = {"features": [4, 8, 12]}
SMALL_RESIDUAL = SMALL | {"blocks": [1, 2, 2]}
ARGUMENTS = {"unet": SMALL, "residual-unet": SMALL_RESIDUAL}
FLAT = {"strides": [1, [1, 2, 2], [1, 2, 2]], "kernels": [[1, 3, 3], [1, 3, 3], 3]}
"""No downsampling along the first axis, as nnU-Net plans it for thick slices."""

every_network = pytest.mark.parametrize("name", names())
both_dimensions = pytest.mark.parametrize("dims", [2, 3])


def small(name: str, dims: int, **more) -> torch.nn.Module:
    torch.manual_seed(0)
    return create(name, dims, 1, 3, **ARGUMENTS[name], **more)


@pytest.mark.parametrize(
    ("name", "dims", "arguments", "parameters"),
    [
        ("unet", 3, {}, 31_196_399),
        ("unet", 2, {"features": [32, 64, 128, 256, 512, 512, 512, 512]}, 46_326_581),
        ("residual-unet", 3, {}, 102_350_575),
    ],
)
def test_parameters_are_as_many_as_in_the_authors_network(name, dims, arguments, parameters):
    with torch.device("meta"):
        network = create(name, dims, 1, 3, **arguments)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


@every_network
@pytest.mark.parametrize(
    "size",
    [(1, 1), (17, 23), (32, 8), (5, 40), (1, 1, 1), (17, 19, 23), (16, 16, 16), (1, 33, 2), (4, 30, 18)],
)
def test_logits_have_the_inputs_size(name, size):
    with torch.inference_mode():
        logits = small(name, len(size)).eval()(torch.randn(2, 1, *size))
    assert logits.shape == (2, 3, *size)
    assert logits.isfinite().all()


@every_network
def test_an_axis_may_stay_fine(name):
    network = small(name, 3, **FLAT).eval()
    with torch.inference_mode():
        assert network(torch.randn(1, 1, 3, 18, 21)).shape == (1, 3, 3, 18, 21)


@every_network
@both_dimensions
def test_depths_are_supervised_in_training_only(name, dims):
    network = small(name, dims, deep_supervision=True)
    x = torch.randn(2, 1, *(15,) * dims)
    fine, coarse = network(x)
    assert fine.shape[2:] == (15,) * dims and coarse.shape[2:] == (8,) * dims
    assert isinstance(network.eval()(x), torch.Tensor)
    assert isinstance(small(name, dims).train()(x), torch.Tensor)


@every_network
@both_dimensions
def test_gradients_reach_every_parameter(name, dims):
    network = small(name, dims, deep_supervision=True)
    sum(logits.square().mean() for logits in network(torch.randn(2, 1, *(16,) * dims))).backward()
    unreached = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    # a bias before an instance norm is taken away by it, so its gradient may be 0; a weight's may not
    flat = [name for name, p in network.named_parameters() if p.ndim > 1 and p.grad.abs().max() == 0]
    assert (unreached, flat) == ([], [])


@every_network
def test_half_precision_stays_finite_and_near(name):
    network = small(name, 3).eval()
    x = torch.randn(1, 1, 16, 16, 16)
    with torch.inference_mode():
        exact = network(x)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = network(x)
    assert rounded.isfinite().all()
    assert (rounded.float() - exact).abs().max() < 0.1 * exact.abs().max()


@every_network
def test_a_seed_decides_the_weights(name):
    first, second = small(name, 3).state_dict(), small(name, 3).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    torch.manual_seed(1)
    other = create(name, 3, 1, 3, **ARGUMENTS[name]).state_dict()
    assert not torch.equal(first["decoder.heads.0.weight"], other["decoder.heads.0.weight"])


@every_network
@both_dimensions
def test_it_learns_one_image_by_heart(name, dims):
    network = small(name, dims)
    x = torch.randn(1, 1, *(16,) * dims)
    y = (x[:, 0] > 0.3).long() + (x[:, 0] > 1)
    optimizer = torch.optim.Adam(network.parameters(), 0.02)
    for _ in range(60):
        loss = F.cross_entropy(network(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (network(x).argmax(dim=1) == y).float().mean() > 0.93


@every_network
@both_dimensions
def test_exported_graphs_give_the_same_logits(name, dims):
    network = small(name, dims).eval()
    x = torch.randn(1, 1, *(13, 16, 18)[-dims:])
    with torch.inference_mode():
        expected = network(x)
        exported = torch.export.export(network, (x,)).module()(x)
    compiled = openvino.compile_model(
        openvino.convert_model(network, example_input=x, input=[list(x.shape)]),
        "CPU",
        {"INFERENCE_PRECISION_HINT": "f32"},
    )
    assert torch.allclose(exported, expected, atol=1e-4)
    assert torch.allclose(torch.from_numpy(compiled(x.numpy())[0]), expected, atol=1e-4)


def test_unknown_names_and_arguments():
    with pytest.raises(ValueError, match="no network 'vnet'; there are residual-unet, unet"):
        create("vnet", 3, 1, 2)
    with pytest.raises(TypeError, match="width"):
        create("unet", 3, 1, 2, width=3)
    with pytest.raises(ValueError, match="6 stages need 6 strides and kernels, got 2 and 6"):
        create("unet", 3, 1, 2, strides=[1, 2])
