"""What a benchmark compares, in one validated file: data sets, methods, folds, seeds, recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from MedSegDLLib.errors import InputError

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$", max_length=80)]
"""Becomes the name of a folder."""
Millimetres = Annotated[float, Field(gt=0)]
Voxels = Annotated[int, Field(gt=0)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSet(Strict):
    """Cases that all methods see, and how finely.

    Attributes:
        name: of its folder among the runs.
        path: as `open_dataset` takes it; if not absolute, below the folder that `--data` names.
        title: for the report.
        channels: of the data set that are used; all if none is named.
        names: of the values in labelmaps that do not name their structures.
        structures: that are segmented; all if none is named.
        spacing_mm: i, j, k, instead of what planning proposes.
        patch_2d, patch_3d: voxels along i, j (and k), instead of what planning proposes.
    """

    name: Name
    path: str
    title: str = ""
    channels: tuple[str, ...] = ()
    names: dict[int, str] = {}
    structures: tuple[str, ...] = ()
    spacing_mm: tuple[Millimetres, Millimetres, Millimetres] | None = None
    patch_2d: tuple[Voxels, Voxels] | None = None
    patch_3d: tuple[Voxels, Voxels, Voxels] | None = None

    def patch(self, dims: int) -> tuple[int, int, int] | None:
        """Voxels along i, j, k for a network of so many dimensions; None leaves it to planning."""
        if dims == 3:
            return self.patch_3d
        return (*self.patch_2d, 1) if self.patch_2d else None


class Recipe(Strict):
    """A named recipe and what is changed of it."""

    preset: str = "papers"
    overrides: dict[str, Any] = {}


class NetworkMethod(Strict):
    """A network of the registry, trained.

    Attributes:
        network: its name in the registry.
        name: of its folder among the runs; the network's own if there is none.
        label: in the report's tables; the name if there is none.
        dims: 2 for slices, 3 for volumes.
        preset: of its widths, such as "smith2024".
        arguments: of its constructor; they win over the preset's.
        overrides: of the recipe, for this network alone.
    """

    network: str
    dims: Literal[2, 3]
    name: Name = ""
    label: str = ""
    preset: str | None = None
    arguments: dict[str, Any] = {}
    overrides: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _named(cls, data: Any) -> Any:
        return _with_names(data, "network")


class BaselineMethod(Strict):
    """A method without a network; `parameters` are its constructor's."""

    baseline: str
    name: Name = ""
    label: str = ""
    parameters: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _named(cls, data: Any) -> Any:
        return _with_names(data, "baseline")


Method = NetworkMethod | BaselineMethod


class Metrics(Strict):
    """What the measures depend on, in mm; see `evaluation.metrics`."""

    tolerances_mm: tuple[Millimetres, ...] = (1.0, 2.0)
    band_mm: Millimetres = 2.0
    roi_margin_mm: Millimetres = 10.0


class Keep(Strict):
    """What stays of a run beside its figures.

    Attributes:
        bundles: of every run, or of none.
        predictions: labelmaps of all test cases; pictures of the best, the median and the worst case of each run, for
            the report; or nothing.
        checkpoints: what a training would go on from; without them a finished run is small.
    """

    bundles: bool = True
    predictions: Literal["all", "examples", "none"] = "examples"
    checkpoints: bool = False


class Plan(Strict):
    """A benchmark: every method on every data set, in every fold, with every seed.

    Attributes:
        note: what a reader of the report must know, such as that trainings were shortened.
        folds: parts that the cases are split into, by patient.
        only_folds: the folds that are run; all if none is named.
        split_seed: of the split, which all methods and seeds share.
    """

    name: Name
    title: str = ""
    note: str = ""
    data_sets: tuple[DataSet, ...] = Field(min_length=1)
    networks: tuple[NetworkMethod, ...] = ()
    baselines: tuple[BaselineMethod, ...] = ()
    folds: int = Field(5, ge=2)
    only_folds: tuple[int, ...] = ()
    seeds: tuple[int, ...] = Field((0,), min_length=1)
    split_seed: int = 0
    recipe: Recipe = Recipe()
    metrics: Metrics = Metrics()
    keep: Keep = Keep()

    @property
    def methods(self) -> tuple[Method, ...]:
        return (*self.networks, *self.baselines)

    @property
    def folds_to_run(self) -> tuple[int, ...]:
        return self.only_folds or tuple(range(self.folds))

    @model_validator(mode="after")
    def _check(self) -> Plan:
        if not self.methods:
            raise ValueError("there is nothing to compare: 'networks' and 'baselines' are empty")
        _check_different("data_sets", [each.name for each in self.data_sets])
        _check_different("networks and baselines", [each.name for each in self.methods])
        _check_different("seeds", self.seeds)
        _check_different("only_folds", self.only_folds)
        for fold in self.only_folds:
            if not 0 <= fold < self.folds:
                raise ValueError(f"only_folds: fold {fold} does not exist; {self.folds} folds are counted from 0")
        return self


def read_plan(path: str | Path) -> Plan:
    """Read a plan in YAML or JSON. Raises InputError that names the key which is missing, unknown or wrong."""
    path = Path(path)
    try:
        return parse_plan(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The plan '{path}' cannot be read.", "Check the path.", str(error)) from error
    except (yaml.YAMLError, TypeError) as error:
        words = " ".join(str(error).split())
        raise InputError(f"The plan '{path.name}' is not a list of named entries: {words}.", "Correct it.") from error
    except ValidationError as error:
        raise InputError(f"The plan '{path.name}' is wrong: {_first(error)}.", "Correct it.", str(error)) from error


def parse_plan(data: Any) -> Plan:
    """From what a YAML or JSON file holds. Through JSON, whose strict mode takes no text for a number but a list for a
    tuple. Raises ValidationError, or TypeError for what JSON has no form for."""
    return Plan.model_validate_json(json.dumps(data), strict=True)


def _with_names(data: Any, source: str) -> Any:
    """The method named by what it is, and labelled by its name, where the plan says nothing else."""
    if not isinstance(data, dict) or not isinstance(data.get(source), str):
        return data
    name = data.get("name", data[source])
    return {"label": name} | data | {"name": name}


def _check_different(where: str, values) -> None:
    twice = sorted({value for value in values if list(values).count(value) > 1})
    if twice:
        raise ValueError(f"{where}: {', '.join(map(repr, twice))} is there twice; give each a 'name' of its own")


def _first(error: ValidationError) -> str:
    """The first problem, with the place at which it is."""
    found = error.errors()[0]
    place = ".".join(map(str, found["loc"]))
    words = found["msg"].removeprefix("Value error, ").rstrip(".")
    return f"{place}: {words[0].lower()}{words[1:]}" if place else words
