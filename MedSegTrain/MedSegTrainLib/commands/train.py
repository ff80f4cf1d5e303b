"""train: a network on a data set, or a recipe. pause, continue, stop, status: of a training that runs."""

from __future__ import annotations

import argparse
from pathlib import Path

from MedSegDLLib.errors import InputError

_TRAIN_EPILOG = """\
examples:
  train --dataset DATASET --network unet-3d --preset modern --output RUN
      splits the data by patient, plans patch and spacing, trains, and writes a model into RUN/bundle;
      the same command goes on where a training stopped or was killed
  train --dataset DATASET --network unet --dims 2 --preset papers --fold 3 --set optimisation.epochs=50 --output RUN
  train RUN/recipe.yaml --dataset DATASET --output OTHER
  train hippocampus-mr.yaml --data FOLDER --output MODELS
      a recipe that says itself where its cases come from

A training without a GPU takes very long, and needs --cpu.
"""


def add_to(commands) -> None:
    """Add the verbs to argparse's subparsers."""
    _add_train(commands)
    for request, does in (
        ("pause", "have a training wait, with all it holds in memory"),
        ("continue", "have a paused training go on"),
        ("stop", "have a training save and end; its first command goes on"),
    ):
        ask = commands.add_parser(request, help=does)
        ask.add_argument("run_folder", type=Path, metavar="RUN")
        ask.set_defaults(run=_ask, request=request)
    status = commands.add_parser("status", help="say how a training stands")
    status.add_argument("run_folder", type=Path, metavar="RUN")
    status.set_defaults(run=_status)


def _add_train(commands) -> None:
    train = commands.add_parser(
        "train",
        help="train a network on a data set, or a recipe, and write the model",
        epilog=_TRAIN_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    train.add_argument("recipe", type=Path, nargs="?", help="a recipe (.yaml) in place of --network and --preset")
    train.add_argument("--output", type=Path, required=True, help="folder of the training and its model")
    data = train.add_argument_group("data")
    data.add_argument("--dataset", type=Path, help="a data set's folder")
    data.add_argument("--folds", type=int, default=5, help="default: 5; 1: a single split, 70/15/15")
    data.add_argument("--fold", type=int, default=0, help="which is held back to judge on (default: 0)")
    data.add_argument("--split-seed", type=int, default=0)
    data.add_argument("--cache", type=Path, help="folder of prepared cases, which trainings share")
    data.add_argument("--data", type=Path, help="folder with images/ and labels/, for a recipe that reads such")
    what = train.add_argument_group("what to train")
    what.add_argument("--network", help="a name of 'medseg networks'")
    what.add_argument("--dims", type=int, choices=(2, 3), default=3, help="slices or volumes (default: 3)")
    what.add_argument("--plan", type=Path, metavar="YAML", help="a plan of 'medseg plan', edited or not")
    what.add_argument("--memory", type=float, default=8.0, metavar="GB", help="to plan for (default: 8)")
    what.add_argument("--preset", default="modern", help="papers or modern (default: modern)")
    what.add_argument("--name", default="", help="of the model")
    set_help = "a value that wins, such as optimisation.steps=100; may be said again"
    what.add_argument("--set", action="append", default=[], metavar="ENTRY=VALUE", dest="settings", help=set_help)
    what.add_argument("--initial", type=Path, metavar="BUNDLE", help="start from this model's weights")
    where = train.add_argument_group("where, and what then")
    where.add_argument("--cpu", action="store_true", help="train on the CPU if there is no GPU")
    where.add_argument("--devices", default="auto", help="auto, cpu, gpu, or how many GPUs of each computer")
    where.add_argument("--nodes", type=int, default=1, help="computers that train together, as SLURM starts them")
    where.add_argument("--threads", type=int, help="processor cores for the network")
    where.add_argument("--workers", type=int, default=0, help="processes that make patches beside the training")
    where.add_argument("--estimate", action="store_true", help="only say what time and memory it would take")
    where.add_argument("--install", action="store_true", help="offer the model in MedSegDL")
    where.add_argument("--runs", type=Path, default=Path("runs"), help="with --data: checkpoints go to RUNS/<name>")
    train.set_defaults(run=_train)


def _train(options) -> int:
    from ..training.run_command import train_dataset, train_recipe

    if options.dataset:
        if not (options.recipe or options.network or options.plan):
            raise InputError("It is not said what to train.", "Name a network with --network, a plan or a recipe.")
        return train_dataset(options)
    if not options.recipe:
        raise InputError("It is not said what to train on.", "Name a data set with --dataset, or a recipe.")
    return train_recipe(options)


def _ask(options) -> int:
    from ..training.run_folder import RunFolder

    RunFolder(options.run_folder).ask(options.request)
    print(f"Asked to {options.request}.")
    return 0


def _status(options) -> int:
    from ..training.run_folder import WITH_A_PROCESS, RunFolder

    folder = RunFolder(options.run_folder)
    status = folder.status()
    state = status.state
    if state in WITH_A_PROCESS and not status.has_process:
        state = f"interrupted while {state}; the command that started it goes on"
    print(f"{state}. {status.message}".strip())
    if status.steps:
        print(f"Step {status.step} of {status.steps}, epoch {status.epoch} of {status.epochs}.")
    return 0
