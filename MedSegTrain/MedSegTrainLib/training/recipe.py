"""Everything that decides a training, in one validated file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from MedSegDLLib.bundle import Specification
from MedSegDLLib.errors import InputError, ModelError

_LICENCES = Path(__file__).resolve().parents[2] / "Resources" / "Licences"
_DESCRIBED = ("name", "version", "title", "task", "description", "authors", "copyright")
_DESCRIBED_IN_THE_CARD = ("data_source", "image_classes", "intended_use")


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

    @model_validator(mode="after")
    def _check(self):
        if self.fold >= self.folds:
            raise ValueError(f"fold {self.fold} does not exist; {self.folds} folds are counted from 0")
        if self.source == "thorax-phantom" and not (self.cases and self.held_back):
            raise ValueError("phantoms need the numbers 'cases' and 'held_back'")
        return self


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

    @field_validator("description")
    @classmethod
    def _check_description(cls, description: dict) -> dict:
        missing = [key for key in _DESCRIBED + _DESCRIBED_IN_THE_CARD if key not in description]
        if missing:
            raise ValueError(f"lacks {', '.join(missing)}")
        return description

    @property
    def spec(self) -> Specification:
        """What the bundle will say; it may be mirrored in inference along the axes that training mirrors.

        That is not across slices for a network that sees one at a time.
        """
        spec = Specification.from_dict({"format": 1, **self.medseg})
        i, j, k = self.augmentation.mirror
        mirrored = (i, j, k and spec.network.spatial_dims == 3)
        return replace(spec, inference=replace(spec.inference, mirror_axes=mirrored))

    @property
    def licence_path(self) -> Path:
        """The text of the licence of the weights."""
        return _LICENCES / f"{self.spec.licence.replace(' ', '-')}.txt"

    def check(self) -> None:
        """Raise ModelError for what would otherwise show only after hours of training."""
        if not self.licence_path.is_file():
            raise ModelError(f"The text of the licence '{self.spec.licence}' is not at hand in {_LICENCES}.")


def read_recipe(path: str | Path) -> Recipe:
    """Read and check a recipe in YAML. Raises InputError that names what is wrong with it."""
    path = Path(path)
    try:
        recipe = Recipe(**yaml.safe_load(path.read_text(encoding="utf-8")))
        recipe.check()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The recipe '{path}' cannot be read.", "Check the path.", str(error)) from error
    except (yaml.YAMLError, ValidationError, TypeError, ModelError) as error:
        raise InputError(f"The recipe '{path.name}' is wrong: {_cause(error)}", "Correct it.", str(error)) from error
    return recipe


def _cause(error: Exception) -> str:
    if isinstance(error, ModelError):
        return error.message
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}."
    return " ".join(str(error).split())
