"""What a dataset.json of the Medical Segmentation Decathlon or of nnU-Net says of the files beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from MedSegDLLib.errors import InputError

from .case import Channel
from .json_files import read_json
from .names import modality_of


@dataclass(frozen=True)
class Description:
    """As far as it is said.

    Args:
        names: of the label values, without the background.
        ignored: the label value of voxels that nobody annotated.
        listed: image and label file of each case to train on, as the Decathlon lists them.
        about: title, source, licence.
    """

    channels: tuple[Channel, ...] = ()
    names: dict[int, str] = field(default_factory=dict)
    ignored: int | None = None
    listed: tuple[tuple[str, str], ...] = ()
    about: dict = field(default_factory=dict)


def read_description(path: Path) -> Description:
    """An empty one where there is no such file. Raises InputError for one that does not say what it should."""
    if not path.is_file():
        return Description()
    data = read_json(path)
    try:
        values = _values(data.get("labels") or {})
        return Description(
            channels=_channels(data.get("channel_names") or data.get("modality") or {}),
            names={value: name for value, name in values.items() if value and name.casefold() != "ignore"},
            ignored=next((value for value, name in values.items() if name.casefold() == "ignore"), None),
            listed=_listed(data.get("training")),
            about=_about(data),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"'{path}' is not written as by the Decathlon or nnU-Net.",
            "Correct it, or take it away: without it the names of the files say what belongs together.",
            repr(error),
        ) from error


def _values(labels: dict) -> dict[int, str]:
    """The Decathlon writes {"1": "liver"}, nnU-Net {"liver": 1}."""
    names: dict[int, str] = {}
    for one, other in labels.items():
        name, value = (str(other), int(one)) if str(one).isdigit() else (str(one), other)
        if not isinstance(value, int):
            raise InputError(
                f"The label '{name}' stands for several values ({value}), which a labelmap of one structure a voxel"
                " cannot say.",
                "Write a dataset.json in which every label has one value.",
            )
        if name in names.values() or value in names:
            raise InputError(
                f"dataset.json gives the label '{name}' or the value {value} twice.", "Correct dataset.json."
            )
        names[value] = name
    return names


def _listed(cases: object) -> tuple[tuple[str, str], ...]:
    """nnU-Net needs no list; where it has one, it may be of names alone."""
    if not (isinstance(cases, list) and cases and isinstance(cases[0], dict)):
        return ()
    return tuple((str(case["image"]), str(case["label"])) for case in cases)


def _channels(given: dict | list) -> tuple[Channel, ...]:
    """'channel_names' of nnU-Net, 'modality' of the Decathlon and nnU-Net's first version."""
    if not isinstance(given, dict):
        return ()
    names = [str(given[key]) for key in sorted(given, key=int)]
    return tuple(Channel(name, modality_of(name)) for name in names)


def _about(data: dict) -> dict:
    keys = {"title": ("name",), "source": ("reference",), "licence": ("licence", "license")}
    found = {key: next((data[name] for name in names if data.get(name)), "") for key, names in keys.items()}
    return {key: str(value) for key, value in found.items() if value}
