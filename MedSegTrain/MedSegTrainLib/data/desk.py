"""What the window asks about data, answered in plain entries: what there is, what became of it, what a case looks like.

It runs where it cannot hold up the window: in a process of its own (`desk_process`), or on a thread for what was copied
out of the scene.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from MedSegDLLib.errors import InputError

from .channels import available_channels, proposed_channels
from .dataset import Dataset, is_imported
from .found import Findings, FoundCase
from .importing import check_apart, import_dataset
from .overview import structure_summaries, warnings_of
from .preview import picture, write_picture
from .proposal import propose
from .sources import find, find_files
from .structure_files import read_table, write_table
from .structures import color_of

Progress = Callable[[int, int, str], None]
Cancelled = Callable[[], bool]


class DataDesk:
    """Holds what was found last, or the data set that was opened or made last.

    Args:
        findings: what is there to begin with.
    """

    def __init__(self, findings: Findings | None = None):
        self._findings = findings
        self._source: Path | None = None
        self._dataset: Dataset | None = None

    def answer(self, question: dict[str, Any], progress: Progress, cancelled: Cancelled) -> dict[str, Any]:
        """Do what `question["ask"]` says with its other entries.

        look      folder, or files; table: a CSV file to write the proposed structure table to
        tell      of the findings it began with; table
        import    table, output, channels, name
        picture   case, output: a PNG file

        Returns what `told_findings`, `told_dataset` or the picture's path say. Raises MedSegError.
        """
        ask, given = question["ask"], {key: value for key, value in question.items() if key not in ("ask", "id")}
        if ask == "look":
            return self._look(progress, cancelled, **given)
        if ask == "tell":
            return self._tell(**given)
        if ask == "import":
            return self._import(progress, cancelled, **given)
        if ask == "picture":
            return self._picture(**given)
        raise ValueError(f"nobody answers '{ask}'")

    def _look(self, progress, cancelled, table: str, folder: str = "", files: list[str] | None = None) -> dict:
        self._findings = self._dataset = self._source = None
        if files is not None:
            self._findings = find_files(files)
        elif is_imported(Path(folder)):
            self._dataset = Dataset.read(Path(folder))
            return told_dataset(self._dataset)
        else:
            self._source = Path(folder)
            self._findings = find(self._source, progress, cancelled)
        return self._tell(table)

    def _tell(self, table: str) -> dict:
        write_table(propose(self._findings), table)
        return told_findings(self._findings)

    def _import(self, progress, cancelled, table: str, output: str, channels: list[str], name: str = "") -> dict:
        if self._findings is None:  # they were lost with a process that did not listen to a cancel
            raise InputError("The data are no longer at hand.", "Look at them again, then import.")
        if self._source:
            check_apart(self._source, Path(output))
        corrected = read_table(table)
        self._dataset = import_dataset(
            self._findings, corrected, output, channels, name=name, progress=progress, cancelled=cancelled
        )
        return told_dataset(self._dataset)

    def _picture(self, case: str, output: str) -> dict:
        rgb = _of_dataset(self._dataset, case) if self._dataset else _of_findings(self._findings, case)
        write_picture(Path(output), rgb)
        return {"picture": output}


def told_findings(findings: Findings) -> dict:
    """For JSON: what could be imported."""
    return {
        "kind": findings.kind,
        "channels": list(proposed_channels(findings)),
        "available": available_channels(findings),
        "cases": [_told_case(case) for case in findings.cases],
        "skipped": [[item.what, item.why] for item in findings.skipped],
    }


def told_dataset(dataset: Dataset) -> dict:
    """For JSON: the data set, its cases and structures."""
    return {
        "folder": str(dataset.folder),
        "name": dataset.name,
        "channels": [channel.name for channel in dataset.channels],
        "modality": " + ".join(channel.modality or channel.name for channel in dataset.channels),
        "cases": [
            {
                "name": case.name,
                "shape": case.facts and list(case.facts.shape),
                "spacing_mm": case.facts and list(case.facts.spacing_mm),
                "structures": [name for name, ml in case.facts.volumes_ml.items() if ml > 0] if case.facts else [],
                "not_contoured": sorted(case.not_contoured),
                "warnings": list(case.facts.warnings) if case.facts else [],
            }
            for case in dataset.cases
        ],
        "structures": [
            asdict(one) | {"label": one.label.name, "color": list(one.label.color)}
            for one in structure_summaries(dataset)
        ],
        "skipped": [[item.what, item.why] for item in dataset.skipped],
        "warnings": warnings_of(dataset),
    }


def _told_case(case: FoundCase) -> dict:
    structures = dict.fromkeys(structure.name for drawing in case.drawings for structure in drawing.structures)
    return {
        "name": case.name,
        "modality": " + ".join(dict.fromkeys(image.modality or image.name for image in case.images)),
        "structures": list(structures),
    }


def _of_dataset(dataset: Dataset, name: str):
    (case,) = dataset.select([name])
    images, label = case.load()
    return picture(images[0], [(label.array == one.value, one.color) for one in dataset.labels])


def _of_findings(findings: Findings | None, name: str):
    case = next((case for case in findings.cases if case.name == name), None) if findings else None
    if case is None:
        raise InputError(f"There is no case '{name}'.", "Look for the data again.")
    found = next((image for image in case.images if case.drawn_on(image)), case.images[0])
    image = found.load()
    masks = [mask for drawing in case.drawn_on(found) for mask in drawing.masks(image.grid)]
    return picture(image, [(mask, one.color or color_of(n)) for n, (one, mask) in enumerate(masks, start=1)])
