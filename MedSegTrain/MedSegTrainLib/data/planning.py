"""From a fingerprint to what a network is trained on: spacing, patch, batch, grey values.

The rules are nnU-Net's (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z) with two changes: any network of the
registry can be planned for, its memory taken from its own graph; and slices run along the coarsest axis by turning the
images, so that the model's bundle says it in its orientation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

from MedSegDLLib.bundle import ONE_IMAGE, Intensity, Specification
from MedSegDLLib.errors import InputError, ModelError

from .case import Channel
from .dataset import Dataset
from .fingerprint import Fingerprint
from .patch_size import LEAST_BATCH, PatchFitting
from .target_grid import TargetGrid, target_grid

_MOST_OF_THE_DATA = 0.05  # in a batch


@dataclass(frozen=True)
class Plan:
    """What a training needs to know of its data.

    Args:
        specification: as the bundle will have it.
        batch: patches a step that the memory allows.
        because: in words, why the numbers are what they are; for the reader alone.
    """

    specification: Specification
    batch: int
    because: dict[str, str]


def plan(
    fingerprint: Fingerprint,
    dataset: Dataset,
    network: str,
    spatial_dims: int = 3,
    arguments: dict | None = None,
    *,
    memory_gb: float = 8.0,
    mixed_precision: bool = True,
    overrides: dict | None = None,
) -> Plan:
    """Propose spacing, patch, batch and the rest for a network and a data set.

    Args:
        fingerprint: of the cases to train on.
        dataset: its labels and licence.
        network: a name of the registry.
        arguments: its arguments; what they leave open of nnU-Net's networks is planned too.
        memory_gb: of the device that trains.
        mixed_precision: whether it computes in halves where it can.
        overrides: values that win, by the names of a specification ("orientation", "spacing_mm", "patch", "intensity",
            "inference", ...) or "batch"; what follows from them is planned to match.

    Raises:
        InputError: there is no such network, or an override has an unknown name or an impossible value.
    """
    overrides = dict(overrides or {})
    _check_names(overrides)
    grid = target_grid(fingerprint, overrides.pop("orientation", None), overrides.pop("spacing_mm", None))
    channels, classes = len(fingerprint.channels), len(dataset.labels) + 1
    fitting = PatchFitting(network, spatial_dims, channels, classes, arguments or {}, grid, mixed_precision)
    patch, facts = fitting.fit(round(memory_gb * 1e9), overrides.pop("patch", None))
    batch, batch_reason = _batch(facts, patch, grid, memory_gb, mixed_precision, overrides.pop("batch", None))
    proposed = {
        "network": facts.description,
        "modality": _modalities(fingerprint.channels),
        "orientation": grid.orientation,
        "spacing_mm": grid.spacing_mm,
        "patch": patch,
        "intensity": _intensities(fingerprint),
        "labels": dataset.labels,
        "licence": dataset.about.get("licence") or "not stated",
        "channels": ONE_IMAGE if channels == 1 else tuple(channel.name for channel in fingerprint.channels),
    }
    sizes = " x ".join(map(str, grid.median_size))
    because = {
        "spacing_mm": grid.reason,
        "patch": f"The images have {sizes} voxels at this spacing (median).",
        "batch": batch_reason,
    }
    return Plan(_specification(proposed, overrides), batch, because)


def _batch(facts, patch, grid: TargetGrid, memory_gb, mixed_precision, given) -> tuple[int, str]:
    seen = tuple(patch[::-1])[-facts.description.spatial_dims :]
    fixed, one = (facts.training_bytes(seen, count, mixed_precision) for count in (0, 1))
    if given is not None and not (isinstance(given, int) and given > 0):
        raise InputError(f"The batch {given} is not a whole number above 0.", "Correct it.")
    if given is None:
        fits = int((memory_gb * 1e9 - fixed) // (one - fixed))
        varied = round(_MOST_OF_THE_DATA * grid.voxels / prod(patch))
        given = max(LEAST_BATCH, min(fits, varied))
    needed = (fixed + given * (one - fixed)) / 1e9
    words = f"Needs about {needed:.1f} GB of {memory_gb:g} GB"
    if needed > memory_gb:
        return given, f"{words}: too much for this device; take a smaller patch or network."
    return given, f"{words}; a batch shows no more than {_MOST_OF_THE_DATA:.0%} of the data."


def _modalities(channels: Sequence[Channel]) -> tuple[str, ...]:
    known = tuple(channel.modality for channel in channels)
    return known if all(known) else ()


def _intensities(fingerprint: Fingerprint) -> Intensity | tuple[Intensity, ...]:
    """CT is measured on a scale, so the range inside the structures is kept; others are relative to each image."""
    rules = tuple(_intensity(channel, n, fingerprint) for n, channel in enumerate(fingerprint.channels))
    return rules[0] if len(set(rules)) == 1 else rules


def _intensity(channel: Channel, number: int, fingerprint: Fingerprint) -> Intensity:
    inside = fingerprint.inside[number]
    if channel.modality != "CT" or inside is None or not (inside.std > 0 and inside.low < inside.high):
        return Intensity("zscore")
    return Intensity("window", inside.low, inside.high, inside.mean, inside.std)


_OWN_NAMES = ("batch", "orientation", "spacing_mm", "patch")
_OTHER_NAMES = ("modality", "intensity", "inference", "coarse", "licence", "prompts", "channels")


def _check_names(overrides: dict) -> None:
    known = (*_OWN_NAMES, *_OTHER_NAMES)
    unknown = [name for name in overrides if name not in known]
    if unknown:
        raise InputError(f"There is no '{unknown[0]}' in a plan.", f"There are {', '.join(known)}.")


def _specification(proposed: dict, overrides: dict) -> Specification:
    try:
        specification = Specification(**proposed)
        if not overrides:
            return specification
        return replace(Specification.from_dict(specification.to_dict() | overrides), labels=specification.labels)
    except ModelError as error:
        raise InputError(f"The plan is wrong: {error.message}", "Correct what was set.") from error
