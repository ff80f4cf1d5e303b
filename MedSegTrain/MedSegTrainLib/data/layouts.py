"""Which files of a folder belong together, by their names alone.

    images/NAME.*         labels/NAME.*           as many channels as NAME_0000.*, NAME_0001.* say, else one
    imagesTr/NAME_0000.*  labelsTr/NAME.*         nnU-Net, with its dataset.json or without
    dataset.json with a list "training"           Medical Segmentation Decathlon
    NAME.*  and  NAME_seg.* (label, mask, ...)    in one folder, and in the folders below it

NAME_seg.* may stand for NAME.* in a folder of labels, too.
A file patients.csv (columns case, patient) says which cases are of one patient.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from MedSegDLLib.errors import InputError
from MedSegDLLib.files import folders_below, stem

from .case import Channel
from .dataset_json import Description, read_description
from .images import is_image_file
from .patients import read_patients

_FOLDERS = (
    ("imagesTr", "labelsTr"), ("images", "labels"), ("images", "masks"), ("image", "label"), ("image", "mask"),
)  # fmt: skip
_CHANNEL = re.compile(r"(.+)_(\d{4})")
_LABEL_WORDS = re.compile(r"(?:^|[-_. ])(?:seg|segmentation|labels?|labelmap|masks?|gt|truth)(?:[-_. ]|$)", re.I)

NAMES_BELONG_TOGETHER = "Files belong together by their names: images/NAME.nii.gz and labels/NAME.nii.gz."
"""What to say where nothing does."""

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
    description = read_description(folder / "dataset.json")
    layout = _decathlon(folder, description) or _two_folders(folder, description) or _one_folder(folder)
    if layout is None:
        return None
    known = {*(pair.name for pair in layout.pairs), *(name for name, _ in layout.unmatched)}
    patients, unknown = read_patients(folder, known)
    unmatched = (*layout.unmatched, *unknown)
    return replace(layout, patients=patients, unmatched=unmatched, about=description.about)


def _decathlon(folder: Path, description: Description) -> Layout | None:
    pairs, unmatched = [], []
    for image, label in ((folder / image, folder / label) for image, label in description.listed):
        if image.is_file() and label.is_file():
            pairs.append(Pair(stem(image), (image,), label))
        elif not _channel_files(image):
            unmatched.append((stem(image), f"'{label if image.is_file() else image}' is listed, but not there."))
    if not pairs:  # the files of nnU-Net's first version are listed without the numbers of their channels
        return None
    channels = description.channels or _numbered_channels(1)
    if len(channels) > 1:
        names = ", ".join(channel.name for channel in channels)
        raise InputError(
            f"Each image of '{folder}' holds {len(channels)} channels in one file ({names}), which is not read.",
            "Write each channel to a file of its own, such as imagesTr/NAME_0000.nii.gz; nnU-Net's"
            " nnUNetv2_convert_MSD_dataset does.",
        )
    layout = Layout("Medical Segmentation Decathlon", channels, tuple(pairs), unmatched=tuple(unmatched))
    return replace(layout, names=description.names, ignored=description.ignored)


def _channel_files(image: Path) -> bool:
    return any(image.parent.glob(f"{stem(image)}_0000.*"))


def _two_folders(folder: Path, description: Description) -> Layout | None:
    for images, labels in _FOLDERS:
        image_files, label_files = _by_name(folder / images), _by_name(folder / labels)
        if image_files and label_files:  # and not a folder of DICOM series
            kind = "nnU-Net" if images == "imagesTr" else "images and labels"
            layout = _paired(kind, image_files, label_files, description.channels)
            return replace(layout, names=description.names, ignored=description.ignored)
    return None


def _paired(kind: str, image_files: Files, label_files: Files, channels: tuple[Channel, ...]) -> Layout:
    cases, unmatched = _by_case_and_channel(image_files, label_files)
    label_files = _named_as(cases, label_files)
    numbers = sorted({number for files in cases.values() for number in files})
    pairs = []
    for name in sorted({*label_files, *cases}):
        files = cases.get(name, {})
        problem = _problem(files, numbers, label_files.get(name, []))
        if problem:
            unmatched.append((name, problem))
        else:
            pairs.append(Pair(name, tuple(files[number][0] for number in numbers), label_files[name][0]))
    if len(channels) != len(numbers):
        channels = _numbered_channels(len(numbers))
    return Layout(kind, channels, tuple(pairs), unmatched=tuple(unmatched))


def _problem(files: dict[int, list[Path]], numbers: list[int], labels: list[Path]) -> str:
    """Why a name makes no pair; empty if it does."""
    if not any(files.values()):
        return f"There are labels ({labels[0].name}), but no image of this name."
    missing = [number for number in numbers if not files.get(number)]
    if missing:
        return f"The image of channel {missing[0]} is missing."
    if not labels:
        return "There is an image, but no labels of this name."
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


def _by_case_and_channel(
    images: Files, labels: Files
) -> tuple[dict[str, dict[int, list[Path]]], list[tuple[str, str]]]:
    """The images of each case by the number of their channel; and those without one where the others have one.

    Names are taken as they are where labels have the same, or where none ends in a number.
    """
    matches = {name: _CHANNEL.fullmatch(name) for name in images}
    if set(images) & set(labels) or not any(matches.values()):
        return {name: {0: files} for name, files in images.items()}, []
    found, unmatched = defaultdict(dict), []
    for name, match in matches.items():
        if match:
            found[match[1]][int(match[2])] = images[name]
        else:
            unmatched.append((name, "The number of a channel, such as _0000, is missing at the end of its name."))
    return dict(found), unmatched


def _named_as(cases: Iterable[str], labels: Files) -> Files:
    """The labels by the names of their images, which 'NAME.seg' and 'NAME_label' stand for where no image has those."""
    cases, found = set(cases), defaultdict(list)
    for name, files in labels.items():
        word = _LABEL_WORDS.search(name)
        start = name[: word.start()] if word and name not in cases else ""
        found[start if start in cases and start not in labels else name] += files
    return dict(found)


def _one_folder(folder: Path) -> Layout | None:
    """Labels beside their images, in this folder and below; the name is the path within the folder."""
    pairs, unmatched = [], []
    for place in folders_below(folder):
        files = _by_name(place)
        labels = sorted(name for name in files if _LABEL_WORDS.search(name))
        images = {name for name in files if name not in labels}
        unused = set(images)
        for label in labels:
            start = label[: _LABEL_WORDS.search(label).start()]
            partners = [start] if start in images else list(images) if len(labels) == 1 else []
            name = _path_name(folder, place, partners[0] if len(partners) == 1 else label)
            if len(partners) == 1:
                pairs.append(Pair(name, (files[partners[0]][0],), files[label][0]))
                unused -= {*partners}
            else:
                unmatched.append((name, f"It is not clear to which of {len(images)} images these labels belong."))
        unmatched += [(_path_name(folder, place, name), "There is an image, but no labels.") for name in sorted(unused)]
    if not pairs:
        return None
    return Layout("pairs in a folder", _numbered_channels(1), tuple(pairs), unmatched=tuple(unmatched))


def _path_name(folder: Path, place: Path, name: str) -> str:
    return "_".join((*place.relative_to(folder).parts, name))


def _numbered_channels(count: int) -> tuple[Channel, ...]:
    return tuple(Channel("image" if count == 1 else f"channel {n}") for n in range(count))
