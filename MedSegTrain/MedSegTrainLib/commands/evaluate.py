"""evaluate: how good a model is on cases with a known truth."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

from MedSegDLLib.errors import InputError

from .numbers import at_least_one, at_least_zero, positive

_EVALUATE_EPILOG = """\
examples:
  evaluate hippocampus-mr.yaml --data FOLDER --bundle MODELS/hippocampus-mr
      the cases that the recipe held back; the mean Dice goes into the bundle and its model card
  evaluate DATASET --bundle RUN/bundle --split RUN/splits.json --fold 0 --output rows.csv --record
      what a training held back; the same command, started again, goes on where it was interrupted

The table has a row for each case and structure. A structure that was missed has Dice 0 and no distance, and is
counted; one that neither truth nor result has, or that nobody contoured, does not count.
"""


def add_to(commands) -> None:
    """Add the verb to argparse's subparsers."""
    evaluate = commands.add_parser(
        "evaluate",
        help="judge a model on cases with a known truth",
        epilog=_EVALUATE_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    evaluate.add_argument("source", type=Path, help="a data set's folder, or a recipe (.yaml): the cases it held back")
    evaluate.add_argument("--bundle", required=True, help="the model's folder, or an installed model's name")
    evaluate.add_argument("--data", type=Path, help="with a recipe: folder with images/ and labels/")
    evaluate.add_argument("--split", type=Path, help="file of splits; without it all cases are judged")
    evaluate.add_argument("--fold", type=at_least_zero, default=0, help="which split of the file (default: 0)")
    part_help = "of the split (default: test)"
    evaluate.add_argument("--part", choices=("train", "validation", "test"), default="test", help=part_help)
    evaluate.add_argument(
        "--same-values", action="store_true", help="the data's label values are the model's, whatever their names"
    )
    evaluate.add_argument("--output", type=Path, help="CSV file with a row for each case and structure")
    record_help = "write the mean Dice into the bundle and its model card; with a recipe it always is"
    evaluate.add_argument("--record", action="store_true", help=record_help)
    evaluate.add_argument(
        "--tolerance", type=positive, action="append", metavar="MM", help="of surface Dice; repeatable"
    )
    evaluate.add_argument("--band", type=positive, default=2.0, metavar="MM", help="of boundary accuracy (default: 2)")
    evaluate.add_argument("--device", help="auto, cpu, cuda, cuda:1 (default: auto; with a recipe: cpu)")
    evaluate.add_argument("--threads", type=at_least_one, help="processor cores for the network (default: all)")
    evaluate.set_defaults(run=_evaluate)


def _evaluate(options) -> int:
    settings = _settings(options)
    if options.source.suffix in (".yaml", ".yml"):
        return _evaluate_recipe(options, settings)
    return _evaluate_dataset(options, settings)


def _settings(options):
    from ..evaluation.metrics import Settings

    tolerances = tuple(options.tolerance) if options.tolerance else Settings.tolerances_mm
    return Settings(tolerances_mm=tolerances, band_mm=options.band)


def _evaluate_recipe(options, settings) -> int:
    from MedSegDLLib.engine.predictor import Predictor
    from MedSegDLLib.models import find_model

    from ..evaluation.evaluate import evaluate
    from ..evaluation.results import Measured, held_back_cases, record_results
    from ..evaluation.rows import write_rows
    from ..training.recipe import read_recipe

    if options.split or options.device not in (None, "cpu"):
        raise InputError(
            "A recipe's cases are those it held back, judged on the CPU.", "Leave out --split and --device."
        )
    recipe = read_recipe(options.source)
    cases = held_back_cases(recipe, options.data)
    predictor = Predictor(find_model(options.bundle), "cpu", threads=options.threads)
    with _progress_bar() as progress:
        rows = evaluate(predictor, cases, predictor.bundle.spec.labels, settings=settings, progress=progress)
    if options.output:
        write_rows(options.output, rows)
    how = Measured.by_recipe(recipe, predictor.report.precision)
    print(record_results(predictor.bundle.folder, rows, recipe, how))
    return _status(rows)


def _evaluate_dataset(options, settings) -> int:
    from MedSegDLLib.engine.predictor import Predictor
    from MedSegDLLib.models import find_model

    from ..data.dataset import open_dataset
    from ..evaluation.evaluate import Renumbered, evaluate
    from ..evaluation.row_file import RowFile
    from ..evaluation.tables import structure_table, text

    bundle = find_model(options.bundle)
    dataset = open_dataset(options.source, bundle.spec.labels if options.same_values else None)
    predictor = Predictor(bundle, options.device or "auto", threads=options.threads)
    segmenter = Renumbered(predictor, bundle.spec.labels, dataset.labels)
    _name_what_is_left_out(bundle, dataset, segmenter.labels)
    cases, splits = _cases(options, dataset)
    _check_new_to_it(options, bundle, dataset, splits)
    output = RowFile(options.output, _about(options, dataset, segmenter, bundle, settings)) if options.output else None
    with _progress_bar() as progress:
        rows = evaluate(segmenter, cases, segmenter.labels, settings=settings, output=output, progress=progress)
    print(text(structure_table(rows, _measures(settings))))
    for row in {row.case: row for row in rows if row.reason}.values():
        print(f"{row.case} ({row.status}): {row.reason}")
    if options.record:
        _record(options, predictor, dataset, rows)
    return _status(rows)


def _measures(settings) -> tuple[str, ...]:
    from ..evaluation.definitions import at_tolerance

    surfaces = [at_tolerance("nsd", tolerance) for tolerance in settings.tolerances_mm]
    return ("dice", "iou", "hd95_mm", "assd_mm", *surfaces, "sensitivity", "precision", "relative_volume_error")


def _cases(options, dataset) -> tuple[Sequence, int]:
    """The cases to judge, and into how many splits the file divides them; 0 without a file."""
    from ..data import splits

    if options.split is None:
        return dataset.cases, 0
    found = splits.read(options.split, dataset)
    if not 0 <= options.fold < len(found):
        raise InputError(f"'{options.split}' has {len(found)} splits.", f"Choose a fold from 0 to {len(found) - 1}.")
    return dataset.select(getattr(found[options.fold], options.part)), len(found)


def _check_new_to_it(options, bundle, dataset, splits: int) -> None:
    """Say if the model has seen the cases; raise InputError where such figures are to be recorded."""
    from ..evaluation.results import trained_on
    from ..training.model_card import recipe_of

    recipe = recipe_of(bundle)
    if options.record and recipe is None:
        raise InputError(
            f"'{bundle.folder}' does not say by which recipe it was made, so nothing can be recorded in it.",
            "Leave out --record, or use the bundle of a training of MedSegTrain.",
        )
    known = trained_on(recipe, dataset.name, splits, options.fold, options.part)
    if known and options.record:
        raise InputError(known, "Name that part with --split and --fold, or leave out --record.")
    if known:
        print(f"Warning: {known}")


def _record(options, predictor, dataset, rows) -> None:
    from ..evaluation.results import Measured, record_results
    from ..training.model_card import recipe_of

    bundle, part = predictor.bundle, ""
    split = f"All cases of the data set '{dataset.name}'."
    if options.split:
        part = f" --split {options.split.name} --fold {options.fold} --part {options.part}"
        split = f"The part '{options.part}' of split {options.fold} of the data set '{dataset.name}'."
    command = f"python -m MedSegTrainLib evaluate DATASET --bundle MODEL{part}"
    device = predictor.device.partition(": ")[2]
    how = Measured(split, command, predictor.report.precision, device)
    results = record_results(bundle.folder, rows, recipe_of(bundle), how)
    print(f"Recorded in {bundle.folder}: mean Dice {results['mean_dice']:.4f}.")


def _name_what_is_left_out(bundle, dataset, judged: Sequence) -> None:
    names = {label.name.casefold() for label in judged}
    for owner, labels in ((f"model '{bundle.name}'", bundle.spec.labels), (f"data '{dataset.name}'", dataset.labels)):
        rest = [label.name for label in labels if label.name.casefold() not in names]
        if rest:
            print(f"Not judged, because only the {owner} has them: {', '.join(rest)}.")


def _about(options, dataset, segmenter, bundle, settings) -> dict:
    from ..evaluation.row_file import settings_in_words

    split = None
    if options.split:
        split = {"file": options.split.name, "fold": options.fold, "part": options.part}
    return {
        "method": bundle.name,
        "model": {"version": bundle.version, "files": bundle.checksums},
        "data": dataset.name,
        "structures": [label.name for label in segmenter.labels],
        "split": split,
        "settings": settings_in_words(settings),
    }


@contextmanager
def _progress_bar():
    """Something to call with (cases done, cases in all, the next case's name), drawn as a bar with remaining time."""
    from tqdm import tqdm

    with tqdm(unit="case", disable=None) as bar:

        def show(done: int, total: int, name: str) -> None:
            bar.total, bar.n = total, done
            bar.set_postfix_str(name)

        yield show


def _status(rows) -> int:
    """1 where something failed, though the rest is done."""
    from ..evaluation.rows import DAMAGED, FAILED

    return int(any(row.status in (FAILED, DAMAGED) for row in rows))
