"""MedSegTrain as its command line trains, in float32: cache, patches, Lightning's loop, journal and checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import torch

from MedSegTrainLib.data.cache import SampleCache
from MedSegTrainLib.data.dataset import open_dataset
from MedSegTrainLib.data.fingerprint import fingerprint
from MedSegTrainLib.data.planning import plan
from MedSegTrainLib.training.machine import autocast
from MedSegTrainLib.training.module import SegmentationModule
from MedSegTrainLib.training.patches import Patches, patch_loader
from MedSegTrainLib.training.recipe import Recipe, make_recipe
from MedSegTrainLib.training.train import Samples, train

from . import Clock, Measured, Task, repeated

_STEPS = 100_000  # more than there is time for: the clock ends the training


def run(task: Task, seconds: float, precision: str = "f32") -> Measured:
    begin = time.perf_counter()
    recipe, samples = _prepared(task, precision)
    prepare_s = time.perf_counter() - begin
    clock = Clock(seconds)

    def on_train_batch_end(module: SegmentationModule, *_) -> None:
        module.trainer.should_stop = not clock.tick()

    SegmentationModule.on_train_batch_end = on_train_batch_end
    train(recipe, task.work / "training", samples, allow_cpu=True)
    return Measured(prepare_s, clock.found, repeated(_step_on_one_batch(recipe, samples), seconds / 2))


def _prepared(task: Task, precision: str) -> tuple[Recipe, Samples]:
    """Planned and cached, with the network, patch and batch of the comparison."""
    data = open_dataset(task.folder)
    data = replace(data, cases=data.select(name.split(".")[0] for name in task.cases))
    facts = fingerprint(data.cases, data.labels, data.channels)
    network = {"features": list(task.features), "deep_supervision": True}
    planned = plan(facts, data, "nnunet", 3, network, overrides={"patch": task.patch[::-1]})
    optimisation = {"batch": task.batch, "steps": _STEPS, "precision": precision}
    recipe = make_recipe("benchmark", planned.specification, {}, "modern", {"optimisation": optimisation})
    return recipe, SampleCache(task.work / "cache", recipe.spec).samples(data.cases)


def _step_on_one_batch(recipe: Recipe, samples: Samples) -> Callable[[], None]:
    """Network, loss and optimiser as the training has them, without Lightning."""
    plan_of_it = recipe.optimisation
    patches = Patches(samples, recipe.spec, recipe.augmentation, batch=plan_of_it.batch)
    batch = next(iter(patch_loader(patches, plan_of_it.batch, _STEPS)))
    module = SegmentationModule(recipe, _STEPS).train()
    batch = module.on_before_batch_transfer(batch, 0)
    optimiser = module.configure_optimizers()["optimizer"]

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        with autocast(torch.device("cpu"), plan_of_it.precision):
            loss = module.training_loss(batch, 0.0)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), plan_of_it.clip)
        optimiser.step()

    return step
