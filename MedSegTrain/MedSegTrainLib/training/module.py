"""The network and its loss, as Lightning trains them."""

from __future__ import annotations

import lightning as L
import torch
import torch.nn.functional as F
from monai.losses import DiceCELoss
from torch import Tensor

from MedSegDLLib.errors import InputError
from MedSegDLLib.networks import create
from MedSegDLLib.networks.blocks import pad_to_multiple

from .recipe import Recipe


class SegmentationModule(L.LightningModule):
    """Dice and cross-entropy loss at every depth the network supervises; AdamW, warm-up, polynomial decay."""

    def __init__(self, recipe: Recipe):
        super().__init__()
        self.recipe = recipe
        self.network = _network(recipe)
        self.loss = DiceCELoss(softmax=True, to_onehot_y=True, include_background=False, batch=True)

    def training_step(self, batch: dict[str, Tensor], batch_index: int) -> Tensor:
        logits = self.network(batch["image"])
        loss = self._supervised(logits if isinstance(logits, list) else [logits], batch["label"])
        self.log("loss", loss, prog_bar=True)
        return loss

    def _supervised(self, logits: list[Tensor], label: Tensor) -> Tensor:
        """Weighted 1, 1/2, 1/4, ...; the coarsest depth is too coarse to teach anything, as in nnU-Net."""
        depths = logits[:-1] if len(logits) > 2 else logits
        weights = [0.5**depth for depth in range(len(depths))]
        padded = pad_to_multiple(label, self.network.multiple) if len(depths) > 1 else label
        labels = [label, *(_at_size(padded, x) for x in depths[1:])]
        losses = [w * self.loss(x.float(), y) for w, x, y in zip(weights, depths, labels)]
        return sum(losses) / sum(weights)

    def configure_optimizers(self) -> dict:
        plan = self.recipe.optimisation
        optimizer = torch.optim.AdamW(self.parameters(), plan.learning_rate, weight_decay=plan.weight_decay)

        def factor(step: int) -> float:
            warm = min(1.0, (step + 1) / (plan.warmup_steps + 1))
            return warm * max(0.0, 1 - step / plan.steps) ** 0.9

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _network(recipe: Recipe) -> torch.nn.Module:
    """A fresh network. Raises InputError where the recipe describes one that cannot be, or names a wrong head."""
    spec = recipe.spec.network
    try:
        network = create(spec.name, spec.spatial_dims, spec.in_channels, spec.out_channels, **spec.arguments)
    except (TypeError, ValueError) as error:
        raise InputError(f"The recipe '{recipe.name}' has no possible network: {error}.", "Correct it.") from error
    head = network.state_dict().get(spec.head)
    if head is None or len(head) != spec.out_channels:
        raise InputError(
            f"The network of '{recipe.name}' has no tensor '{spec.head}' for {spec.out_channels} classes.",
            "Correct 'head' in the recipe.",
        )
    return network


def _at_size(label: Tensor, logits: Tensor) -> Tensor:
    """Class indices (B, 1, *spatial) at the size of the logits, nearest voxel."""
    return F.interpolate(label.float(), logits.shape[2:], mode="nearest")
