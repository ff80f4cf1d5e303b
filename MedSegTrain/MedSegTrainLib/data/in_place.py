"""Folders of image and label files, used where they lie."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from MedSegDLLib.errors import InputError
from MedSegDLLib.labels import Label

from .case import IGNORE, Case, Facts
from .dataset import Dataset, Skipped
from .examination import Examination, examine_all
from .layouts import NAMES_BELONG_TOGETHER, Layout, find_layout
from .structures import name_of, plain_label

_IMPORT = "Import the data: python -m MedSegTrainLib data import"


def open_in_place(
    folder: Path, labels: Iterable[Label] | None, progress: Callable[[int, int, str], None] | None = None
) -> Dataset:
    """The cases of a folder in one of the layouts; see `open_dataset`.

    A structure that a case lacks counts as not contoured there. Cases that cannot be used, and doubles, are skipped.
    """
    layout = find_layout(folder)
    if layout is None:
        raise InputError(
            f"'{folder}' is no data set that can be used where it lies: it needs images/ and labels/, or imagesTr/ and"
            " labelsTr/.",
            f"{_IMPORT}, which also reads DICOM.",
        )
    cases = [Case(p.name, p.images, p.label, layout.patients.get(p.name, "")) for p in layout.pairs]
    seen = dict(zip(cases, examine_all(folder, cases, progress)))
    problems = _problems(seen)
    usable = {case: examination for case, examination in seen.items() if case.name not in problems}
    skipped = [Skipped(*item) for item in (*layout.unmatched, *problems.items())]
    if not usable:
        why = f" The first, '{skipped[0].what}': {skipped[0].why}" if skipped else ""
        raise InputError(f"'{folder}' holds no case that can be used.{why}", NAMES_BELONG_TOGETHER)
    labels = tuple(labels) if labels is not None else _labels(layout, usable.values(), skipped)
    return Dataset(
        folder=folder,
        name=folder.name,
        channels=layout.channels,
        labels=labels,
        cases=tuple(_with_facts(case, examination, labels) for case, examination in usable.items()),
        skipped=tuple(skipped),
        about=layout.about,
    )


def _problems(seen: dict[Case, Examination]) -> dict[str, str]:
    """Why cases cannot be used, by their names."""
    found, first_of = {}, {}
    for case, examination in seen.items():
        if examination.problem:
            found[case.name] = examination.problem
        elif (first := first_of.setdefault(examination.digest, case.name)) != case.name:
            found[case.name] = f"It is the same image as '{first}'."
    return found


def _labels(layout: Layout, examinations: Iterable[Examination], skipped: list[Skipped]) -> tuple[Label, ...]:
    """As the layout names them, else one for each value; only of what occurs, for nothing else can be learned."""
    if layout.ignored not in (None, IGNORE):
        raise InputError(
            f"The value {layout.ignored} means 'not annotated' in these labels, for which {IGNORE} stands here.",
            f"{_IMPORT}, which translates the values.",
        )
    values = {value for examination in examinations for value in examination.counts} - {0}
    if layout.names and not values & {*layout.names}:
        raise InputError("No value of the labels is one that dataset.json names.", "Correct dataset.json.")
    if values == {IGNORE} or IGNORE in layout.names:
        raise InputError(
            f"A structure has the value {IGNORE}, which stands for 'not annotated' here.",
            f"{_IMPORT}, which translates the values.",
        )
    names = layout.names or {value: name_of(value) for value in values - {IGNORE}}
    skipped += [Skipped(f"structure '{names[value]}'", "No case shows it.") for value in sorted({*names} - values)]
    return tuple(plain_label(value, names[value]) for value in sorted({*names} & values))


def _with_facts(case: Case, examination: Examination, labels: tuple[Label, ...]) -> Case:
    volumes = {label.name: examination.volume_ml(label.value) for label in labels}
    known = {0, IGNORE, *(label.value for label in labels)}
    unknown = {value: count for value, count in examination.counts.items() if value not in known}
    warnings = [f"The value {v} ({n} voxels) has no name; it counts as background." for v, n in unknown.items()]
    return replace(
        case,
        facts=Facts(examination.shape, examination.spacing_mm, volumes, tuple(warnings)),
        not_contoured=frozenset(name for name, ml in volumes.items() if ml == 0),
    )
