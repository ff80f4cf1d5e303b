"""From a checkpoint to a bundle: rounded weights, the OpenVINO graph of the same weights, licence and model card."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from MedSegDLLib.bundle import GRAPH, WEIGHTS, Bundle, write_metadata
from MedSegDLLib.engine.private_openvino import openvino
from MedSegDLLib.engine.torch_runtime import load_network

from .model_card import write_model_card
from .recipe import Recipe


def export_bundle(recipe: Recipe, checkpoint: Path, folder: Path) -> Bundle:
    """Write the bundle of a trained recipe into `folder` and read it back.

    Weights are kept in half precision, in the safetensors and in the graph alike: half the size, and both runtimes
    compute with the same numbers.
    """
    (folder / WEIGHTS).parent.mkdir(parents=True, exist_ok=True)
    save_file(_half_precision(trained_weights(checkpoint)), folder / WEIGHTS)
    shutil.copyfile(recipe.licence_path, folder / "LICENSE")
    bundle = write_metadata(folder, recipe.description, recipe.spec)
    export_graph(bundle)
    bundle = write_metadata(folder, recipe.description, recipe.spec)  # again, now with the graph's checksums
    write_model_card(bundle, recipe)
    bundle.verify()
    return bundle


def trained_weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    """The averaged weights of the network in a training's checkpoint."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    return {name.removeprefix("network."): value for name, value in state.items() if name.startswith("network.")}


def export_graph(bundle: Bundle) -> None:
    """Convert the network, with a window's fixed size, to an OpenVINO graph beside the weights.

    A network that finds instances stays without: how many it finds decides what it computes, and no graph says that.
    """
    spec, network = bundle.spec, load_network(bundle).eval()
    if hasattr(network, "instances"):
        return
    patch = spec.patch_kji if spec.network.spatial_dims == 3 else spec.patch_kji[1:]
    window = torch.zeros(1, spec.network.in_channels, *patch)
    model = openvino.convert_model(network, example_input=window, input=[list(window.shape)])
    openvino.save_model(model, bundle.folder / GRAPH, compress_to_fp16=True)


def _half_precision(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: (t.half() if t.is_floating_point() else t).contiguous() for name, t in weights.items()}
