"""Everything that decides a training, in one validated file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from MedSegDLLib.bundle import Specification
from MedSegDLLib.errors import InputError


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(_Strict):
    """Where the cases come from: a folder of files, or phantoms drawn while training."""

    source: Literal["folder", "thorax-phantom"]
    cases: int | None = Field(None, gt=0, description="phantoms to draw")
    held_back: int | None = Field(None, gt=0, description="phantoms to judge on")
    folds: int = Field(5, ge=2)
    fold: int = Field(0, ge=0)
    split_seed: int = 0


class Augmentation(_Strict):
    """Random changes of a training patch; probabilities and ranges as in nnU-Net where it has them."""

    rotation_degrees: float = Field(30, ge=0, le=180)
    scale: float = Field(0.25, ge=0, lt=1, description="largest relative change of size")
    affine_probability: float = Field(0.5, ge=0, le=1)
    noise_probability: float = Field(0.1, ge=0, le=1)
    blur_probability: float = Field(0.1, ge=0, le=1)
    intensity_probability: float = Field(0.15, ge=0, le=1)
    low_resolution_probability: float = Field(0.1, ge=0, le=1)
    mirror: tuple[bool, bool, bool] = Field((True, True, True), description="along i, j, k")


class Optimisation(_Strict):
    steps: int = Field(gt=0)
    batch: int = Field(gt=0)
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(3e-5, ge=0)
    warmup_steps: int = Field(100, ge=0)
    averaging_decay: float = Field(0.999, ge=0, lt=1, description="of the exponential average of the weights")
    foreground_share: float = Field(0.33, ge=0, le=1, description="patches centred on a structure")
    seed: int = 0


class Recipe(_Strict):
    """A model to be: what it segments (`medseg`, as in its bundle) and how it learns."""

    name: str
    description: dict
    medseg: dict
    data: Data
    optimisation: Optimisation
    augmentation: Augmentation = Augmentation()

    @property
    def spec(self) -> Specification:
        return Specification.from_dict({"format": 1, **self.medseg})


def read_recipe(path: str | Path) -> Recipe:
    """Read and check a recipe in YAML. Raises InputError that names what is wrong with it."""
    path = Path(path)
    try:
        recipe = Recipe(**yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(f"The recipe '{path}' cannot be read.", "Check the path.", str(error)) from error
    except (yaml.YAMLError, ValidationError, TypeError) as error:
        lines = str(error).splitlines()
        cause = " ".join(lines[1:3]) or lines[0]
        raise InputError(f"The recipe '{path.name}' is wrong: {cause}", "Correct it.", str(error)) from error
    recipe.spec  # noqa: B018  a wrong model description must show before hours of training, not after
    return recipe
