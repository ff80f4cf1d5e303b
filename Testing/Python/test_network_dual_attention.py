"""The dual-attention network: the paper's size, and each part that the paper names."""

from __future__ import annotations

import pytest
import torch

from MedSegDLLib.networks import create
from MedSegDLLib.networks.attention import CBAM
from MedSegDLLib.networks.blocks import parameter_count
from MedSegDLLib.networks.dual_attention import AttentionBlock, DecoderStage, DensePaths, GatedPyramid
from network_makers import small

both_dimensions = pytest.mark.parametrize("dims", [2, 3])


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize(("dims", "parameters"), [(2, 13_796_397), (3, 40_144_533)])
def test_parameters(dims, parameters):
    with torch.device("meta"):
        network = create("dual-attention", dims, 1, 2)
    assert parameter_count(network) == parameters


@both_dimensions
def test_every_stage_has_attention(dims):
    network = small("dual-attention", dims)
    stages = [*network.encoder, *(stage.block for stage in network.decoder)]
    assert len(stages) == 3 + 2
    assert all(any(isinstance(module, CBAM) for module in stage.modules()) for stage in stages)


@both_dimensions
@pytest.mark.parametrize(("out_channels", "stride"), [(6, 1), (8, 1), (6, 2)])
def test_blocks_are_residual(dims, out_channels, stride):
    block = AttentionBlock(dims, 6, out_channels, stride, reduction=2).eval()
    torch.nn.init.zeros_(block.convs[1][1].weight)  # the last batch norm: nothing comes from the branch
    x = torch.randn(1, 6, *(8,) * dims)
    y = block(x)
    assert y.shape == (1, out_channels, *(8 // stride,) * dims)
    assert torch.equal(y, block.shortcut(x).relu())
    assert (out_channels == 6 and stride == 1) == isinstance(block.shortcut, torch.nn.Identity)


@both_dimensions
def test_attention_weighs_the_branch_and_not_the_shortcut(dims):
    block = AttentionBlock(dims, 6, 6, reduction=2).eval()
    x = torch.randn(1, 6, *(8,) * dims)
    branch = block.convs(x)
    assert torch.allclose(block(x), (x + block.attention(branch)).relu())
    assert not torch.allclose(block.attention(branch), branch)


@both_dimensions
def test_dense_paths_reach_from_every_deeper_level(dims):
    stage = DecoderStage(dims, 8, [12, 16, 20], reduction=2).eval()
    skip = torch.randn(1, 8, *(16,) * dims)
    deeper = [torch.randn(1, channels, *(size,) * dims) for channels, size in ((12, 8), (16, 4), (20, 2))]
    before = stage(skip, deeper)
    assert before.shape == skip.shape
    for level, x in enumerate(deeper):
        others = [*deeper[:level], torch.zeros_like(x), *deeper[level + 1 :]]
        assert not torch.allclose(stage(skip, others), before, atol=1e-3)
    assert not torch.allclose(stage(torch.zeros_like(skip), deeper), before, atol=1e-3)


@both_dimensions
def test_dense_paths_have_one_width_and_size(dims):
    paths = DensePaths(dims, [12, 16], 4)
    deeper = [torch.randn(2, 12, *(8,) * dims), torch.randn(2, 16, *(4,) * dims)]
    assert [path.shape for path in paths(deeper, (15,) * dims)] == [(2, 4, *(15,) * dims)] * 2


@both_dimensions
def test_decoder_stages_take_in_all_levels_below(dims):
    network, seen = small("dual-attention", dims).eval(), []
    for stage in network.decoder:
        stage.register_forward_pre_hook(lambda module, inputs: seen.append([x.shape[1] for x in inputs[1]]))
    network(torch.randn(1, 1, *(32,) * dims))
    assert seen == [[12], [8, 12]]


@both_dimensions
def test_the_pyramid_fuses_all_depths(dims):
    network, seen = small("dual-attention", dims).eval(), []
    network.pyramid.register_forward_pre_hook(lambda module, inputs: seen.extend(x.shape[1:] for x in inputs[0]))
    network(torch.randn(1, 1, *(32,) * dims))
    assert seen == [(4, *(32,) * dims), (8, *(16,) * dims), (12, *(8,) * dims)]


@both_dimensions
def test_gates_lie_between_0_and_1_at_each_place_of_each_scale(dims):
    network, gates = small("dual-attention", dims).eval(), []
    for gate in network.pyramid.gates:
        gate.register_forward_hook(lambda module, inputs, gate: gates.append(gate))
    network(torch.randn(1, 1, *(32,) * dims))
    assert [gate.shape for gate in gates] == [(1, 1, *(size,) * dims) for size in (8, 16, 32)]
    assert all(0 < gate.min() < gate.max() < 1 for gate in gates)


@both_dimensions
@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_closed_gate_shuts_its_scale_out_and_no_other(dims, level):
    pyramid, maps = _pyramid(dims)
    open_ = [pyramid(changed) for changed in _each_changed(maps)]
    assert all(not torch.allclose(fused, pyramid(maps), atol=1e-3) for fused in open_)
    torch.nn.init.zeros_(pyramid.gates[level][0].weight)
    torch.nn.init.constant_(pyramid.gates[level][0].bias, -1000.0)
    closed = [pyramid(changed) for changed in _each_changed(maps)]
    without = [torch.equal(fused, pyramid(maps)) for fused in closed]
    assert without == [each == level for each in range(3)]


@both_dimensions
def test_deep_scales_reach_the_shallow_ones_but_not_back(dims):
    pyramid, maps = _pyramid(dims)
    before = pyramid(maps).split(4, dim=1)
    for level, changed in enumerate(_each_changed(maps)):
        after = pyramid(changed).split(4, dim=1)
        same = [torch.equal(*pair) for pair in zip(before, after)]  # the deepest scale's channels come first
        assert same == [deeper > level for deeper in (2, 1, 0)]


@both_dimensions
def test_recalibration_weighs_a_scale_by_the_others(dims):
    network, weights = small("dual-attention", dims).eval(), []
    network.recalibration.register_forward_hook(lambda module, inputs, map_: weights.append(map_))
    fused = torch.rand(1, 12, *(8,) * dims)
    other = fused.clone()
    other[:, :4] += 3
    first, second = network.recalibration(fused), network.recalibration(other)
    assert first.shape == (1, 12, *(1,) * dims) and 0 < first.min() and first.max() < 1
    assert not torch.allclose(first[:, 4:], second[:, 4:], atol=1e-3)  # channels of the scales that did not change
    network(torch.randn(1, 1, *(32,) * dims))
    assert len(weights) == 3  # the network asks for it once


@both_dimensions
def test_recalibration_is_what_the_fusion_sees(dims):
    network, seen = small("dual-attention", dims).eval(), {}
    for name in ("pyramid", "recalibration", "fuse"):
        getattr(network, name).register_forward_hook(
            lambda module, inputs, output, name=name: seen.update({name: (inputs[0], output)})
        )
    network(torch.randn(1, 1, *(32,) * dims))
    scales, weights = seen["pyramid"][1], seen["recalibration"][1]
    assert torch.equal(seen["recalibration"][0], scales)
    assert torch.equal(seen["fuse"][0], scales * weights)


def _pyramid(dims: int) -> tuple[GatedPyramid, list[torch.Tensor]]:
    maps = [torch.randn(1, channels, *(size,) * dims) for channels, size in ((4, 16), (8, 8), (12, 4))]
    return GatedPyramid(dims, (4, 8, 12), 4).eval(), maps


def _each_changed(maps: list[torch.Tensor]) -> list[list[torch.Tensor]]:
    """The maps three times, another one of them changed each time."""
    return [[x + 2 * (n == level) for n, x in enumerate(maps)] for level in range(len(maps))]
