"""train: a network on a data set, or a recipe. pause, continue, stop, status: of a training that runs."""

from __future__ import annotations

import argparse
from pathlib import Path

from MedSegDLLib.errors import InputError

from .numbers import at_least_one, at_least_zero, positive

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


_ITS_FOLDER = "what --output was for 'train'"


def add_to(commands) -> None:
    """Add the verbs to argparse's subparsers."""
    _add_train(commands)
    for request, does in (
        ("pause", "have a training wait, with all it holds in memory"),
        ("continue", "have a paused training go on"),
        ("stop", "have a training save and end; its first command goes on"),
    ):
        ask = commands.add_parser(request, help=does)
        ask.add_argument("run_folder", type=Path, metavar="RUN", help=_ITS_FOLDER)
        ask.set_defaults(run=_ask, request=request)
    status = commands.add_parser("status", help="say how a training stands")
    status.add_argument("run_folder", type=Path, metavar="RUN", help=_ITS_FOLDER)
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
    data.add_argument("--folds", type=at_least_one, help="default: the recipe's, or 5; 1: a single split, 70/15/15")
    data.add_argument("--fold", type=at_least_zero, help="which is held back to judge on (default: the recipe's, or 0)")
    data.add_argument("--split-seed", type=int, help="another one gives another split (default: the recipe's, or 0)")
    split_help = "splits of 'data split', in place of --folds and --split-seed"
    data.add_argument("--split", type=Path, metavar="JSON", help=split_help)
    data.add_argument("--cache", type=Path, help="folder of prepared cases, which trainings share")
    data.add_argument("--data", type=Path, help="folder with images/ and labels/, for a recipe that reads such")
    what = train.add_argument_group("what to train")
    what.add_argument("--network", help="a name of 'medseg networks'")
    what.add_argument("--dims", type=int, choices=(2, 3), help="slices or volumes (default: 3)")
    what.add_argument("--plan", type=Path, metavar="YAML", help="a plan of 'medseg plan', edited or not")
    what.add_argument("--memory", type=positive, metavar="GB", help="to plan for (default: 8)")
    what.add_argument("--preset", help="papers or modern (default: modern)")
    what.add_argument("--name", help="of the model")
    set_help = "a value that wins, such as optimisation.steps=100; may be said again"
    what.add_argument("--set", action="append", default=[], metavar="ENTRY=VALUE", dest="settings", help=set_help)
    initial_help = "start from this model's weights: its folder, or an installed model's name"
    what.add_argument("--initial", metavar="BUNDLE", help=initial_help)
    where = train.add_argument_group("where, and what then")
    where.add_argument("--cpu", action="store_true", help="train on the CPU if there is no GPU")
    where.add_argument("--devices", default="auto", help="auto, cpu, gpu, or how many GPUs of each computer")
    where.add_argument(
        "--nodes", type=at_least_one, default=1, help="computers that train together, as SLURM starts them"
    )
    where.add_argument("--threads", type=at_least_one, help="processor cores for the network")
    where.add_argument(
        "--workers", type=at_least_zero, default=0, help="processes that make patches beside the training"
    )
    where.add_argument("--estimate", action="store_true", help="only say what time and memory it would take")
    where.add_argument("--install", action="store_true", help="offer the model in MedSegDL")
    where.add_argument("--runs", type=Path, default=Path("runs"), help="with --data: checkpoints go to RUNS/<name>")
    train.set_defaults(run=_train)


def _train(options) -> int:
    from ..training.run_command import train_dataset, train_recipe

    _check_needed(options)
    if options.dataset:
        if not (options.recipe or options.network or options.plan):
            raise InputError("It is not said what to train.", "Name a network with --network, a plan or a recipe.")
        return train_dataset(options)
    if not options.recipe:
        raise InputError("It is not said what to train on.", "Name a data set with --dataset, or a recipe.")
    return train_recipe(options)


def _check_needed(options) -> None:
    """What a recipe or a plan says already is not passed over in silence."""
    planned = ("network", "dims", "memory")
    useless = (*planned, "preset", "name", "plan") if options.recipe else planned if options.plan else ()
    given = [f"--{name}" for name in useless if getattr(options, name) is not None]
    if given:
        what = "recipe" if options.recipe else "plan"
        remedy = "Leave it out; --set changes single values of a recipe." if options.recipe else "Leave it out."
        raise InputError(f"The {what} says already what {' and '.join(given)} would.", remedy)


def _ask(options) -> int:
    from ..training.run_folder import RunFolder

    RunFolder(options.run_folder).ask(options.request)
    print(f"Asked to {options.request}.")
    return 0


def _status(options) -> int:
    from MedSegDLLib.interaction.measures import seconds_text

    from ..training.run_folder import WAITING, WITH_A_PROCESS, RunFolder

    status = RunFolder(options.run_folder).status()
    state = status.state
    if state == WAITING:
        raise InputError(f"No training has begun in '{options.run_folder}'.", "Name the folder after --output.")
    if state in WITH_A_PROCESS and not status.has_process:
        state = f"interrupted while {state}; start it again by its first command, and it goes on"
    print(f"{state}. {status.message}".strip())
    if status.steps:
        print(f"Step {status.step} of {status.steps}, epoch {status.epoch} of {status.epochs}.")
    if status.has_process and status.remaining_seconds:
        print(f"About {seconds_text(status.remaining_seconds)} left.")
    return 0
