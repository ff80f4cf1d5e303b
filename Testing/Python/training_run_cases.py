"""Trainings of seconds, and a process that does one: python training_run_cases.py FOLDER [--kill-at N]."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from MedSegTrainLib.data.samples import Sample, prepare_sample
from MedSegTrainLib.training.recipe import Recipe
from training_makers import balls, recipe_data

ROOT = Path(__file__).resolve().parents[2]


def tiny_recipe(**changes) -> Recipe:
    """60 steps of two patches, in epochs of 25 steps, with a checkpoint every 10; `changes` by part of the recipe."""
    data = recipe_data(validation={"patches": 6}, checkpoints={"every_steps": 10})
    data["optimisation"] = data["optimisation"] | {"steps": 60, "steps_per_epoch": 25, "precision": "f32"}
    for part, entries in changes.items():
        data[part] = data.get(part, {}) | entries
    return Recipe(**data)


def samples(recipe: Recipe, seeds) -> list[Callable[[], Sample]]:
    """One function a pair of balls."""
    made = [prepare_sample(*balls(seed), recipe.spec) for seed in seeds]
    return [lambda sample=sample: sample for sample in made]


def training_process(folder: Path, *arguments: str, **variables: str) -> subprocess.Popen:
    """A process that trains in `folder`; `variables` are of its environment."""
    paths = [str(ROOT / name) for name in ("MedSegDL", "MedSegTrain")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)} | variables
    command = [sys.executable, __file__, str(folder), *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


class Deadly:
    """A sample that ends its process, as nothing can prevent, when it is asked for too often."""

    def __init__(self, sample: Callable[[], Sample], asked: list, most: int):
        self._sample, self._asked, self._most = sample, asked, most

    def __call__(self) -> Sample:
        self._asked.append(1)
        if len(self._asked) > self._most:
            os.kill(os.getpid(), signal.SIGKILL)
        return self._sample()


def deadly(samples: list, most: int) -> list:
    asked = []
    return [Deadly(sample, asked, most) for sample in samples]


def main() -> None:
    from MedSegTrainLib.training.train import train

    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kill-at", type=int, default=10**9, help="patches after which the process is killed")
    parser.add_argument("--kill-validating-at", type=int, default=10**9, help="the same, of patches to validate on")
    parser.add_argument("--devices", default="1")
    options = parser.parse_args()
    recipe = tiny_recipe()
    training = deadly(samples(recipe, range(3)), options.kill_at)
    validation = deadly(samples(recipe, (7, 8)), options.kill_validating_at)
    train(recipe, options.folder, training, validation, devices=options.devices, allow_cpu=True)


if __name__ == "__main__":
    main()
