"""Bring what was found into one form: a folder a case, every channel and the labels on one grid.

DATASET/dataset.json, skipped.csv, structures.csv
DATASET/cases/NAME/CHANNEL.nii.gz, label.nii.gz, instances.nii.gz, case.json
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from MedSegDLLib.errors import CancelledError, InputError, OutputError

from .case import Case
from .case_folder import CaseWriter, remove_leftovers
from .channels import Assembled, assemble, channels_of, check_channels, proposed_channels
from .dataset import DATASET, SKIPPED, Dataset, Skipped, is_imported, write_skipped
from .found import Findings
from .structure_files import write_table
from .structures import StructureTable

CASES, STRUCTURES = "cases", "structures.csv"

Progress = Callable[[int, int, str], None]
Cancelled = Callable[[], bool]


def import_dataset(
    findings: Findings,
    table: StructureTable,
    output: Path | str,
    channels: Sequence[str] = (),
    reference: str = "",
    name: str = "",
    progress: Progress | None = None,
    cancelled: Cancelled | None = None,
) -> Dataset:
    """Write a data set of what was found. A second run goes on where an interrupted one stopped.

    A case is written whole or not at all, and again only if its files, the table or the channels changed. What cannot
    be used is in `skipped` of the result, with the reason.

    Args:
        output: a folder, made where it is missing.
        channels: names of the images of a case, in order; by default what the source says, else one modality.
        reference: the channel whose structures and grid count; by default the first.
        name: of the data set; by default that of the folder.
        progress: called with cases done, their number, and the name of the next.

    Raises:
        InputError: no case could be imported; skipped.csv says why.
        OutputError: the folder cannot be written to, or the disk is full; finished cases stay.
        CancelledError: finished cases stay.
    """
    output = Path(output)
    _check_not_in_use(output)
    channels = tuple(channels) or proposed_channels(findings)
    reference = reference or channels[0]
    check_channels(channels, reference, findings)
    write_table(table, output / STRUCTURES)
    assembled, skipped = _assembled(findings, channels, reference)
    skipped += _without_row(findings, table)
    remove_leftovers(output / CASES)
    writer = CaseWriter(output / CASES, table, channels)
    known = len(skipped)
    cases = list(_imported(assembled, writer, skipped, progress, cancelled))
    if not cases:
        write_skipped(output / SKIPPED, skipped)
        raise _nothing_imported(output, skipped[known:] or skipped)
    dataset = Dataset(
        folder=output,
        name=name or output.name,
        channels=channels_of(channels, findings),
        labels=table.labels,
        cases=tuple(cases),
        skipped=tuple(skipped),
        about=findings.about,
    )
    dataset = _without_empty_structures(dataset)
    dataset.write()
    return dataset


def check_apart(source: Path, output: Path) -> None:
    """Raise InputError where a data set would come to lie among the data that it is made from."""
    source, output = source.resolve(), output.resolve()
    if output == source or source in output.parents:
        raise InputError(f"'{output}' lies in the folder that is imported.", "Choose a folder beside it.")


def _check_not_in_use(output: Path) -> None:
    if (output / DATASET).is_file() and not is_imported(output):
        raise OutputError(
            f"'{output}' has a {DATASET} of another program, which would be replaced.", "Choose another folder."
        )


def _without_row(findings: Findings, table: StructureTable) -> list[Skipped]:
    """Structures of the data that the table does not know, as when data came after it was made."""
    found = dict.fromkeys(one for case in findings.cases for drawing in case.drawings for one in drawing.structures)
    names = dict.fromkeys(one.name for one in found if table.row_of(one) is None)
    why = "The table of structures has no row for it. Add one, or let the table be proposed again."
    return [Skipped(f"structure '{name}' of the data", why) for name in names]


def _assembled(findings: Findings, channels, reference: str) -> tuple[list[Assembled], list[Skipped]]:
    found, skipped = [], list(findings.skipped)
    for case in findings.cases:
        assembled, left_out = assemble(case, channels, reference)
        found += assembled
        skipped += left_out
    return found, skipped


def _imported(assembled: list[Assembled], writer: CaseWriter, skipped: list[Skipped], progress, cancelled):
    first_of: dict[str, str] = {}
    for n, one in enumerate(assembled):
        if cancelled and cancelled():
            raise CancelledError("The import was cancelled.", "Start it again: it goes on after the finished cases.")
        if progress:
            progress(n, len(assembled), one.name)
        try:
            case, digest = writer.case(one)
        except InputError as reason:
            skipped.append(Skipped(one.name, str(reason)))
            continue
        except OutputError as reason:
            goes_on = "Then start the same import again: it goes on after the cases that are finished."
            raise OutputError(
                f"The case '{one.name}' could not be written. {reason.message}",
                f"{reason.remedy} {goes_on}",
                reason.details,
            ) from reason
        first = first_of.setdefault(digest, one.name)
        if first == one.name:
            yield case
        else:
            skipped.append(Skipped(one.name, f"It is the same image as '{first}'."))


def _without_empty_structures(dataset: Dataset) -> Dataset:
    """Nothing can be learned of a structure that no case shows."""
    shown = {name for case in dataset.cases for name, ml in case.facts.volumes_ml.items() if ml > 0}
    empty = [label.name for label in dataset.labels if label.name not in shown]
    if not empty:
        return dataset
    return replace(
        dataset,
        labels=tuple(label for label in dataset.labels if label.name in shown),
        cases=tuple(_without(case, empty) for case in dataset.cases),
        skipped=(*dataset.skipped, *(Skipped(f"structure '{name}'", "No case shows it.") for name in empty)),
    )


def _without(case: Case, names: list[str]) -> Case:
    volumes = {name: ml for name, ml in case.facts.volumes_ml.items() if name not in names}
    return replace(case, not_contoured=case.not_contoured - set(names), facts=replace(case.facts, volumes_ml=volumes))


def _nothing_imported(output: Path, skipped: list[Skipped]) -> InputError:
    first = f" The first, '{skipped[0].what}': {skipped[0].why}" if skipped else ""
    return InputError(
        f"Not a single case could be imported.{first}",
        f"Correct the data, the table of structures or the channels; all reasons are in '{output / SKIPPED}'.",
        "\n".join(f"{item.what}: {item.why}" for item in skipped),
    )
