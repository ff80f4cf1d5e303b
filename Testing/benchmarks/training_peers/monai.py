"""A plain loop as MONAI's tutorials write it: CacheDataset, MONAI's transforms and losses, our own network."""

from __future__ import annotations

import time
from math import radians

import torch
from monai import transforms as mt
from monai.data import CacheDataset, DataLoader
from monai.losses import DeepSupervisionLoss, DiceCELoss

from MedSegDLLib.networks import create

from . import Measured, Task, repeated

_BOTH = ["image", "label"]


def run(task: Task, seconds: float, dtype: torch.dtype = torch.float32) -> Measured:
    begin = time.perf_counter()
    files = [dict(zip(_BOTH, pair)) for pair in zip(task.files("images"), task.files("labels"))]
    data = CacheDataset(files, _transforms(task), progress=False, num_workers=1)
    batches = _endless(DataLoader(data, batch_size=task.batch, shuffle=True))
    arguments = {"features": list(task.features), "deep_supervision": True}
    network = create("nnunet", 3, 1, task.classes, **arguments)
    loss = DeepSupervisionLoss(DiceCELoss(to_onehot_y=True, softmax=True), weight_mode="exp")
    optimizer = torch.optim.SGD(network.parameters(), 0.01, momentum=0.99, nesterov=True, weight_decay=3e-5)

    def train(batch: dict) -> float:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            logits = network(batch["image"])
        value = loss([x.float() for x in logits], batch["label"])
        value.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 12)
        optimizer.step()
        return float(value.detach())

    network.train()
    first = next(batches)
    prepare_s = time.perf_counter() - begin
    steps = repeated(lambda: train(next(batches)), seconds)
    return Measured(prepare_s, steps, repeated(lambda: train(first), seconds / 2))


def _transforms(task: Task) -> mt.Compose:
    """nnU-Net's augmentation by MONAI's transforms, with nnU-Net's probabilities."""
    angle = radians(30)
    return mt.Compose(
        [
            mt.LoadImaged(_BOTH, ensure_channel_first=True),
            mt.NormalizeIntensityd("image"),
            mt.SpatialPadd(_BOTH, task.patch),
            mt.RandCropByPosNegLabeld(_BOTH, "label", task.patch, pos=1, neg=2, num_samples=1),
            mt.RandAffined(
                _BOTH,
                prob=0.2,
                rotate_range=(angle,) * 3,
                scale_range=(0.3,) * 3,
                mode=("bilinear", "nearest"),
                padding_mode="zeros",
                spatial_size=task.patch,
            ),
            mt.RandGaussianNoised("image", prob=0.1),
            mt.RandGaussianSmoothd("image", (0.5, 1.0), (0.5, 1.0), (0.5, 1.0), prob=0.2),
            mt.RandScaleIntensityd("image", factors=0.25, prob=0.15),
            mt.RandAdjustContrastd("image", gamma=(0.7, 1.5), prob=0.3, retain_stats=True),
            mt.RandSimulateLowResolutiond("image", prob=0.25, zoom_range=(0.5, 1.0)),
            *(mt.RandFlipd(_BOTH, prob=0.5, spatial_axis=axis) for axis in range(3)),
            mt.EnsureTyped(_BOTH, track_meta=False),
        ]
    )


def _endless(loader: DataLoader):
    while True:
        yield from loader
