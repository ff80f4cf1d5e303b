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
        loss = self._loss(batch["image"], batch["label"])
        self.log("loss", loss, prog_bar=True)
        return loss

    def _loss(self, image: Tensor, label: Tensor) -> Tensor:
        """The network's own where it has one: it then learns more than the class of each voxel."""
        if hasattr(self.network, "training_loss"):
            return self.network.training_loss(image, label[:, 0])
        logits = self.network(image)
        return self._supervised(logits if isinstance(logits, list) else [logits], label)

    def _supervised(self, logits: list[Tensor], label: Tensor) -> Tensor:
        """The mean over all that the network supervises, weighted as it says."""
        weights = self.network.loss_weights if len(logits) > 1 else (1.0,)
        losses = [w * self.loss(x.float(), self._label_for(x, label)) for w, x in zip(weights, logits) if w]
        return sum(losses) / sum(weights)

    def _label_for(self, logits: Tensor, label: Tensor) -> Tensor:
        """The label (B, 1, *spatial) at the size of the logits, which are coarse only over the padded input."""
        if logits.shape[2:] == label.shape[2:]:
            return label
        return _at_size(pad_to_multiple(label, self.network.multiple), logits)

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
