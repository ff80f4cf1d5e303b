"""nnU-Net's own trainer, data loader and augmentation, in one process, after its own planning and preprocessing."""

from __future__ import annotations

import json
import os
import shutil
import time

import torch

from . import Measured, Task, repeated

_DATASET = "Dataset001_Benchmark"
_CONFIGURATION = "3d_fullres"


def run(task: Task, seconds: float) -> Measured:
    begin = time.perf_counter()
    _prepare_folders(task)
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    plans = _planned_and_preprocessed(task)
    os.environ["nnUNet_n_proc_DA"] = "0"  # from here on augmentation in the training process, as with the others
    description = json.loads((task.work / "raw" / _DATASET / "dataset.json").read_text())
    trainer = nnUNetTrainer(
        plans | {"continue_training": False}, _CONFIGURATION, "all", description, torch.device("cpu")
    )
    trainer.plot_network_architecture = lambda: None
    trainer.on_train_start()
    batch = next(trainer.dataloader_train)
    prepare_s = time.perf_counter() - begin
    steps = repeated(lambda: trainer.train_step(next(trainer.dataloader_train)), seconds)
    return Measured(prepare_s, steps, repeated(lambda: trainer.train_step(batch), seconds / 2))


def _prepare_folders(task: Task) -> None:
    """nnU-Net's raw layout; where it looks for things is said by the environment."""
    os.environ["nnUNet_n_proc_DA"] = "1"  # its planning refuses 0
    for name in ("raw", "preprocessed", "results"):
        (task.work / name).mkdir(parents=True, exist_ok=True)
        os.environ[f"nnUNet_{name}"] = str(task.work / name)
    raw = task.work / "raw" / _DATASET
    for folder, kind, tail in (("imagesTr", "images", "_0000"), ("labelsTr", "labels", "")):
        (raw / folder).mkdir(parents=True, exist_ok=True)
        for path in task.files(kind):
            shutil.copyfile(path, raw / folder / f"{path.name.removesuffix('.nii.gz')}{tail}.nii.gz")
    labels = {"background": 0} | {f"structure {n}": n for n in range(1, task.classes)}
    description = {"channel_names": {"0": "MR"}, "labels": labels, "numTraining": len(task.cases)}
    (raw / "dataset.json").write_text(json.dumps(description | {"file_ending": ".nii.gz"}))


def _planned_and_preprocessed(task: Task) -> dict:
    """Its plan, with the patch, the batch and the network of the comparison."""
    from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprints, plan_experiments, preprocess

    extract_fingerprints([1], num_processes=1)
    plan_experiments([1])
    path = task.work / "preprocessed" / _DATASET / "nnUNetPlans.json"
    plans = json.loads(path.read_text())
    configuration = plans["configurations"][_CONFIGURATION]
    configuration |= {"patch_size": list(task.patch), "batch_size": task.batch}
    depth = len(task.features)
    configuration["architecture"]["arch_kwargs"] |= {
        "n_stages": depth,
        "features_per_stage": list(task.features),
        "kernel_sizes": [[3, 3, 3]] * depth,
        "strides": [[1, 1, 1]] + [[2, 2, 2]] * (depth - 1),
        "n_conv_per_stage": [2] * depth,
        "n_conv_per_stage_decoder": [2] * (depth - 1),
    }
    path.write_text(json.dumps(plans))
    preprocess([1], configurations=[_CONFIGURATION], num_processes=[1])
    return plans
