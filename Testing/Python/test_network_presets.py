"""The presets: the parameters that the paper's table has, and whose arguments win."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from MedSegDLLib.networks import create
from MedSegDLLib.networks.blocks import parameter_count
from MedSegDLLib.networks.presets import PRESETS, presets_of
from MedSegDLLib.networks.registry import NETWORKS

SMITH = {"unet": 12.5e6, "attention-unet": 14.2e6, "deeplabv3-plus": 15.8e6, "dual-attention": 13.7e6}
"""Parameters in the table of "Optimization of deep learning-based medical image segmentation algorithms"."""


@pytest.mark.parametrize("name", SMITH)
def test_2d_sizes_are_within_a_hundredth_of_the_papers(name):
    with torch.device("meta"):
        network = create(name, 2, 1, 2, preset="smith2024")
    assert parameter_count(network) == pytest.approx(SMITH[name], rel=0.01)


@pytest.mark.parametrize(
    ("name", "dims", "parameters"),
    [
        ("unet", 2, 12_581_778),
        ("unet", 3, 36_605_682),
        ("attention-unet", 2, 14_151_006),
        ("attention-unet", 3, 42_131_646),
        ("deeplabv3-plus", 2, 15_727_842),
        ("deeplabv3-plus", 3, 28_566_882),
        ("dual-attention", 2, 13_796_397),
        ("dual-attention", 3, 40_144_533),
    ],
)
def test_sizes_are_as_stated(name, dims, parameters):
    with torch.device("meta"):
        network = create(name, dims, 1, 2, preset="smith2024")
    assert parameter_count(network) == parameters


def test_presets_are_of_networks_that_exist():
    assert set(PRESETS["smith2024"]) == set(SMITH)
    assert all(name in NETWORKS for networks in PRESETS.values() for name in networks)
    assert presets_of("unet") == ["smith2024"] and presets_of("segnet") == []


def test_a_preset_is_not_the_default():
    with torch.device("meta"):
        counts = [parameter_count(create("unet", 2, 1, 2, preset=preset)) for preset in (None, "smith2024")]
    assert counts == [31_030_658, 12_581_778]


def test_the_caller_wins_over_the_preset_and_the_preset_over_the_entry(monkeypatch):
    monkeypatch.setitem(NETWORKS, "unet", replace(NETWORKS["unet"], arguments={"features": (4, 8), "dropout": 0.25}))
    monkeypatch.setitem(PRESETS["smith2024"], "unet", {"features": (4, 8, 12)})

    def depth(**arguments):
        return len(create("unet", 2, 1, 2, **arguments).encoder)

    assert (depth(), depth(preset="smith2024"), depth(preset="smith2024", features=(4, 6, 8, 10))) == (2, 3, 4)
    assert create("unet", 2, 1, 2, preset="smith2024").encoder[-1][-1].p == 0.25  # of which the preset says nothing


def test_unknown_presets():
    with pytest.raises(ValueError, match="U-Net has no preset 'smith'; it has smith2024"):
        create("unet", 2, 1, 2, preset="smith")
    with pytest.raises(ValueError, match="SegNet has no preset 'smith2024'; it has none"):
        create("segnet", 2, 1, 2, preset="smith2024")
