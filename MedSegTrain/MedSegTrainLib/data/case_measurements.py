"""What is measured of a case for the fingerprint of its data set."""

from __future__ import annotations

import json
import zlib
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from MedSegDLLib.atomic import output_errors, replacing
from MedSegDLLib.errors import OutputError
from MedSegDLLib.labels import Label, volumes_ml
from MedSegDLLib.volume import Volume

from .case import IGNORE, Case
from .source_state import digest, state_of
from .statistics import Statistics, sampled, statistics_of

AXES = "RAS"
"""The order of sizes and spacings that can be compared from case to case: right-left, back-front, foot-head."""

_FORMAT = 1
_VALUES = 10_000  # of each case and channel, as nnU-Net takes
_BROKEN = (OSError, ValueError, KeyError, EOFError, TypeError, BadZipFile)


@dataclass(frozen=True)
class ChannelFacts:
    """Grey values of one image: inside the structures, and wherever they are not 0."""

    inside: Statistics | None
    nonzero: Statistics | None
    nonzero_share: float


@dataclass(frozen=True)
class CaseFacts:
    """Of one case.

    Args:
        shape: voxels along k, j, i as stored.
        spacing_mm: along i, j, k as stored.
        orientation: of i, j, k as stored, such as "LPS".
        turned_size, turned_spacing_mm: along `AXES`.
        volumes_ml: of each structure, by name.
        annotated_share: of the voxels.
    """

    name: str
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    orientation: str
    turned_size: tuple[int, int, int]
    turned_spacing_mm: tuple[float, float, float]
    volumes_ml: dict[str, float]
    annotated_share: float
    channels: tuple[ChannelFacts, ...]

    @staticmethod
    def from_dict(data: dict) -> CaseFacts:
        """From what `dataclasses.asdict` makes of it."""
        tuples = {name: tuple(data[name]) for name in ("shape", "spacing_mm", "turned_size", "turned_spacing_mm")}
        channels = tuple(
            ChannelFacts(_statistics(channel["inside"]), _statistics(channel["nonzero"]), channel["nonzero_share"])
            for channel in data["channels"]
        )
        return CaseFacts(**(data | tuples | {"channels": channels}))


@dataclass(frozen=True, eq=False)
class Measurement:
    """Facts of a case, and grey values inside its structures: (channels, values) float32."""

    facts: CaseFacts
    inside: np.ndarray


def measured(case: Case, labels: tuple[Label, ...], kept: Path | None) -> Measurement:
    """From `kept` if it was measured before and has not changed since, else anew. Raises InputError.

    Where nothing can be kept, it is measured again the next time.
    """
    if kept is None:
        return measure(case, labels)
    path = kept / f"{case.name}-{_key(case, labels)}.npz"
    found = _read(path)
    if found is None:
        found = measure(case, labels)
        with suppress(OutputError):
            _keep(found, path)
    return found


def _keep(found: Measurement, path: Path) -> None:
    with output_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        np.savez(partial, facts=np.array(json.dumps(asdict(found.facts))), inside=found.inside)


def measure(case: Case, labels: tuple[Label, ...]) -> Measurement:
    """Load a case and measure it. Raises InputError for one that cannot be used."""
    images, label = case.load()
    for image in images:
        image.check_usable()
    rng = np.random.default_rng(zlib.crc32(case.name.encode()))  # the same values each time
    structures = np.isin(label.array, [each.value for each in labels])
    places = _places(structures, rng)
    inside = np.stack([image.array[places].astype(np.float32) for image in images])
    grid = label.grid
    turned = label.reoriented(AXES).grid
    facts = CaseFacts(
        name=case.name,
        shape=grid.shape,
        spacing_mm=_rounded(grid.spacing_mm),
        orientation=grid.orientation(),
        turned_size=turned.shape[::-1],
        turned_spacing_mm=_rounded(turned.spacing_mm),
        volumes_ml={name: round(ml, 4) for name, ml in _volumes(label, labels).items()},
        annotated_share=round(float((label.array != IGNORE).mean()), 4),
        channels=tuple(_channel(image, values, rng) for image, values in zip(images, inside)),
    )
    return Measurement(facts, inside)


def _places(mask: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Indices along each axis of at most `_VALUES` voxels of a mask."""
    flat = np.flatnonzero(mask)
    if len(flat) > _VALUES:
        flat = flat[rng.integers(len(flat), size=_VALUES)]
    return np.unravel_index(flat, mask.shape)


def _channel(image: Volume, inside: np.ndarray, rng: np.random.Generator) -> ChannelFacts:
    values = image.array[image.array != 0]
    share = round(values.size / image.array.size, 4)
    return ChannelFacts(statistics_of(inside), statistics_of(sampled(values, 10 * _VALUES, rng)), share)


def _volumes(label: Volume, labels: tuple[Label, ...]) -> dict[str, float]:
    return volumes_ml(label.array, labels, label.grid.voxel_volume_ml)


def _rounded(spacing_mm: np.ndarray) -> tuple[float, ...]:
    return tuple(round(float(mm), 6) for mm in spacing_mm)


def _statistics(data: dict | None) -> Statistics | None:
    return Statistics(**data) if data else None


def _key(case: Case, labels: tuple[Label, ...]) -> str:
    return digest([_FORMAT, state_of(case), sorted((label.value, label.name) for label in labels)])


def _read(path: Path) -> Measurement | None:
    try:
        with np.load(path) as stored:
            facts = CaseFacts.from_dict(json.loads(str(stored["facts"])))
            return Measurement(facts, stored["inside"])
    except _BROKEN:
        return None
