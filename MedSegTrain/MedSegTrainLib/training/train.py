"""Run a recipe: prepare the cases, train, write checkpoints, and go on where an interrupted run stopped."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader

from MedSegDLLib.errors import InputError

from ..data.cases import Case, Sample, find_cases, prepare_sample, split
from .module import SegmentationModule
from .patches import Patches
from .recipe import Recipe

STEPS_PER_CHECKPOINT = 250


def train(recipe: Recipe, folder: Path, data: Path | None = None, workers: int = 0) -> Path:
    """Train and return the last checkpoint; a second call with the same folder resumes.

    Args:
        recipe: what to train.
        folder: where checkpoints and the curve of the loss go.
        data: folder of the cases, for recipes that read files.
        workers: processes that make patches beside the one that trains.
    """
    L.seed_everything(recipe.optimisation.seed, workers=True)
    module = SegmentationModule(recipe)  # before the cases, whose preparation takes minutes: it may refuse the recipe
    last = folder / "last.ckpt"
    resumed = last if last.exists() else None
    patches = DataLoader(
        Patches(training_samples(recipe, data), recipe, seed_offset=_steps_of(resumed)),
        batch_size=recipe.optimisation.batch,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    trainer = L.Trainer(
        default_root_dir=folder,
        max_steps=recipe.optimisation.steps,
        max_epochs=-1,
        precision="16-mixed" if torch.cuda.is_available() else "bf16-mixed",
        gradient_clip_val=12,
        logger=CSVLogger(folder, name="", version=""),
        callbacks=[
            EMAWeightAveraging(decay=recipe.optimisation.averaging_decay),
            ModelCheckpoint(folder, save_last=True, every_n_train_steps=STEPS_PER_CHECKPOINT, save_top_k=0),
            TQDMProgressBar(refresh_rate=50),
        ],
        enable_model_summary=False,
        log_every_n_steps=50,
    )
    trainer.fit(module, patches, ckpt_path=resumed, weights_only=True)
    trainer.save_checkpoint(last)
    return last


def _steps_of(checkpoint: Path | None) -> int:
    """Steps that a checkpoint has behind it: what is drawn after it must not repeat what was drawn before."""
    return torch.load(checkpoint, map_location="cpu", weights_only=True)["global_step"] if checkpoint else 0


def training_samples(recipe: Recipe, data: Path | None) -> list:
    """One function a case, each of which gives its sample."""
    if recipe.data.source == "thorax-phantom":
        from ..data.phantom import draw_thorax

        return [_kept(_phantom_sample(draw_thorax(seed), recipe)) for seed in phantom_seeds(recipe)[0]]
    return [_kept(prepare_sample(*case.load(), recipe.spec)) for case in folder_split(recipe, data)[0]]


def folder_split(recipe: Recipe, data: Path | None) -> tuple[list[Case], list[Case]]:
    """Cases to train on and cases held back."""
    if data is None:
        raise InputError(f"The recipe '{recipe.name}' reads cases from a folder.", "Name it with --data.")
    return split(find_cases(data), recipe.data.folds, recipe.data.fold, recipe.data.split_seed)


def phantom_seeds(recipe: Recipe) -> tuple[range, range]:
    """Seeds of the phantoms to train on and of those held back."""
    return range(recipe.data.cases), range(10**6, 10**6 + recipe.data.held_back)


def _phantom_sample(phantom, recipe: Recipe) -> Sample:
    return prepare_sample(phantom.image, phantom.truth, recipe.spec)


def _kept(sample: Sample):
    """Prepared samples stay in memory: half-precision images, a byte a voxel of classes."""
    image, classes = sample.image.astype(np.float16), sample.classes
    return partial(_unpack, image, classes)


def _unpack(image: np.ndarray, classes: np.ndarray) -> Sample:
    return Sample(image.astype(np.float32), classes)
