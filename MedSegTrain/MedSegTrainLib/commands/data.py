"""medseg data: import what one has, look at it, split it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from MedSegDLLib.errors import InputError

from ..data import splits
from ..data.channels import available_channels, check_channels, proposed_channels
from ..data.dataset import SKIPPED, Dataset, Skipped, is_imported, open_dataset
from ..data.found import Findings
from ..data.importing import STRUCTURES, check_apart, import_dataset
from ..data.overview import CASE_COLUMNS, case_rows, counted, structure_summaries, text_table, warnings_of
from ..data.proposal import propose
from ..data.sources import find
from ..data.structure_files import read_table, write_table
from ..data.structures import NOT_ANNOTATED, StructureTable
from .numbers import at_least_one

SPLITS = "splits.json"

_SHOWN_OF_SKIPPED = 20
_ITS_FOLDER = "folder of a data set that was imported, or of image and label files"


def add_to(commands) -> None:
    """Add the verb `data` to the sub-commands of a parser."""
    data = commands.add_parser("data", help="import data, look at them, split them").add_subparsers(required=True)
    _add_import(data)
    inspect = data.add_parser("inspect", help="cases, structures and warnings of a data set")
    inspect.add_argument("dataset", type=Path, help=_ITS_FOLDER)
    inspect.set_defaults(run=_inspect)
    split = data.add_parser("split", help="split a data set by patient and write the splits")
    split.add_argument("dataset", type=Path, help=_ITS_FOLDER)
    split.add_argument("--folds", type=at_least_one, default=5, help="1: one split of 70, 15 and 15 %% (default: 5)")
    split.add_argument("--seed", type=int, default=0, help="another one gives another split (default: 0)")
    split.add_argument("--output", type=Path, help=f"JSON file (default: {SPLITS} in the data set)")
    split.set_defaults(run=_split)


def _add_import(data) -> None:
    parser = data.add_parser(
        "import",
        help="DICOM with RTSTRUCT or SEG, or image files with label files, to a data set",
        description="The first run writes a table of the structures to DATASET/structures.csv, for you to correct. The"
        " second run imports by it. An import that was interrupted goes on where it stopped.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", type=Path, help="folder of what is to be imported, searched with all below it")
    parser.add_argument("--output", type=Path, required=True, metavar="DATASET", help="folder of the data set")
    parser.add_argument("--structures", type=Path, help="table to import by (default: DATASET/structures.csv)")
    parser.add_argument("--accept", action="store_true", help="import at once by the table as it is proposed")
    parser.add_argument("--channels", nargs="+", default=(), help="images of each case, e.g. CT MR_T1 PET")
    parser.add_argument("--reference", default="", help="channel whose structures and grid count (default: the first)")
    parser.add_argument("--name", default="", help="of the data set (default: that of its folder)")
    parser.set_defaults(run=_import)


def _import(options) -> int:
    check_apart(options.source, options.output)
    with _progress("Looking") as progress:
        findings = find(options.source, progress)
    table = _table(options, findings)
    if table is None:
        return 0
    with _progress("Importing") as progress:
        dataset = import_dataset(
            findings, table, options.output, options.channels, options.reference, options.name, progress
        )
    _print_skipped(dataset.skipped, dataset.folder / SKIPPED)
    warned = sum(bool(case.facts and case.facts.warnings) for case in dataset.cases)
    if warned:
        print(f"There are warnings about {counted(warned, 'case')}: 'data inspect {dataset.folder}' shows them.")
    print(f"Wrote {dataset.folder}: {_size(dataset)}.")
    return 0


def _table(options, findings: Findings) -> StructureTable | None:
    """The table to import by; None where it was just proposed and wants to be looked at."""
    path = options.structures or options.output / STRUCTURES
    if path.exists() or options.structures:
        return read_table(path)
    table = propose(findings)
    if options.accept:
        return table
    channels = tuple(options.channels) or proposed_channels(findings)
    check_channels(channels, options.reference or channels[0], findings)
    write_table(table, path)
    _print_skipped(findings.skipped)
    images = [f"{name} ({counted(count, 'case')})" for name, count in available_channels(findings).items()]
    columns = ("name in data", "cases", "becomes", "value")
    print(f"Found: {findings.kind}, {counted(len(findings.cases), 'case')}. Images: {', '.join(images)}.")
    print(f"Channels: {' '.join(channels)}; others with --channels.\n")
    print(text_table(columns, [(row.name, row.cases, row.structure, row.value or "") for row in table.rows]))
    print(
        f"\nThis is a proposal. Correct it in {path}, then run the same command again to import:\n"
        "- 'structure' is the name in the model; rows of the same name become one structure; empty: leave it out;\n"
        f"  '{NOT_ANNOTATED}': nobody annotated these voxels.\n"
        "- 'when missing' is 'absent' where a case without it does not have it, else 'not contoured'.\n"
        "- Where structures overlap, the later row wins. --accept imports without this step."
    )
    return None


def _inspect(options) -> int:
    dataset = _opened(options.dataset)
    print(text_table(CASE_COLUMNS, case_rows(dataset)) + "\n")
    columns = ("structure", "value", "cases", "not contoured", "mean volume (ml)")
    rows = [
        (one.label.name, one.label.value, one.shown, one.not_contoured, f"{one.mean_ml:.3g}")
        for one in structure_summaries(dataset)
    ]
    print(text_table(columns, rows) + "\n")
    _print_skipped(dataset.skipped, dataset.folder / SKIPPED if is_imported(dataset.folder) else None)
    for warning in warnings_of(dataset):
        print(f"Warning: {warning}")
    print(f"{dataset.name}: {_size(dataset)}; channels: {', '.join(channel.name for channel in dataset.channels)}.")
    return 0


def _split(options) -> int:
    if not (options.output or is_imported(options.dataset)):
        raise InputError("The data are used where they lie, where nothing is written.", "Name a file with --output.")
    dataset = _opened(options.dataset)
    if options.folds == 1:
        made = (splits.single(dataset, seed=options.seed),)
    else:
        made = splits.k_fold(dataset, options.folds, options.seed)
    path = options.output or dataset.folder / SPLITS
    splits.write(path, made, dataset, options.seed)
    names = [label.name for label in dataset.labels]
    rows = [(n, part, len(cases), *means) for n, part, cases, means in _balance(made, dataset)]
    print(text_table(("fold", "part", "cases", *(f"{name} (mean ml)" for name in names)), rows))
    print(f"Wrote {path}.")
    return 0


def _balance(made: tuple[splits.Split, ...], dataset: Dataset) -> Iterator[tuple[int, str, list, list[str]]]:
    """Cases and mean volumes of each part of each fold."""
    for n, split in enumerate(made):
        splits.check(split, dataset)
        for part in ("train", "validation", "test"):
            cases = dataset.select(getattr(split, part))
            summaries = structure_summaries(replace(dataset, cases=tuple(cases)))
            yield n, part, cases, [f"{one.mean_ml:.3g}" for one in summaries]


def _opened(path: Path) -> Dataset:
    with _progress("Looking") as progress:
        return open_dataset(path, progress=progress)


def _print_skipped(skipped: Sequence[Skipped], file: Path | None = None) -> None:
    """The first of them where all are in a file, else all."""
    if not skipped:
        return
    shown = skipped[:_SHOWN_OF_SKIPPED] if file else skipped
    print(text_table(("skipped", "why"), [(item.what, item.why) for item in shown]))
    if len(skipped) > len(shown):
        print(f"... and {len(skipped) - len(shown)} more, see {file}")
    print()


def _size(dataset: Dataset) -> str:
    patients = len({case.patient for case in dataset.cases})
    cases, structures = counted(len(dataset.cases), "case"), counted(len(dataset.labels), "structure")
    return f"{cases} of {counted(patients, 'patient')}, {structures}"


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int, str], None]]:
    """A bar that appears with the first step."""
    with tqdm(desc=what, unit=" cases", leave=False, disable=None) as bar:

        def step(done: int, total: int, name: str) -> None:
            bar.total = total
            bar.set_postfix_str(name, refresh=False)
            bar.update(done - bar.n)

        yield step
