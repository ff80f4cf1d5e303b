"""The network and its loss, as Lightning trains them."""

from __future__ import annotations

import math

import lightning as L
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from MedSegDLLib.errors import InputError
from MedSegDLLib.networks.blocks import pad_to_multiple

from ..data.case import IGNORE
from ..data.heads import built
from .losses import SegmentationLoss
from .recipe_fields import Optimisation, Recipe
from .schedule import rate_factor
from .validation import Scores, logits_of_case

METRIC = "validation_dice"
"""The mean Dice of the last validation, as Lightning's callbacks know it."""


class SegmentationModule(L.LightningModule):
    """A fresh network, trained as the recipe says: its loss at every depth that the network supervises.

    Args:
        recipe: network, loss and optimisation.
        steps: of the whole training, which the learning rate follows.
        class_weights: (K,), for losses that take them.

    Raises InputError where the recipe describes a network that cannot be, or names a wrong head.
    """

    def __init__(self, recipe: Recipe, steps: int = 1, class_weights: Tensor | None = None):
        super().__init__()
        self.recipe, self.steps = recipe, steps
        self.network = _network(recipe)
        self.loss = SegmentationLoss(recipe.loss, class_weights, _sampling(recipe))
        self.result: dict = {}
        self._scores: Scores | None = None

    # Learning

    def on_train_start(self) -> None:
        """A checkpoint brings the numbers of the recipe that it was made by; those of this one count."""
        plan, numbers = self.recipe.optimisation, _numbers(self.recipe.optimisation)
        rate = numbers["lr"] * rate_factor(plan, self.global_step, self.steps)
        for optimiser, schedule in zip(self.trainer.optimizers, self.trainer.lr_scheduler_configs):
            schedule.scheduler.base_lrs = [numbers["lr"]] * len(optimiser.param_groups)
            for group in optimiser.param_groups:
                group.update(numbers, initial_lr=numbers["lr"], lr=rate)

    def on_train_batch_start(self, batch: dict[str, Tensor], batch_index: int) -> None:
        """What a step leaves to chance depends on the step alone, so that an interrupted training goes on the same."""
        state = np.random.SeedSequence((self.recipe.optimisation.seed, self.global_step, self.global_rank))
        torch.manual_seed(int(state.generate_state(1, np.uint64)[0] >> 1))

    def on_before_batch_transfer(self, batch: dict[str, Tensor], dataloader_index: int) -> dict:
        return told_at_once(batch)

    def training_step(self, batch: dict, batch_index: int) -> Tensor:
        return self.training_loss(batch, self.global_step / self.steps)

    def training_loss(self, batch: dict, progress: float = 1.0) -> Tensor:
        """The network's own where it has one: it then learns more than the class of each voxel."""
        if hasattr(self.network, "training_loss"):
            image, label = _without_unknown(batch["image"], batch["label"])
            instances = batch.get("instances")
            return self.network.training_loss(image, label[:, 0], instances if instances is None else instances[:, 0])
        logits = self.network(batch["image"])
        return self._supervised(logits if isinstance(logits, list) else [logits], batch, progress)

    def _supervised(self, logits: list[Tensor], batch: dict, progress: float = 1.0) -> Tensor:
        """The mean over all that the network supervises, weighted as it says."""
        weights = self.network.loss_weights if len(logits) > 1 else (1.0,)
        annotated, sparse = batch.get("annotated"), batch.get("sparse", True)
        losses = [
            w * self.loss(x, self._label_for(x, batch["label"]), annotated, sparse, progress)
            for w, x in zip(weights, logits)
            if w
        ]
        return sum(losses) / sum(weights)

    def _label_for(self, logits: Tensor, label: Tensor) -> Tensor:
        """The label (B, 1, *spatial) at the size of the logits, which are coarse only over the padded input."""
        if logits.shape[2:] == label.shape[2:]:
            return label
        return F.interpolate(pad_to_multiple(label, self.network.multiple).float(), logits.shape[2:], mode="nearest")

    def configure_optimizers(self) -> dict:
        plan = self.recipe.optimisation
        optimiser = _optimiser(plan, self.parameters())
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate_factor(plan, step, self.steps))
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    # Validation

    def on_validation_epoch_start(self) -> None:
        structures = self.recipe.spec.network.out_channels - 1
        self._scores = Scores(structures, each_counts=self.recipe.validation.on == "cases")

    def validation_step(self, batch: dict, batch_index: int) -> None:
        counts = batch["counts"]
        if self.recipe.validation.on == "cases":
            logits = logits_of_case(self.network, batch["image"], self.recipe, self.recipe.optimisation.batch)
        else:
            logits = self.network(batch["image"])
        logits, label = logits[counts.to(logits.device)], batch["label"][counts].to(logits.device)
        if len(label):
            annotated = batch.get("annotated")
            everything = torch.ones(len(label), logits.shape[1], dtype=torch.bool, device=logits.device)
            annotated = everything if annotated is None else annotated[counts].to(logits.device)
            self._scores.add(logits, label, annotated, self.loss(logits, label, annotated))

    def on_validation_epoch_end(self) -> None:
        self.result = self._scores.result(self._sum_up)
        values = [value for value in self.result["dice"] if math.isfinite(value)]
        self.log(METRIC, float(np.mean(values)) if values else math.nan)

    def _sum_up(self, values: Tensor) -> Tensor:
        return self.trainer.strategy.reduce(values.to(self.device, torch.float32), reduce_op="sum").cpu()


def told_at_once(batch: dict[str, Tensor]) -> dict:
    """The batch with "sparse": whether it has voxels to ignore; without "annotated" where every class is.

    Asked while the batch is on the CPU, where the answer does not make anybody wait.
    """
    told = batch | {"sparse": bool((batch["label"] == IGNORE).any())}
    if "annotated" in told and bool(told["annotated"].all()):
        del told["annotated"]
    return told


def _without_unknown(image: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """What nobody annotated is taken out of the picture: a detector then has nothing to miss there."""
    unknown = label == IGNORE
    return image.masked_fill(unknown, 0), label.masked_fill(unknown, 0)


def _optimiser(plan: Optimisation, parameters) -> torch.optim.Optimizer:
    kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    return kinds[plan.optimiser](parameters, **_numbers(plan))


def _numbers(plan: Optimisation) -> dict:
    """What torch's optimiser takes from a recipe."""
    numbers = {"lr": plan.learning_rate, "weight_decay": plan.weight_decay}
    if plan.optimiser == "sgd":
        numbers |= {"momentum": plan.momentum, "nesterov": plan.momentum > 0}
    return numbers


def _sampling(recipe: Recipe) -> tuple[float, ...]:
    """Distance of the voxels along each axis of a patch, in those of the finest."""
    spacing = recipe.spec.spacing_mm[::-1][-recipe.spec.network.spatial_dims :]
    return tuple(distance / min(spacing) for distance in spacing)


def _network(recipe: Recipe) -> torch.nn.Module:
    spec = recipe.spec.network
    try:
        network = built(spec)
    except InputError as error:
        raise InputError(
            f"The recipe '{recipe.name}' has no possible network. {error.message}", error.remedy
        ) from error
    head = network.state_dict().get(spec.head)
    if head is None or len(head) != spec.out_channels:
        raise InputError(
            f"The network of '{recipe.name}' has no tensor '{spec.head}' for {spec.out_channels} classes.",
            "Correct 'head' in the recipe.",
        )
    return network
