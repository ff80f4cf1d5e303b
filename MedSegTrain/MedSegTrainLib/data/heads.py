"""A network built from its description, and which of its tensors belong to the classes."""

from __future__ import annotations

import inspect
import re
from importlib import import_module

import torch

import MedSegDLLib.networks
from MedSegDLLib.bundle import Network
from MedSegDLLib.errors import InputError
from MedSegDLLib.networks import create
from MedSegDLLib.networks.registry import NETWORKS

_SUPERVISION = ("deep_supervision", "auxiliary")


def built(network: Network, classes: int | None = None) -> torch.nn.Module:
    """A fresh network for its own number of classes or another. Raises InputError for one that cannot be built."""
    sizes = network.spatial_dims, network.in_channels, classes or network.out_channels
    try:
        return create(network.name, *sizes, **network.arguments)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"The network '{network.name}' cannot be built: {_in_words(error)}.",
            "Correct its name, its dimensions or its arguments.",
        ) from error


def _in_words(error: Exception) -> str:
    unknown = re.search(r"unexpected keyword argument ('\w+')", str(error))
    return f"it has no argument {unknown[1]}" if unknown else str(error).rstrip(".")


def class_tensors(network: Network) -> list[str]:
    """Names of the tensors whose shape the number of classes decides, in the order of the network's state."""
    shapes, one_more = (_shapes(network, network.out_channels + more) for more in (0, 1))
    return [name for name, shape in shapes.items() if shape != one_more[name]]


def head_name(network: Network) -> str:
    """The last tensor, a weight if there is one, whose first axis counts the classes: what a bundle names as the head.

    Raises InputError for a network that cannot be built.
    """
    classes = network.out_channels
    shapes, one_more = (_shapes(network, classes + more) for more in (0, 1))
    counting = [
        name
        for name, shape in shapes.items()
        if shape[:1] == (classes,) and one_more[name] == (classes + 1, *shape[1:])
    ]
    return ([name for name in counting if name.endswith("weight")] or counting)[-1]


def supervision_argument(name: str) -> str | None:
    """The argument that has a network of that name supervise more than its result; None where it cannot."""
    if name not in NETWORKS:
        return None
    module, _, factory = NETWORKS[name].factory.partition(":")
    build = getattr(import_module(f".{module}", MedSegDLLib.networks.__name__), factory)
    return next((known for known in _SUPERVISION if known in inspect.signature(build).parameters), None)


def _shapes(network: Network, classes: int) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        module = built(network, classes)
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
