"""Small bundles for tests.

`threshold_bundle` holds a network whose answer is known without it: a voxel's class is the number of thresholds below
its grey value. Its logits are linear in the grey value, so that this also holds for every interpolated voxel.
`unet_bundle` holds a network of the registry with random weights.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from MedSegDLLib.bundle import (
    GRAPH,
    ONE_IMAGE,
    WEIGHTS,
    Bundle,
    Inference,
    Intensity,
    Network,
    Specification,
    write_metadata,
)
from MedSegDLLib.engine import torch_runtime
from MedSegDLLib.labels import Code, Label, Terminology
from MedSegDLLib.networks import create
from MedSegTrainLib.training.export import export_graph

ANATOMY = Terminology(Code("SCT", "123037004", "Anatomical Structure"), Code("SCT", "10200004", "Liver"))
DESCRIPTION = {
    "name": "test",
    "version": "1.2.3",
    "title": "Test",
    "task": "Segmentation in a test",
    "description": "A model for tests.",
    "authors": "Authors",
    "copyright": "Copyright",
    "data_source": "None",
    "image_classes": "Any image",
    "intended_use": "Tests",
}
UNCHANGED = Intensity("window", low=-1e4, high=1e4, mean=0.0, std=1.0)
"""Grey values reach the network as they are."""


def labels(*values: int) -> tuple[Label, ...]:
    return tuple(Label(value, f"structure {value}", (value % 256, 100, 200), ANATOMY) for value in values)


def specification(values: tuple[int, ...] = (1, 2), **changes) -> Specification:
    """A description of a network for one structure a value; `changes` replace its entries."""
    channels, classes = changes.get("channels", ONE_IMAGE), len(values) + 1
    spec = Specification(
        network=Network("nnunet", 3, len(channels), classes, "decoder.heads.0.weight", {"features": [2, 4]}),
        modality=("CT",),
        orientation="RAS",
        spacing_mm=(1.0, 1.0, 1.0),
        patch=(8, 8, 8),
        intensity=UNCHANGED,
        labels=labels(*values),
        licence="Apache-2.0",
        inference=Inference(),
        channels=channels,
    )
    return replace(spec, **changes)


def unet_bundle(folder: Path, spec: Specification, seed: int = 0, graph: bool = True) -> Bundle:
    """A bundle of a registered network with random weights."""
    network = spec.network
    torch.manual_seed(seed)
    module = create(network.name, network.spatial_dims, network.in_channels, network.out_channels, **network.arguments)
    return _bundle(folder, spec, module, graph)


def threshold_bundle(
    folder: Path,
    thresholds: tuple[float, ...] = (100.0, 300.0),
    graph: bool = True,
    weights: tuple[float, ...] = (1.0,),
    **changes,
) -> Bundle:
    """A bundle whose classes are the number of `thresholds` (ascending) below the grey value.

    With several `weights` it takes as many images, and adds up their grey values with these weights. Its labels have
    the values 1, 2, ... unless `changes` say otherwise. In torch it runs where `thresholds_in_torch` is in force, since
    its network is not one of the registry.
    """
    if len(weights) > 1:
        changes.setdefault("channels", ("CT", "PT", "MR")[: len(weights)])
    spec = specification(tuple(range(1, len(thresholds) + 1)), **changes)
    spec = replace(spec, network=replace(spec.network, head="conv.weight", arguments={}))
    module = Threshold(spec.network.spatial_dims, len(weights), len(thresholds) + 1)
    for n in range(1, len(thresholds) + 1):
        for channel, weight in enumerate(weights):
            nn.init.constant_(module.conv.weight[n, channel], n * weight)
        nn.init.constant_(module.conv.bias[n : n + 1], -sum(thresholds[:n]))
    return _bundle(folder, spec, module, graph)


class Threshold(nn.Module):
    """Class n has the logit n * x - (t_1 + ... + t_n), which is the largest where t_n < x < t_n+1."""

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int):
        super().__init__()
        self.conv = (nn.Conv2d if spatial_dims == 2 else nn.Conv3d)(in_channels, out_channels, 1)
        self.requires_grad_(False)
        self.conv.weight.zero_()
        self.conv.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


def thresholded(array: np.ndarray, *thresholds: float) -> np.ndarray:
    """What a threshold bundle must find."""
    return np.searchsorted(thresholds, array, side="left").astype(np.uint8)


@pytest.fixture
def thresholds_in_torch(monkeypatch):
    """Have torch build `Threshold` for the bundles that name it by their head."""

    def build(name, spatial_dims, in_channels, out_channels, **arguments):
        return create(name, spatial_dims, in_channels, out_channels, **arguments) if arguments else Threshold(
            spatial_dims, in_channels, out_channels
        )  # fmt: skip

    monkeypatch.setattr(torch_runtime, "create", build)


def _bundle(folder: Path, spec: Specification, module: nn.Module, graph: bool) -> Bundle:
    module.half().float()  # as models are kept
    (folder / WEIGHTS).parent.mkdir(parents=True)
    save_file(module.state_dict(), folder / WEIGHTS)
    bundle = write_metadata(folder, DESCRIPTION, spec)
    if not graph:
        return bundle
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("MedSegTrainLib.training.export.load_network", lambda _: module)
        export_graph(bundle)
    assert (folder / GRAPH).exists()
    return write_metadata(folder, DESCRIPTION, spec)
