"""A data set: labelled cases, what their channels and labels mean, and what was left out of it and why."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from MedSegDLLib.atomic import output_errors, replacing
from MedSegDLLib.errors import InputError
from MedSegDLLib.labels import Code, Label, Terminology

from .case import IGNORE, Case, Channel, Facts, case_from_dict, case_to_dict
from .json_files import read_json

__all__ = ["IGNORE", "Case", "Channel", "Dataset", "Facts", "Skipped", "open_dataset"]

DATASET, SKIPPED = "dataset.json", "skipped.csv"

_FORMAT = "medseg-dataset-1"

Progress = Callable[[int, int, str], None]
"""Called with what is done, how much there is, and the name of what comes next."""


@dataclass(frozen=True)
class Skipped:
    """Something that is not in the data set, and why not."""

    what: str
    why: str

    def __post_init__(self):
        for name in ("what", "why"):  # a file's name may be in an encoding that no table can hold
            text = getattr(self, name).encode("utf-8", "backslashreplace").decode()
            object.__setattr__(self, name, text)


@dataclass(frozen=True)
class Dataset:
    """Cases with the same channels and labels.

    Args:
        folder: where it lies; `write` puts dataset.json there.
        about: title, source, licence, as far as they are known.
    """

    folder: Path
    name: str
    channels: tuple[Channel, ...]
    labels: tuple[Label, ...]
    cases: tuple[Case, ...]
    skipped: tuple[Skipped, ...] = ()
    about: dict = field(default_factory=dict)

    def __post_init__(self):
        object.__setattr__(self, "folder", Path(self.folder))
        for name in ("channels", "labels", "cases", "skipped"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    def select(self, names: Iterable[str]) -> list[Case]:
        """The cases of these names, in their order. Raises InputError for one that is not there."""
        by_name = {case.name: case for case in self.cases}
        names = list(names)
        missing = [name for name in names if name not in by_name]
        if missing:
            raise InputError(
                f"The data set '{self.name}' has no case '{missing[0]}'.", "Use the split that was made for this data."
            )
        return [by_name[name] for name in names]

    def with_labels(self, labels: Iterable[Label]) -> Dataset:
        """The same cases with other names, colours and codes for the values. Raises InputError for other values."""
        labels = tuple(labels)
        if {label.value for label in labels} != {label.value for label in self.labels}:
            raise InputError(
                f"The data set '{self.name}' has the values {_values(self.labels)}, not {_values(labels)}.",
                "Name every value that occurs, and no other.",
            )
        new_names = {label.value: label.name for label in labels}
        renamed = {label.name: new_names[label.value] for label in self.labels}
        return replace(self, labels=labels, cases=tuple(_renamed(case, renamed) for case in self.cases))

    def write(self) -> None:
        """Write dataset.json, with paths relative to the folder, and skipped.csv. Raises OutputError."""
        with output_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        write_skipped(self.folder / SKIPPED, self.skipped)
        text = json.dumps(self._to_dict(), indent=1, ensure_ascii=False)
        with replacing(self.folder / DATASET) as partial:
            partial.write_text(text, encoding="utf-8")

    @staticmethod
    def read(folder: Path | str) -> Dataset:
        """What `write` wrote. Raises InputError for a file that is missing, damaged or of another kind."""
        folder = Path(folder)
        data = read_json(folder / DATASET)
        if data.get("format") != _FORMAT:
            raise InputError(f"'{folder / DATASET}' was not written by MedSegTrain.", "Import the data first.")
        try:
            return _from_dict(folder, data)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"'{folder / DATASET}' is damaged.", "Import the data again.", repr(error)) from error

    def _to_dict(self) -> dict:
        return {
            "format": _FORMAT,
            "name": self.name,
            "about": self.about,
            "channels": [asdict(channel) for channel in self.channels],
            "labels": [asdict(label) for label in self.labels],
            "cases": [case_to_dict(case, self.folder) for case in self.cases],
            "skipped": [asdict(skipped) for skipped in self.skipped],
        }


def open_dataset(path: Path | str, labels: Iterable[Label] | None = None, progress: Progress | None = None) -> Dataset:
    """A data set that was imported, or a folder of image and label files, read where it lies.

    Args:
        path: a folder with dataset.json, or with images/ and labels/, or imagesTr/ and labelsTr/; see `layouts`.
        labels: what the values mean, where the data do not say it or one knows better.
        progress: label files are read once, which takes a while for large ones.

    Raises:
        InputError: there is no such folder, or nothing in it that can be used.
    """
    folder = Path(path)
    folder = folder.parent if folder.name == DATASET else folder
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}.", "Check the path.")
    if is_imported(folder):
        dataset = Dataset.read(folder)
        return dataset if labels is None else dataset.with_labels(labels)
    from .in_place import open_in_place  # which needs the classes above

    return open_in_place(folder, labels, progress)


def is_imported(folder: Path) -> bool:
    """True where `Dataset.write` wrote."""
    path = folder / DATASET
    return path.is_file() and read_json(path).get("format") == _FORMAT


def _from_dict(folder: Path, data: dict) -> Dataset:
    return Dataset(
        folder=folder,
        name=data["name"],
        channels=tuple(Channel(**channel) for channel in data["channels"]),
        labels=tuple(map(label_from_dict, data["labels"])),
        cases=tuple(case_from_dict(case, folder) for case in data["cases"]),
        skipped=tuple(Skipped(**skipped) for skipped in data["skipped"]),
        about=data["about"],
    )


def label_from_dict(data: dict) -> Label:
    """From what `dataclasses.asdict` makes of a label."""
    codes = {name: Code(**code) if code else None for name, code in data["terminology"].items()}
    return Label(data["value"], data["name"], tuple(data["color"]), Terminology(**codes))


def _renamed(case: Case, names: dict[str, str]) -> Case:
    facts = case.facts
    if facts:
        facts = replace(facts, volumes_ml={names.get(name, name): ml for name, ml in facts.volumes_ml.items()})
    return replace(case, facts=facts, not_contoured=frozenset(names.get(name, name) for name in case.not_contoured))


def _values(labels: Iterable[Label]) -> str:
    return ", ".join(str(label.value) for label in labels)


def write_skipped(path: Path, skipped: Iterable[Skipped]) -> None:
    """As a table of what and why. Raises OutputError."""
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["what", "why"])
        writer.writerows((item.what, item.why) for item in skipped)
