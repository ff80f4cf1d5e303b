"""UNet++: the published graph node by node, its heads, and the networks that remain when it is pruned."""

from __future__ import annotations

import pytest
import torch

from MedSegDLLib.engine.private_openvino import openvino
from MedSegDLLib.networks import create
from MedSegDLLib.networks.blocks import parameter_count
from network_makers import small

FIVE_LEVELS = {"features": [4, 5, 6, 7, 8]}
"""The published depth, and no two levels of the same width."""
NODES = [(i, j) for i in range(5) for j in range(5 - i)]


@pytest.mark.parametrize(
    ("channels", "arguments", "parameters"),
    [(1, {}, 9_041_601), (3, {}, 9_042_177), (1, {"deep_supervision": True}, 9_041_700)],
)
def test_parameters_are_as_many_as_in_the_authors_network(channels, arguments, parameters):
    with torch.device("meta"):
        network = create("unet-plus-plus", 2, channels, 1, **arguments)
    assert parameter_count(network) == parameters


def test_each_node_takes_what_the_paper_says():
    network = small("unet-plus-plus", 2, **FIVE_LEVELS).eval()
    taken, given = {}, {}

    def record(name):
        def hook(_, args, out):
            taken[name], given[name] = args[0], out

        return hook

    for name, node in network.nodes.items():
        node.register_forward_hook(record(name))
    for name, up in network.ups.items():
        up.register_forward_hook(record(f"up {name}"))
    x = torch.randn(1, 1, 32, 32)
    with torch.inference_mode():
        network(x)

    assert set(taken) == {f"{i}_{j}" for i, j in NODES} | {f"up {i}_{j}" for i, j in NODES if j}
    assert torch.equal(taken["0_0"], x)
    for i, j in NODES:
        name, width = f"{i}_{j}", FIVE_LEVELS["features"][i]
        assert given[name].shape == (1, width, 32 >> i, 32 >> i)
        if j:
            assert torch.equal(taken[f"up {name}"], given[f"{i + 1}_{j - 1}"])
            row = [given[f"{i}_{k}"] for k in range(j)]
            assert torch.equal(taken[name], torch.cat([*row, given[f"up {name}"]], dim=1))
            assert taken[name].shape[1] == (j + 1) * width
        elif i:
            assert torch.equal(taken[name], torch.nn.functional.max_pool2d(given[f"{i - 1}_0"], 2))


def test_supervised_heads_are_at_full_size_and_count_alike():
    network = small("unet-plus-plus", 3, features=[2, 3, 4, 5, 6], deep_supervision=True)
    logits = network(torch.randn(1, 1, 17, 18, 21))
    assert [each.shape for each in logits] == [(1, 3, 17, 18, 21)] * 4
    assert network.loss_weights == (1.0,) * 4
    assert list(network.heads) == ["0_1", "0_2", "0_3", "0_4"]


def test_the_result_comes_first():
    supervised = small("unet-plus-plus", 2, deep_supervision=True)
    single = small("unet-plus-plus", 2)
    single.load_state_dict(supervised.state_dict(), strict=False)
    x = torch.randn(2, 1, 32, 32)
    assert torch.allclose(supervised(x)[0], single(x), atol=1e-5)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_pruned_networks_give_what_their_head_gave(depth):
    network = small("unet-plus-plus", 2, **FIVE_LEVELS, deep_supervision=True)
    pruned = network.pruned(depth)
    x = torch.randn(1, 1, 32, 48)
    with torch.inference_mode():
        heads = network.train()(x)
        assert torch.allclose(pruned.eval()(x), heads[4 - depth], atol=1e-5)
        assert not any(torch.allclose(heads[0], other, atol=1e-3) for other in heads[1:])
        assert pruned(torch.randn(1, 1, 17, 23)).shape == (1, 3, 17, 23)
    assert set(pruned.nodes) == {f"{i}_{j}" for i, j in NODES if i + j <= depth}


def test_pruning_saves_and_shares_weights():
    network = small("unet-plus-plus", 2, **FIVE_LEVELS, deep_supervision=True)
    parts = [network.pruned(depth) for depth in (1, 2, 3, 4)]
    counts = [parameter_count(each) for each in (*parts, network)]
    assert counts == sorted(set(counts))
    whole = set(network.parameters())
    assert all(set(part.parameters()) < whole for part in parts)
    again = create("unet-plus-plus", 2, 1, 3, features=FIVE_LEVELS["features"][:3])
    again.load_state_dict(parts[1].state_dict())


@pytest.mark.parametrize(
    ("arguments", "depth"), [({"deep_supervision": True}, 0), ({"deep_supervision": True}, 4), ({}, 1)]
)
def test_there_is_no_head_to_prune_to(arguments, depth):
    with pytest.raises(ValueError, match=f"no head at depth {depth}, only at .*3"):
        small("unet-plus-plus", 2, **arguments).pruned(depth)


def test_the_accurate_mode_averages_probabilities():
    network = small("unet-plus-plus", 2, deep_supervision=True)
    x = torch.randn(2, 1, 20, 33)
    with torch.inference_mode():
        heads = torch.stack(network.train()(x)).softmax(dim=2)
        mean = network.eval()(x).softmax(dim=1)
    assert torch.allclose(mean, heads.mean(dim=0), atol=1e-6)
    assert heads.std(dim=0).max() > 0.01


def test_the_accurate_mode_can_be_exported():
    network = small("unet-plus-plus", 2, deep_supervision=True).eval()
    x = torch.randn(1, 1, 19, 32)
    with torch.inference_mode():
        expected = network(x)
    model = openvino.convert_model(network, example_input=x, input=[list(x.shape)])
    compiled = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    assert torch.allclose(torch.from_numpy(compiled(x.numpy())[0]), expected, atol=1e-3)


def test_dropout_follows_each_convolution():
    network = small("unet-plus-plus", 2, dropout=0.5)
    x = torch.randn(1, 1, 16, 16)
    with torch.inference_mode():
        assert not torch.equal(network.train()(x), network(x))
        assert torch.equal(network.eval()(x), small("unet-plus-plus", 2).eval()(x))
        assert not torch.equal(network.pruned(3).train()(x), network.pruned(3).eval()(x))


def test_two_levels_are_a_u_net():
    network = small("unet-plus-plus", 2, features=[3, 5]).eval()
    with torch.inference_mode():
        assert network(torch.randn(1, 1, 17, 40)).shape == (1, 3, 17, 40)
