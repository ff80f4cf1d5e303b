"""Start from a bundle's weights instead of random ones."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from MedSegDLLib.bundle import Specification
from MedSegDLLib.errors import ModelError
from MedSegDLLib.models import find_model

from ..data.heads import class_tensors


def load_initial(network: torch.nn.Module, spec: Specification, model: Path | str) -> str:
    """Copy the bundle's weights into a fresh network where they fit, and say which did.

    The tensors of the classes stay fresh where the bundle's structures are not these ones in this order; so do all
    others whose shape differs, such as the first layer's for another number of channels.

    Args:
        model: a bundle's folder, or an installed model's name.

    Raises ModelError where there is no such model, it is damaged, or no weights fit but single numbers of channels.
    """
    bundle = find_model(str(model))
    bundle.verify()
    weights = load_file(bundle.weights_path)
    fresh = set() if _same_structures(bundle.spec, spec) else set(class_tensors(spec.network))
    state = network.state_dict()
    fitting = {
        name: weights[name].float()
        for name, tensor in state.items()
        if name not in fresh and name in weights and weights[name].shape == tensor.shape
    }
    if all(tensor.ndim < 2 for tensor in fitting.values()):
        raise ModelError(
            f"No weights of '{bundle.name}' ({_called(bundle.spec)}) fit the network {_called(spec)}.",
            "Start from a model of the same network.",
        )
    network.load_state_dict(state | fitting)
    rest = [name for name in state if name not in fitting]
    words = f"Starts from '{bundle.name}' {bundle.version}: {len(fitting)} of {len(state)} tensors."
    return words + (f" Fresh: {_listed(rest)}." if rest else "")


def _called(spec: Specification) -> str:
    return f"'{spec.network.name}' of {spec.network.spatial_dims} dimensions"


def _same_structures(one: Specification, other: Specification) -> bool:
    return [label.name for label in one.labels] == [label.name for label in other.labels]


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:6])
    return shown if len(names) <= 6 else f"{shown} and {len(names) - 6} more"
