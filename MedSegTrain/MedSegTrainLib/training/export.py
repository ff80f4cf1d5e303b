"""From a checkpoint to a bundle: rounded weights, the OpenVINO graph of the same weights, licence and model card."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from uuid import uuid4

import torch
from safetensors.torch import save

from MedSegDLLib.atomic import output_errors
from MedSegDLLib.bundle import GRAPH, METADATA, WEIGHTS, Bundle, write_metadata
from MedSegDLLib.engine.private_openvino import openvino
from MedSegDLLib.engine.torch_runtime import load_network
from MedSegDLLib.errors import ModelError, OutputError
from MedSegDLLib.model_store import ModelStore

from ..data.heads import built
from .checkpoints import trained_weights
from .facts import FACTS, read_facts
from .model_card import FACTS_IN_BUNDLE, RECIPE_IN_BUNDLE, recipe_of, write_model_card
from .recipe import write_recipe
from .recipe_fields import Recipe

_TOLERANCE = 1e-4


def exported(recipe: Recipe, checkpoint: Path, folder: Path) -> Bundle:
    """The bundle of a trained recipe: that in `folder`, with what was measured of it, or a new one.

    Raises as `export_bundle` does.
    """
    try:
        bundle = Bundle.load(folder)
        bundle.verify()
    except ModelError:  # there is none, or it is damaged
        return export_bundle(recipe, checkpoint, folder)
    newer = (folder / METADATA).stat().st_mtime_ns > checkpoint.stat().st_mtime_ns
    return bundle if newer and recipe_of(bundle) == recipe else export_bundle(recipe, checkpoint, folder)


def export_bundle(recipe: Recipe, checkpoint: Path, folder: Path) -> Bundle:
    """Write the bundle of a trained recipe into `folder`, read it back, and compare it with what was trained.

    Weights are kept in half precision, in the safetensors and in the graph alike: half the size, and both runtimes
    compute with the same numbers. What is known of the training (`facts`) is taken from beside the checkpoint. A bundle
    that is there already stays until the new one is complete.

    Raises:
        ModelError: what was read back does not compute what was trained.
        OutputError: the disk does not take it.
    """
    workshop = folder.with_name(f".{uuid4().hex[:8]}-{folder.name}")
    try:
        with output_errors(folder):
            (workshop / WEIGHTS).parent.mkdir(parents=True)
            _write(recipe, checkpoint, workshop)
            shutil.rmtree(folder, ignore_errors=True)
            workshop.rename(folder)
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
    return Bundle.load(folder)


def _write(recipe: Recipe, checkpoint: Path, folder: Path) -> None:
    weights = _half_precision(trained_weights(checkpoint))
    (folder / WEIGHTS).write_bytes(save(weights))  # a file of Python's: safetensors' own hides a full disk
    (folder / "LICENSE").write_text(recipe.licence_text, encoding="utf-8")
    _take_facts_along(checkpoint.parent, folder)
    write_recipe(recipe, folder / RECIPE_IN_BUNDLE)
    export_graph(write_metadata(folder, recipe.description, recipe.spec))
    bundle = write_metadata(folder, recipe.description, recipe.spec)  # again, now with the graph's checksums
    write_model_card(bundle, recipe)
    bundle.verify()
    _check_that_it_is_the_trained_one(bundle, weights)


def export_graph(bundle: Bundle) -> None:
    """Convert the network, with a window's fixed size, to an OpenVINO graph beside the weights.

    A network that finds instances stays without: how many it finds decides what it computes, and no graph says that.
    """
    network = load_network(bundle).eval()
    if hasattr(network, "instances"):
        return
    window = torch.zeros(_window_shape(bundle))
    with warnings.catch_warnings():  # of what a graph for other sizes would need
        for kind in (torch.jit.TracerWarning, DeprecationWarning):
            warnings.simplefilter("ignore", kind)
        model = openvino.convert_model(network, example_input=window, input=[list(window.shape)])
    try:
        openvino.save_model(model, bundle.folder / GRAPH, compress_to_fp16=True)
    except RuntimeError as error:  # it does not say why
        raise OutputError(
            f"The graph of '{bundle.name}' could not be written; the disk may be full.",
            "Free some space, then give the same command again: the training itself is kept.",
            str(error),
        ) from error


def install(bundle: Bundle) -> Path:
    """Offer the model in MedSegDL; it takes the place of one of its name. Returns where it lies now."""
    with ModelStore().stage(bundle.folder) as staged:
        return staged.install(replace=True)


def _window_shape(bundle: Bundle) -> tuple[int, ...]:
    network = bundle.spec.network
    return 1, network.in_channels, *bundle.spec.patch_kji[-network.spatial_dims :]


def _check_that_it_is_the_trained_one(bundle: Bundle, weights: dict[str, torch.Tensor]) -> None:
    """On one random window, in what MedSegDL loads and in what was trained."""
    trained = built(bundle.spec.network)
    trained.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    window = torch.randn(_window_shape(bundle), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, found = (network.eval()(window) for network in (trained, load_network(Bundle.load(bundle.folder))))
    if not torch.allclose(found, expected, rtol=_TOLERANCE, atol=_TOLERANCE):
        raise ModelError(
            f"The bundle '{bundle.name}' does not compute what was trained: its logits differ by up to "
            f"{float((found - expected).abs().max()):.3g}.",
            "Export it again; if that does not help, the network and its arguments do not fit each other.",
        )


def _take_facts_along(run: Path, folder: Path) -> None:
    (folder / FACTS_IN_BUNDLE).parent.mkdir(parents=True, exist_ok=True)
    if read_facts(run):
        shutil.copyfile(run / FACTS, folder / FACTS_IN_BUNDLE)


def _half_precision(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: (t.half() if t.is_floating_point() else t).contiguous() for name, t in weights.items()}
