"""Which tensors of a network belong to the classes, found by building it for one class more."""

from __future__ import annotations

import inspect
from importlib import import_module

import torch

import MedSegDLLib.networks
from MedSegDLLib.bundle import Network
from MedSegDLLib.errors import InputError
from MedSegDLLib.networks import create
from MedSegDLLib.networks.registry import NETWORKS

_SUPERVISION = ("deep_supervision", "auxiliary")


def class_tensors(network: Network) -> list[str]:
    """Names of the tensors whose shape the number of classes decides, in the order of the network's state."""
    shapes = _shapes(network, network.out_channels)
    one_more = _shapes(network, network.out_channels + 1)
    return [name for name, shape in shapes.items() if shape != one_more[name]]


def head_name(name: str, spatial_dims: int, in_channels: int, out_channels: int, arguments: dict | None = None) -> str:
    """The tensor whose first axis counts the classes, which a bundle names as its network's head.

    Raises InputError for a network that cannot be built.
    """
    network = Network(name, spatial_dims, in_channels, out_channels, "", arguments or {})
    shapes, one_more = _shapes(network, out_channels), _shapes(network, out_channels + 1)
    counting = [
        tensor
        for tensor, shape in shapes.items()
        if shape and shape[0] == out_channels and one_more[tensor] == (out_channels + 1, *shape[1:])
    ]
    weights = [tensor for tensor in counting if tensor.endswith("weight")]
    return (weights or counting)[-1]


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


def built(network: Network, classes: int | None = None) -> torch.nn.Module:
    """A fresh network for its own number of classes or another. Raises InputError where there is no such network."""
    arguments = network.spatial_dims, network.in_channels, classes or network.out_channels
    try:
        return create(network.name, *arguments, **network.arguments)
    except (TypeError, ValueError) as error:
        raise InputError(f"There is no such network: {error}.", "Correct its name or its arguments.") from error
