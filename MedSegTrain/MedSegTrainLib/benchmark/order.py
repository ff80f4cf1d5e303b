"""One run of a benchmark: the part of the plan that decides it, and the key by which a finished run is known again."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from pathlib import PurePosixPath
from typing import Literal

from .plan import DataSet, Keep, Method, Metrics, NetworkMethod, Plan, Recipe, Strict

FORMAT = 1
"""Raised when a change of the code makes finished runs incomparable with new ones."""


class Order(Strict):
    """A method on a fold of a data set with a seed.

    Attributes:
        recipe: that the networks share, on which the method's own overrides come; None for a baseline.
        keep: decides what stays, not what comes out.
    """

    format: Literal[1] = FORMAT
    data_set: DataSet
    method: Method
    folds: int
    fold: int
    split_seed: int
    seed: int
    recipe: Recipe | None
    metrics: Metrics
    keep: Keep = Keep()

    @property
    def folder(self) -> PurePosixPath:
        """Below the folder of the benchmark."""
        return PurePosixPath(self.data_set.name, self.method.name, f"fold-{self.fold}-seed-{self.seed}")

    @property
    def name(self) -> str:
        return str(self.folder)

    @cached_property
    def key(self) -> str:
        """A hash of all that decides the figures: neither where the data lie, nor how the report calls things."""
        decisive = self.model_dump(
            mode="json", exclude={"keep": True, "data_set": {"path", "title"}, "method": {"label"}}
        )
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]


def orders(plan: Plan) -> list[Order]:
    """Every run, fold by fold, so that a benchmark which ends early has compared all methods on some folds."""
    return [
        Order(
            data_set=data_set,
            method=method,
            folds=plan.folds,
            fold=fold,
            split_seed=plan.split_seed,
            seed=seed,
            recipe=plan.recipe if isinstance(method, NetworkMethod) else None,
            metrics=plan.metrics,
            keep=plan.keep,
        )
        for seed in plan.seeds
        for fold in plan.folds_to_run
        for data_set in plan.data_sets
        for method in plan.methods
    ]
