"""python -m MedSegTrainLib: train a recipe, judge a bundle."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from MedSegDLLib.errors import MedSegError


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except MedSegError as error:
        print(f"medseg: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m MedSegTrainLib", description=__doc__)
    commands = parser.add_subparsers(required=True)
    train = commands.add_parser("train", help="train a recipe and write its bundle")
    train.add_argument("recipe", type=Path)
    train.add_argument("--data", type=Path, help="folder with images/ and labels/")
    train.add_argument("--runs", type=Path, default=Path("runs"), help="checkpoints go to RUNS/<name>")
    train.add_argument("--output", type=Path, required=True, help="folder in which the bundle is made")
    train.add_argument("--threads", type=int, default=None, help="processor cores for the network")
    train.add_argument("--workers", type=int, default=0, help="processes that augment beside the training")
    train.set_defaults(run=_train)
    evaluate = commands.add_parser("evaluate", help="Dice of a bundle on the cases its recipe held back")
    evaluate.add_argument("recipe", type=Path)
    evaluate.add_argument("--data", type=Path, help="folder with images/ and labels/")
    evaluate.add_argument("--bundle", type=Path, required=True)
    evaluate.add_argument("--output", type=Path, help="CSV file with a row a case")
    evaluate.set_defaults(run=_evaluate)
    return parser


def _train(options) -> int:
    from .training.export import export_bundle
    from .training.recipe import read_recipe
    from .training.train import train

    if options.threads:
        import torch

        torch.set_num_threads(options.threads)
    recipe = read_recipe(options.recipe)
    checkpoint = train(recipe, options.runs / recipe.name, options.data, options.workers)
    bundle = export_bundle(recipe, checkpoint, options.output / recipe.name)
    print(f"Wrote {bundle.folder}, {bundle.size_bytes / 1e6:.1f} MB.")
    return 0


def _evaluate(options) -> int:
    from .evaluation.evaluate import evaluate_bundle, held_back_cases, record_results, write_scores
    from .training.recipe import read_recipe

    recipe = read_recipe(options.recipe)
    scores = evaluate_bundle(options.bundle, held_back_cases(recipe, options.data))
    if options.output:
        write_scores(options.output, scores)
    results = record_results(options.bundle, scores, recipe)
    print(results)
    return 0
