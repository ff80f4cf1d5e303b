"""Which files of a folder belong together, by their names alone.

    images/NAME.*         labels/NAME.*           as many channels as NAME_0000.*, NAME_0001.* say, else one
    imagesTr/NAME_0000.*  labelsTr/NAME.*         nnU-Net, with its dataset.json or without
    dataset.json with a list "training"           Medical Segmentation Decathlon
    NAME.*  and  NAME_seg.* (label, mask, ...)    in one folder, and in the folders below it

A file patients.csv (columns case, patient) says which cases are of one patient.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path

from MedSegDLLib.errors import InputError
from MedSegDLLib.files import folders_below, stem

from .case import Channel
from .images import is_image_file
from .json_files import read_json

PATIENTS = "patients.csv"

_FOLDERS = (
    ("imagesTr", "labelsTr"), ("images", "labels"), ("images", "masks"), ("image", "label"), ("image", "mask"),
)  # fmt: skip
_CHANNEL = re.compile(r"(.+)_(\d{4})")
_LABEL_WORDS = re.compile(r"(?:^|[-_. ])(?:seg|segmentation|labels?|labelmap|masks?|gt|truth)(?:[-_. ]|$)", re.I)
_MODALITIES = {
    "PT": r"pet|pt|suv",
    "CT": r"ct|cbct",
    "MR": r"mri?|t[12](w|c|ce|gd|fs|n|f)?|flair|dwi|adc",
    "US": r"us",
}

Files = dict[str, list[Path]]
"""By their names without suffix."""


@dataclass(frozen=True)
class Pair:
    """Image files, one a channel, and the label file that belongs to them."""

    name: str
    images: tuple[Path, ...]
    label: Path


@dataclass(frozen=True)
class Layout:
    """The pairs of a folder and what it says of them.

    Args:
        names: of the label values, as far as they are given.
        ignored: the label value of voxels that nobody annotated, if there is one.
        unmatched: what has no partner, and why it is left out.
        patients: of the cases, as far as they are given.
        about: title, source, licence.
    """

    kind: str
    channels: tuple[Channel, ...]
    pairs: tuple[Pair, ...]
    names: dict[int, str] = field(default_factory=dict)
    ignored: int | None = None
    unmatched: tuple[tuple[str, str], ...] = ()
    patients: dict[str, str] = field(default_factory=dict)
    about: dict = field(default_factory=dict)


def find_layout(folder: Path) -> Layout | None:
    """How the folder is laid out; None where it is in none of the ways above. Raises InputError for a broken table."""
    description = read_json(folder / "dataset.json") if (folder / "dataset.json").is_file() else {}
    layout = _decathlon(folder, description) or _two_folders(folder, description) or _one_folder(folder)
    return layout and replace(layout, patients=_patients(folder / PATIENTS), about=_about(description))


def modality_of(word: str) -> str:
    """DICOM's code for what people call a modality ('MRI', 'T1w', 'MR_T1', 'PET'), '' for other words."""
    for modality, pattern in _MODALITIES.items():
        if any(re.fullmatch(pattern, part, re.I) for part in re.split(r"[-_ ]", word)):
            return modality
    return ""


def _decathlon(folder: Path, description: dict) -> Layout | None:
    listed = description.get("training")
    if not (isinstance(listed, list) and listed and isinstance(listed[0], dict)):
        return None
    pairs, unmatched = [], []
    for entry in listed:
        image, label = folder / entry["image"], folder / entry["label"]
        if image.is_file() and label.is_file():
            pairs.append(Pair(stem(image), (image,), label))
        elif not _channel_files(image):
            unmatched.append((stem(image), f"'{label if image.is_file() else image}' is listed, but not there."))
    if not pairs:  # the files of nnU-Net's first version are listed without the numbers of their channels
        return None
    layout = Layout("Medical Segmentation Decathlon", _channels(description, 1), tuple(pairs))
    return _described(replace(layout, unmatched=tuple(unmatched)), description)


def _channel_files(image: Path) -> bool:
    return any(image.parent.glob(f"{stem(image)}_0000.*"))


def _two_folders(folder: Path, description: dict) -> Layout | None:
    for images, labels in _FOLDERS:
        image_files, label_files = _by_name(folder / images), _by_name(folder / labels)
        if image_files and label_files:  # and not a folder of DICOM series
            kind = "nnU-Net" if images == "imagesTr" else "images and labels"
            return _described(_paired(kind, image_files, label_files, description), description)
    return None


def _paired(kind: str, image_files: Files, label_files: Files, description: dict) -> Layout:
    label_files = {name.removesuffix(".seg"): files for name, files in label_files.items()}
    channel_files = _by_case_and_channel(image_files) if not set(image_files) & set(label_files) else {}
    pairs, unmatched = [], []
    numbers = sorted({number for files in channel_files.values() for number in files}) or [0]
    for name in sorted({*label_files, *(channel_files or image_files)}):
        files = channel_files.get(name, {0: image_files.get(name, [])} if not channel_files else {})
        problem = _problem(files, numbers, label_files.get(name, []))
        if problem:
            unmatched.append((name, problem))
        else:
            pairs.append(Pair(name, tuple(files[number][0] for number in numbers), label_files[name][0]))
    return Layout(kind, _channels(description, len(numbers)), tuple(pairs), unmatched=tuple(unmatched))


def _problem(files: dict[int, list[Path]], numbers: list[int], labels: list[Path]) -> str:
    """Why a name makes no pair; empty if it does."""
    if not any(files.values()):
        return f"There are labels ({labels[0].name}), but no image."
    missing = [number for number in numbers if not files.get(number)]
    if missing:
        return f"The image of channel {missing[0]} is missing."
    if not labels:
        return "There is an image, but no labels."
    double = next((found for found in (*files.values(), labels) if len(found) > 1), None)
    return f"Two files have this name: {double[0].name} and {double[1].name}." if double else ""


def _by_name(folder: Path) -> Files:
    found = defaultdict(list)
    if not folder.is_dir():
        return {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and is_image_file(path):
            found[stem(path)].append(path)
    return dict(found)


def _by_case_and_channel(files: Files) -> dict[str, dict[int, list[Path]]]:
    """Files named NAME_0000 by NAME and number; empty where not all are named so."""
    matches = {name: _CHANNEL.fullmatch(name) for name in files}
    if not all(matches.values()):
        return {}
    found = defaultdict(dict)
    for name, match in matches.items():
        found[match[1]][int(match[2])] = files[name]
    return dict(found)


def _one_folder(folder: Path) -> Layout | None:
    """Labels beside their images, in this folder and below; the name is the path within the folder."""
    pairs, unmatched = [], []
    for place in folders_below(folder):
        files = _by_name(place)
        labels = {name for name in files if _LABEL_WORDS.search(name)}
        for label in sorted(labels):
            images = [name for name in files if name not in labels]
            start = label[: _LABEL_WORDS.search(label).start()]
            partners = [name for name in images if name == start] or (images if len(labels) == 1 else [])
            name = "_".join((*place.relative_to(folder).parts, partners[0] if len(partners) == 1 else label))
            if len(partners) == 1:
                pairs.append(Pair(name, (files[partners[0]][0],), files[label][0]))
            else:
                unmatched.append((name, f"It is not clear to which of {len(images)} images these labels belong."))
    return Layout("pairs in a folder", (Channel("image"),), tuple(pairs), unmatched=tuple(unmatched)) if pairs else None


def _channels(description: dict, count: int) -> tuple[Channel, ...]:
    """By the description ('channel_names' of nnU-Net, 'modality' of the Decathlon and nnU-Net's first version)."""
    given = description.get("channel_names") or description.get("modality") or {}
    if isinstance(given, dict) and len(given) == count:
        names = [str(given[key]) for key in sorted(given, key=int)]
        return tuple(Channel(name, modality_of(name)) for name in names)
    return tuple(Channel("image" if count == 1 else f"channel {n}") for n in range(count))


def _described(layout: Layout, description: dict) -> Layout:
    names = {}
    for one, other in (description.get("labels") or {}).items():
        name, value = (str(other), int(one)) if str(one).isdigit() else (one, other)
        if not isinstance(value, int):
            raise InputError(
                f"The label '{name}' stands for several values ({value}), which a labelmap of one structure a voxel"
                " cannot say.",
                "Write a dataset.json in which every label has one value.",
            )
        names[value] = name
    ignored = next((value for value, name in names.items() if name.lower() == "ignore"), None)
    named = {value: name for value, name in names.items() if value not in (0, ignored)}
    return replace(layout, names=named, ignored=ignored)


def _patients(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    if rows and not {"case", "patient"} <= set(rows[0]):
        raise InputError(f"'{path}' lacks the columns 'case' and 'patient'.", "Add them, or remove the file.")
    return {row["case"]: row["patient"] for row in rows}


def _about(description: dict) -> dict:
    keys = {"title": "name", "source": "reference", "licence": "licence"}
    found = {key: description.get(theirs) for key, theirs in keys.items()}
    found["licence"] = found["licence"] or description.get("license")
    return {key: str(value) for key, value in found.items() if value}
