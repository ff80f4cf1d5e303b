"""Several methods on the same cases, in one array: what their comparison and ranking start from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from MedSegDLLib.errors import InputError

from .definitions import Measure, measure
from .rows import DAMAGED, Row


@dataclass(frozen=True)
class Scoreboard:
    """Means over the structures of each case, of one measure.

    Attributes:
        measure: what is compared.
        methods: names of the columns.
        cases, patients: names of the rows.
        values: (cases, methods), none missing.
    """

    measure: Measure
    methods: tuple[str, ...]
    cases: tuple[str, ...]
    patients: tuple[str, ...]
    values: np.ndarray

    @property
    def gains(self) -> np.ndarray:
        """The values turned so that more is better."""
        return self.values * self.measure.better

    def resampled(self, rng: np.random.Generator) -> Scoreboard:
        """As many patients drawn with replacement, each with all its cases; one drawn twice counts as two."""
        drawn = [self._cases_of[n] for n in rng.integers(len(self._cases_of), size=len(self._cases_of))]
        cases = np.concatenate(drawn)
        return replace(
            self,
            cases=tuple(self.cases[n] for n in cases),
            patients=tuple(str(draw) for draw, its in enumerate(drawn) for _ in its),
            values=self.values[cases],
        )

    @cached_property
    def _cases_of(self) -> list[np.ndarray]:
        """Rows of each patient, in the order of their names."""
        _, number = np.unique(self.patients, return_inverse=True)
        return [np.flatnonzero(number == n) for n in range(number.max() + 1)]

    def column(self, method: str) -> np.ndarray:
        return self.values[:, self.methods.index(method)]


def scoreboard(rows: Mapping[str, Sequence[Row]], name: str) -> Scoreboard:
    """Put the results of methods side by side, so that all are judged on the same structures of the same cases.

    What a method missed, wrongly found or failed on counts with the worst value (0, or the image's diagonal for a
    distance), and where one found what is not there, those that rightly found nothing get the best. A structure that
    nobody has, or nobody contoured, does not count; nor does a case that some method was not asked to segment, or that
    cannot be read.

    Args:
        rows: of each method; several of a case and structure (other seeds) count with their mean.
        name: a measure with a better and a worse direction.

    Raises InputError where nothing can be compared.
    """
    chosen = measure(name)
    if not chosen.better:
        raise InputError(f"No value of '{chosen.title}' is better than another.", "Compare by another measure.")
    by_place = [_by_case_and_structure(its) for its in rows.values()]
    means: dict[str, list[list[float]]] = {}
    for place in _shared(by_place):
        values = _values([its[place] for its in by_place], chosen)
        if values:
            means.setdefault(place[0], []).append(values)
    if len(rows) < 2:
        raise InputError("A comparison needs two methods at least.", "Name the results of each.")
    if not means:
        raise InputError(
            f"There is no case for which each of these {len(rows)} methods has '{name}'.",
            "Compare results on the same cases and structures.",
        )
    patients = {row.case: row.patient for its in rows.values() for row in its}
    values = np.array([np.mean(its, axis=0) for its in means.values()])
    return Scoreboard(chosen, tuple(rows), tuple(means), tuple(patients[case] for case in means), values)


def _by_case_and_structure(rows: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    places: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        places.setdefault((row.case, row.structure), []).append(row)
    return places


def _shared(by_place: Sequence[Mapping[tuple[str, str], list[Row]]]) -> list[tuple[str, str]]:
    return [place for place in by_place[0] if all(place in its for its in by_place)] if by_place else []


def _values(rows: Sequence[Sequence[Row]], chosen: Measure) -> list[float]:
    """A value for each method, or none at all where the structure does not count."""
    if any(row.status == DAMAGED for its in rows for row in its):
        return []
    found = [[row.value_or_worst(chosen.name) for row in its] for its in rows]
    if all(value is None for its in found for value in its):
        return []
    return [float(np.mean([chosen.best if value is None else value for value in its])) for its in found]
