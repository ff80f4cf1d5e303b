"""What a data set is like, in numbers that a training is planned from: a fingerprint, as nnU-Net calls it.

Isensee et al. 2021, doi:10.1038/s41592-020-01008-z. It is a JSON file that may be edited before `planning` reads it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from MedSegDLLib.atomic import replacing
from MedSegDLLib.errors import InputError
from MedSegDLLib.labels import Label

from .case import Case, Channel
from .case_measurements import AXES, CaseFacts, ChannelFacts, Measurement, measured
from .dataset import Progress, Skipped
from .json_files import read_json
from .parallel import each
from .statistics import Statistics, statistics_of

__all__ = ["AXES", "CaseFacts", "ChannelFacts", "Fingerprint", "StructureFacts", "fingerprint"]

_FORMAT = "medseg-fingerprint-1"


@dataclass(frozen=True)
class StructureFacts:
    """Of a structure in all cases: in how many it was found, and in how many nobody looked for it."""

    name: str
    found_in: int
    not_contoured_in: int
    median_ml: float


@dataclass(frozen=True)
class Fingerprint:
    """Of the cases of a data set.

    Args:
        channels: with the grey values inside the structures of all cases together, each case counting the same.
        structures: how often, and how large.
        cases: what was measured of each; sizes and spacings along right-left, back-front, foot-head.
        damaged: the cases that could not be measured, and why.
    """

    channels: tuple[Channel, ...]
    inside: tuple[Statistics | None, ...]
    structures: tuple[StructureFacts, ...]
    cases: tuple[CaseFacts, ...]
    damaged: tuple[Skipped, ...] = ()

    @property
    def spacings_mm(self) -> np.ndarray:
        """(cases, 3) along `AXES`."""
        return np.array([case.turned_spacing_mm for case in self.cases])

    @property
    def sizes(self) -> np.ndarray:
        """(cases, 3) voxels along `AXES`."""
        return np.array([case.turned_size for case in self.cases])

    def write(self, path: Path | str) -> None:
        """As JSON. Raises OutputError."""
        text = json.dumps({"format": _FORMAT, **asdict(self)}, indent=1, ensure_ascii=False)
        with replacing(path) as partial_file:
            partial_file.write_text(text, encoding="utf-8")

    @staticmethod
    def read(path: Path | str) -> Fingerprint:
        """What `write` wrote, edited or not. Raises InputError for a file that is missing, damaged or another."""
        data = read_json(Path(path))
        if data.get("format") != _FORMAT:
            raise InputError(f"'{path}' is no fingerprint of a data set.", "Make it with 'fingerprint'.")
        try:
            return _from_dict(data)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"The fingerprint '{path}' is damaged.", "Make it again.", repr(error)) from error


def fingerprint(
    cases: Sequence[Case],
    labels: Sequence[Label],
    channels: Sequence[Channel],
    *,
    kept: Path | None = None,
    workers: int = 0,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Fingerprint:
    """Measure every case.

    Args:
        cases: those to train on, if a plan shall know nothing of the others.
        kept: folder for what was measured of each case, so that an interrupted run goes on where it was, and only
            cases that changed are measured again.
        workers: processes that measure; 0 does it here.
        progress: told how many cases are done, of how many, and which is the latest.

    Raises:
        InputError: there are no cases, or not one can be used.
        CancelledError: `cancelled` said so. What was measured is kept.
    """
    if not cases:
        raise InputError("There are no cases to measure.", "Add cases to the data set.")
    work = partial(measured, labels=tuple(labels), kept=kept)
    results: dict[Case, Measurement | InputError] = {}
    for case, result in each(work, cases, workers, cancelled):
        results[case] = result
        if progress:
            progress(len(results), len(cases), case.name)
    whole = {case: results[case] for case in cases if isinstance(results[case], Measurement)}
    damaged = [Skipped(case.name, str(results[case])) for case in cases if case not in whole]
    if not whole:
        raise InputError(f"Not one case can be used. The first, '{damaged[0].what}': {damaged[0].why}", "Correct them.")
    return Fingerprint(
        channels=tuple(channels),
        inside=_together([m.inside for m in whole.values()], len(channels)),
        structures=tuple(_structure(label.name, whole) for label in labels),
        cases=tuple(m.facts for m in whole.values()),
        damaged=tuple(damaged),
    )


def _together(inside: list[np.ndarray], channels: int) -> tuple[Statistics | None, ...]:
    """`inside`: (channels, values) of each case."""
    if any(len(values) != channels for values in inside):
        raise InputError(
            f"The data set has {channels} channels, but not every case has so many images.",
            "Leave out the cases that lack an image.",
        )
    return tuple(statistics_of(np.concatenate([values[n] for values in inside])) for n in range(channels))


def _structure(name: str, measurements: dict[Case, Measurement]) -> StructureFacts:
    volumes = [m.facts.volumes_ml[name] for m in measurements.values()]
    found = [ml for ml in volumes if ml > 0]
    not_contoured = sum(name in case.not_contoured for case in measurements)
    return StructureFacts(name, len(found), not_contoured, round(float(np.median(found)), 4) if found else 0.0)


def _from_dict(data: dict) -> Fingerprint:
    return Fingerprint(
        channels=tuple(Channel(**channel) for channel in data["channels"]),
        inside=tuple(Statistics(**values) if values else None for values in data["inside"]),
        structures=tuple(StructureFacts(**structure) for structure in data["structures"]),
        cases=tuple(CaseFacts.from_dict(case) for case in data["cases"]),
        damaged=tuple(Skipped(**damaged) for damaged in data["damaged"]),
    )
