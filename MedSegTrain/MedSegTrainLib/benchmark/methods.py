"""Whether the methods of a plan can be made at all."""

from __future__ import annotations

import torch

from MedSegDLLib.errors import InputError
from MedSegDLLib.networks import create

from ..baselines.registry import create_baseline
from ..data.structures import plain_label
from .plan import BaselineMethod, NetworkMethod, Plan

_LABELS = (plain_label(1, "one"), plain_label(2, "two"))


def check_methods(plan: Plan) -> None:
    """Make every method once, without memory for weights. Raises InputError that names the entry of the plan."""
    for number, method in enumerate(plan.networks):
        _check(f"networks.{number}", method, _make_network)
    for number, method in enumerate(plan.baselines):
        _check(f"baselines.{number}", method, _make_baseline)


def network_arguments(method: NetworkMethod) -> dict:
    """For `networks.create`, which knows presets by name."""
    return ({"preset": method.preset} if method.preset else {}) | method.arguments


def _check(place: str, method: NetworkMethod | BaselineMethod, make) -> None:
    try:
        make(method)
    except (InputError, TypeError, ValueError) as error:
        words = error.message if isinstance(error, InputError) else str(error)
        raise InputError(
            f"The plan's {place} ('{method.name}') cannot be made: {words.rstrip('.')}.", "Correct it."
        ) from error


def _make_network(method: NetworkMethod) -> None:
    with torch.device("meta"):
        create(method.network, method.dims, 1, len(_LABELS) + 1, **network_arguments(method))


def _make_baseline(method: BaselineMethod) -> None:
    create_baseline(method.baseline, _LABELS, **method.parameters)
