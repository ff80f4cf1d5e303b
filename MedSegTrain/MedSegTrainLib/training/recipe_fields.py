"""Everything that decides a training, in one validated file.

    preset: modern                      # optional: where values come from that are not said here
    name: liver-ct
    description: {...}                  # MONAI's keys, for the bundle
    medseg: {...}                       # network, spacing, patch, labels: as in the bundle
    optimisation: {epochs: 100}

`recipe` reads and makes one.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from MedSegDLLib.bundle import Specification
from MedSegDLLib.errors import ModelError

_LICENCES = Path(__file__).resolve().parents[2] / "Resources" / "Licences"
_DESCRIBED = ("name", "version", "title", "task", "description", "authors", "copyright")
_DESCRIBED_IN_THE_CARD = ("data_source", "image_classes", "intended_use")

Share = Annotated[float, Field(ge=0, le=1)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(Strict):
    """Where the cases come from: a data set, a folder of files, or phantoms drawn while training."""

    source: Literal["dataset", "folder", "thorax-phantom"] = "dataset"
    name: str = Field("", description="of the data set")
    cases: int | None = Field(None, gt=0, description="phantoms to draw")
    held_back: int | None = Field(None, gt=0, description="phantoms to judge on")
    folds: int = Field(5, ge=1, description="1: a single split, 70/15/15")
    fold: int = Field(0, ge=0)
    split_seed: int = 0

    @model_validator(mode="after")
    def _check(self):
        if self.fold >= self.folds:
            raise ValueError(f"fold {self.fold} does not exist; {self.folds} folds are counted from 0")
        if self.source == "thorax-phantom" and not (self.cases and self.held_back):
            raise ValueError("phantoms need the numbers 'cases' and 'held_back'")
        if self.source == "folder" and self.folds < 2:
            raise ValueError("the cases of a folder are split into 2 folds or more")
        return self


class Augmentation(Strict):
    """Random changes of a training patch; probabilities and ranges as in nnU-Net where it has them."""

    rotation_degrees: float = Field(30, ge=0, le=180)
    scale: float = Field(0.25, ge=0, lt=1, description="largest relative change of size")
    translation: float = Field(0, ge=0, lt=1, description="largest shift, as a share of the patch")
    affine_probability: Share = 0.5
    noise_probability: Share = 0.1
    blur_probability: Share = 0.1
    intensity_probability: Share = Field(0.15, description="of brightness, and of contrast")
    gamma_probability: Share = 0.15
    inverted_gamma_probability: Share = 0
    low_resolution_probability: Share = 0.1
    mirror: tuple[bool, bool, bool] = Field((True, True, True), description="along i, j, k")


class Loss(Strict):
    """What is made small. Voxels that nobody annotated count nowhere; see `losses`."""

    name: Literal["cross_entropy", "dice", "dice_ce", "focal", "tversky", "boundary"] = "dice_ce"
    class_weights: Literal["none", "inverse_frequency"] | tuple[Annotated[float, Field(ge=0)], ...] = Field(
        "none", description="of cross-entropy and focal loss, background first"
    )
    focal_gamma: float = Field(2, ge=0)
    tversky_alpha: float = Field(0.3, ge=0, description="weight of false positives")
    tversky_beta: float = Field(0.7, ge=0, description="weight of false negatives")
    boundary_share: Share = Field(0.5, description="at the end; it grows from 0, Dice and cross-entropy are the rest")
    deep_supervision: bool = Field(False, description="of networks that can; else as the network's arguments say")


class Optimisation(Strict):
    steps: int | None = Field(None, gt=0, description="in all; this or epochs")
    epochs: int | None = Field(None, gt=0)
    steps_per_epoch: int | None = Field(None, gt=0, description="None: as many patches as there are cases")
    batch: int = Field(gt=0, description="patches a step, of all devices together")
    optimiser: Literal["adam", "adamw", "sgd"] = "adamw"
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(3e-5, ge=0)
    momentum: float = Field(0.99, ge=0, lt=1, description="Nesterov's, of sgd")
    schedule: Literal["constant", "polynomial", "exponential", "cosine"] = "polynomial"
    decay_power: float = Field(0.9, gt=0, description="of the polynomial schedule")
    final_share: float = Field(0.01, gt=0, le=1, description="of the learning rate, at the end of the exponential one")
    warmup_steps: int = Field(100, ge=0)
    averaging_decay: float = Field(0.999, ge=0, lt=1, description="of the weights' exponential average; 0: none")
    clip: float | None = Field(12, gt=0, description="largest norm of the gradient")
    precision: Literal["auto", "f32", "bf16", "f16"] = "auto"
    foreground_share: Share = Field(0.33, description="patches centred on a structure")
    early_stop_epochs: int | None = Field(None, gt=0, description="end after so many epochs without a better one")
    seed: int = 0

    @model_validator(mode="after")
    def _check(self):
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("say either 'steps' or 'epochs'")
        return self


class Validation(Strict):
    """What is looked at between the epochs, and which weights are kept in the end."""

    every_epochs: int = Field(1, gt=0)
    on: Literal["patches", "cases"] = "patches"
    patches: int = Field(64, gt=0, description="drawn once, the same in every epoch")
    overlap: float = Field(0.25, ge=0, lt=1, description="of the windows, on whole cases")
    keep: Literal["best", "last"] = Field("best", description="best: of the highest mean Dice")


class Checkpoints(Strict):
    every_minutes: float = Field(10, gt=0)
    every_steps: int | None = Field(None, gt=0, description="in place of minutes")


class Recipe(Strict):
    """A model to be: what it segments (`medseg`, as in its bundle) and how it learns."""

    preset: str | None = None
    name: str = Field(pattern=r"^\w[\w.+-]*$")
    description: dict
    medseg: dict
    data: Data = Data()
    optimisation: Optimisation
    loss: Loss = Loss()
    augmentation: Augmentation = Augmentation()
    validation: Validation = Validation()
    checkpoints: Checkpoints = Checkpoints()

    @field_validator("description")
    @classmethod
    def _check_description(cls, description: dict) -> dict:
        missing = [key for key in _DESCRIBED + _DESCRIBED_IN_THE_CARD if key not in description]
        if missing:
            raise ValueError(f"lacks {', '.join(missing)}")
        return description

    @field_validator("medseg")
    @classmethod
    def _check_specification(cls, medseg: dict) -> dict:
        try:
            Specification.from_dict({"format": 1, **medseg})
        except ModelError as error:
            raise ValueError(error.message) from error
        return medseg

    @model_validator(mode="after")
    def _check_weights(self):
        weights, classes = self.loss.class_weights, self.spec.network.out_channels
        if not isinstance(weights, str) and len(weights) != classes:
            raise ValueError(f"loss.class_weights has {len(weights)} numbers for {classes} classes")
        return self

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
    def licence_text(self) -> str:
        """Of the licence of the weights: its text where it comes with MedSegTrain, else its name."""
        path = _LICENCES / f"{self.spec.licence.replace(' ', '-')}.txt"
        if path.is_file():
            return path.read_text(encoding="utf-8")
        return f"Licence of the weights: {self.spec.licence or 'not stated'}\n"
