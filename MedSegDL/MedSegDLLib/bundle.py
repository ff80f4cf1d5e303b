"""A model is a folder in MONAI Bundle layout; this reads, checks and writes it without torch.

    configs/metadata.json      MONAI's metadata keys plus one object "medseg", described by `Specification`
    models/model.safetensors   the weights
    models/model.xml, .bin     optional OpenVINO graph of the same weights: a CPU then needs neither torch nor MONAI
    docs/README.md             model card
    LICENSE

Lists with one number an axis are in the order i, j, k of `orientation`: with "RAS" the first number is left-right.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from dataclasses import MISSING, asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path

import numpy as np

from .atomic import replacing
from .errors import ModelError
from .labels import Code, Label, Terminology

FORMAT = 1
ONE_IMAGE = ("image",)
"""The channels of a model that takes one image and gives it no name."""
METADATA = Path("configs/metadata.json")
WEIGHTS = Path("models/model.safetensors")
GRAPH = Path("models/model.xml")
MODEL_CARD = Path("docs/README.md")

_INTENSITY_RULES = ("window", "percentile", "zscore")
_MOST_LABELS = 254  # 255 classes with the background: the upsampling of labels keeps one byte value for itself

# MONAI's keys for what a bundle needs; later versions are expected to work. The same bounds as the project's own.
_MADE_FOR = {
    "monai_version": "1.5",
    "pytorch_version": "2.8",
    "numpy_version": "2.0",
    "required_packages_version": {"safetensors": "0.4.5"},
    "optional_packages_version": {"openvino": "2025.0"},
}


@dataclass(frozen=True)
class Intensity:
    """How grey values become network input.

    rule "window": clip to [low, high], subtract mean, divide by std (numbers of the training data, e.g. HU).
    rule "percentile": low and high are percentiles of the image at hand; then as "zscore".
    rule "zscore": mean and standard deviation of the image at hand.
    """

    rule: str
    low: float | None = None
    high: float | None = None
    mean: float | None = None
    std: float | None = None

    def __post_init__(self):
        if self.rule not in _INTENSITY_RULES:
            raise ModelError(f"The intensity rule '{self.rule}' is unknown; known are {', '.join(_INTENSITY_RULES)}.")
        needed = {"window": ("low", "high", "mean", "std"), "percentile": ("low", "high"), "zscore": ()}[self.rule]
        missing = [name for name in needed if getattr(self, name) is None]
        if missing:
            raise ModelError(f"The intensity rule '{self.rule}' lacks {', '.join(missing)}.")
        if self.rule == "window" and self.std <= 0:
            raise ModelError(f"The intensity rule's standard deviation is {self.std}; it must be positive.")
        if self.low is not None and self.low >= self.high:
            raise ModelError(f"The intensity rule's range {self.low} to {self.high} is empty.")
        if self.rule == "percentile" and not (0 <= self.low and self.high <= 100):
            raise ModelError(f"The intensity rule's percentiles {self.low} and {self.high} are not from 0 to 100.")


@dataclass(frozen=True)
class Network:
    """A network of the registry and its arguments; `head` names the tensor whose first axis counts the classes."""

    name: str
    spatial_dims: int
    in_channels: int
    out_channels: int
    head: str
    arguments: dict = field(default_factory=dict)

    def __post_init__(self):
        if self.spatial_dims not in (2, 3):
            raise ModelError(f"The network has {self.spatial_dims} spatial dimensions; it must have 2 or 3.", _REMEDY)


@dataclass(frozen=True)
class Inference:
    """How the predictor runs the network; a user may override overlap and mirroring.

    overlap: share of a window that its neighbour covers, 0 up to below 1.
    mirror: average over inputs mirrored along `mirror_axes`.
    mirror_axes: those along which training mirrored; along others the network knows no mirrored patient.
    air_below: raw grey value of the first channel; a window in which nothing is above it is background without a look.
        None: look at all.
    largest_only: keep only the largest connected piece of each structure.
    cpu_precision: "bf16" where the trained Dice was shown to hold, else "f32".
    """

    overlap: float = 0.5
    mirror: bool = False
    mirror_axes: tuple[bool, bool, bool] = (True, True, True)
    air_below: float | None = None
    largest_only: bool = False
    cpu_precision: str = "f32"

    @property
    def mirrored_kji(self) -> tuple[bool, bool, bool]:
        """Whether to mirror along k, j, i."""
        return tuple(self.mirror and axis for axis in reversed(self.mirror_axes))

    def __post_init__(self):
        object.__setattr__(self, "mirror_axes", tuple(self.mirror_axes))
        if len(self.mirror_axes) != 3:
            raise ModelError(f"The axes to mirror are {list(self.mirror_axes)}; it must be three.", _REMEDY)
        if not 0 <= self.overlap < 1:
            raise ModelError(f"The overlap of windows is {self.overlap}; it must be from 0 up to below 1.")
        if self.cpu_precision not in ("f32", "bf16"):
            raise ModelError(f"The CPU precision '{self.cpu_precision}' is neither 'f32' nor 'bf16'.")


@dataclass(frozen=True)
class Coarse:
    """A quick model that finds where to look: its structures' box, grown by the margin, is what this model sees.

    It sees the first of this model's images, as many as it takes.
    """

    model: str
    margin_mm: float
    values: tuple[int, ...] = ()

    def __post_init__(self):
        object.__setattr__(self, "values", tuple(self.values))
        if not self.margin_mm >= 0:
            raise ModelError(f"The margin around the coarse model's box is {self.margin_mm} mm.", _REMEDY)


@dataclass(frozen=True)
class Specification:
    """The "medseg" object of metadata.json.

    Some of its entries:
        channels: names of the images that the network takes at once, in its order; labels lie on the first one's grid.
        modality: DICOM's words for what the one image may be; with several channels one for each, or one for all.
        intensity: one rule for every channel, or one for each.
    """

    network: Network
    modality: tuple[str, ...]
    orientation: str
    spacing_mm: tuple[float, float, float]
    patch: tuple[int, int, int]
    intensity: Intensity | tuple[Intensity, ...]
    labels: tuple[Label, ...]
    licence: str
    inference: Inference = Inference()
    coarse: Coarse | None = None
    prompts: tuple[str, ...] = ()
    results: dict = field(default_factory=dict)
    channels: tuple[str, ...] = ONE_IMAGE

    def __post_init__(self):
        _check_channels(self)
        _check_orientation(self.orientation)
        _check_positive("spacing_mm", self.spacing_mm)
        _check_patch(self.patch, self.network.spatial_dims)
        _check_labels(self.labels, self.network.out_channels)
        if self.inference.air_below is not None and self.intensities[0].rule != "window":
            raise ModelError("The model skips air, but its intensities are relative to each image.", _REMEDY)

    @property
    def patch_kji(self) -> tuple[int, int, int]:
        """Size of a window in voxels, in the order of an array's axes."""
        return tuple(self.patch[::-1])

    @property
    def class_values(self) -> np.ndarray:
        """Label value of each network class; background first."""
        return np.array([0, *(label.value for label in self.labels)], dtype=np.uint8)

    @property
    def intensities(self) -> tuple[Intensity, ...]:
        """The rule of each channel."""
        one_for_all = isinstance(self.intensity, Intensity)
        return (self.intensity,) * self.network.in_channels if one_for_all else self.intensity

    @property
    def channel_modalities(self) -> tuple[tuple[str, ...], ...]:
        """For each channel what DICOM may call it; empty where anything will do."""
        if len(self.channels) == 1:
            return (self.modality,)
        if len(self.modality) == len(self.channels):
            return tuple((modality,) for modality in self.modality)
        return (self.modality,) * len(self.channels)

    def to_dict(self) -> dict:
        entries = _without_none(asdict(self))
        if self.channels == ONE_IMAGE:
            del entries["channels"]
        return {"format": FORMAT, **entries}

    @staticmethod
    def from_dict(data: dict) -> Specification:
        """Raises ModelError that names the key which is missing, unknown or wrong."""
        found_format = data.get("format")
        if found_format != FORMAT:
            raise ModelError(
                f"The model has format {found_format}; this version of MedSegDL reads format {FORMAT}.",
                "Update MedSegDL, or get the model in the matching version.",
            )
        data = {key: value for key, value in data.items() if key not in ("format", "files")}  # files: see Bundle
        _check_keys("medseg", data, Specification)
        try:
            return Specification(**{name: _PARSERS.get(name, _as_it_is)(value) for name, value in data.items()})
        except TypeError as wrong:
            raise ModelError("metadata.json has a misshapen entry.", _REMEDY, str(wrong)) from wrong


@dataclass(frozen=True)
class Bundle:
    """A model folder that has been read and checked."""

    folder: Path
    metadata: dict
    spec: Specification

    @staticmethod
    def load(folder: str | Path) -> Bundle:
        """Read metadata.json and check it against the weights' header; checksums are checked by `verify`.

        Raises ModelError for a missing or damaged file, a wrong entry, or labels that do not fit the weights.
        """
        folder = Path(folder)
        metadata = _read_json(folder / METADATA)
        if not isinstance(metadata.get("medseg"), dict):
            raise ModelError(f"'{folder.name}' is not a MedSeg model: metadata.json has no 'medseg' object.", _REMEDY)
        bundle = Bundle(folder, metadata, Specification.from_dict(metadata["medseg"]))
        bundle._check()
        return bundle

    @property
    def name(self) -> str:
        return self.metadata.get("name", self.folder.name)

    @property
    def version(self) -> str:
        return self.metadata.get("version", "0.0.0")

    @property
    def weights_path(self) -> Path:
        return self.folder / WEIGHTS

    @property
    def graph_path(self) -> Path | None:
        """The exported OpenVINO graph, None if the bundle has none."""
        return self.folder / GRAPH if GRAPH.as_posix() in self.checksums else None

    @property
    def checksums(self) -> dict[str, str]:
        """SHA-256 of each file, by its path in the folder, written with slashes."""
        return self.metadata["medseg"].get("files", {})

    @property
    def size_bytes(self) -> int:
        return sum((self.folder / name).stat().st_size for name in self.checksums)

    @cached_property
    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        return safetensors_shapes(self.weights_path)

    def verify(self) -> None:
        """Compare the SHA-256 of every listed file. Raises ModelError."""
        for name, expected in self.checksums.items():
            if sha256(self.folder / name) != expected:
                raise ModelError(f"The model '{self.name}' is damaged: {name} has a wrong checksum.", _REMEDY)

    def _check(self) -> None:
        self._check_files()
        self._check_classes()

    def _check_files(self) -> None:
        if not isinstance(self.checksums, dict) or WEIGHTS.as_posix() not in self.checksums:
            raise ModelError(f"metadata.json of '{self.name}' lists no checksum for {WEIGHTS.as_posix()}.", _REMEDY)
        for name in self.checksums:
            if not (self.folder / name).is_file():
                raise ModelError(f"The model '{self.name}' is incomplete: {name} is missing.", _REMEDY)

    def _check_classes(self) -> None:
        network = self.spec.network
        shape = self.tensor_shapes.get(network.head)
        if not shape:
            raise ModelError(f"The weights of '{self.name}' have no tensor '{network.head}'.", _REMEDY)
        if shape[0] != network.out_channels:
            raise ModelError(
                f"The labels of '{self.name}' do not fit its weights: "
                f"{len(self.spec.labels)} structures and background, but {shape[0]} classes.",
                _REMEDY,
            )


_REMEDY = "Install the model again from its source."


def write_metadata(folder: str | Path, description: dict, spec: Specification) -> Bundle:
    """Write metadata.json for the files that lie in the folder, with their checksums, and read the bundle back.

    Args:
        folder: holds models/model.safetensors and, if it was exported, the graph.
        description: MONAI's keys: name, version, task, description, authors, copyright, data_source, intended_use, ...

    Raises ModelError where the files do not fit the specification, OutputError where the folder cannot be written.
    """
    folder = Path(folder)
    files = [WEIGHTS, *(path for path in (GRAPH, GRAPH.with_suffix(".bin")) if (folder / path).exists())]
    medseg = spec.to_dict() | {"files": {path.as_posix(): sha256(folder / path) for path in files}}
    metadata = _MADE_FOR | description | {"network_data_format": _network_data_format(spec), "medseg": medseg}
    Bundle(folder, metadata, spec)._check()
    (folder / METADATA).parent.mkdir(parents=True, exist_ok=True)
    with replacing(folder / METADATA) as partial:
        partial.write_text(json.dumps(metadata, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return Bundle.load(folder)


def sha256(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"The model file {path.name} is missing or cannot be read.", _REMEDY, str(error)) from error


def safetensors_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Shape of each tensor, from the file's header: eight bytes of length, then JSON."""
    try:
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > path.stat().st_size:
                raise ValueError("header longer than the file")
            header = json.loads(file.read(length))
        return {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise ModelError(f"The weights {path.name} are missing or damaged.", _REMEDY, str(error)) from error


def _network_data_format(spec: Specification) -> dict:
    """MONAI's description of what goes in and out."""
    image = {
        "type": "image",
        "format": "hounsfield" if spec.modality == ("CT",) else "magnitude",
        "modality": ", ".join(spec.modality),
        "num_channels": spec.network.in_channels,
        "spatial_shape": list(spec.patch_kji[-spec.network.spatial_dims :]),
        "dtype": "float32",
        "value_range": [],
        "is_patch_data": True,
        "channel_def": {str(n): name for n, name in enumerate(spec.channels)},
    }
    classes = {"0": "background"} | {str(n): label.name for n, label in enumerate(spec.labels, start=1)}
    prediction = image | {
        "format": "labels",
        "num_channels": spec.network.out_channels,
        "channel_def": classes,
    }
    return {"inputs": {"image": image}, "outputs": {"pred": prediction}}


def _read_json(path: Path) -> dict:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(
            f"'{path.parents[1]}' is not a model: it has no {METADATA}.",
            "Choose a model folder, or see the installed ones with 'medseg models'.",
        ) from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{METADATA} of '{path.parents[1].name}' is damaged.", _REMEDY, str(error)) from error
    if not isinstance(data, dict):
        raise ModelError(f"{METADATA} of '{path.parents[1].name}' is damaged.", _REMEDY)
    return data


def _check_keys(where: str, data: dict, cls: type) -> None:
    """Raise ModelError that names a key which `cls` needs and `data` lacks, or which it does not know."""
    if not isinstance(data, dict):
        raise ModelError(f"'{where}' in metadata.json is not an object with named entries.", _REMEDY)
    required = {f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING}
    for name in sorted(required - data.keys()):
        raise ModelError(f"'{where}' in metadata.json has no entry '{name}'.", _REMEDY)
    for name in sorted(data.keys() - {f.name for f in fields(cls)}):
        raise ModelError(f"'{where}' in metadata.json has an unknown entry '{name}'.", _REMEDY)


def _parsed(where: str, data: dict, cls: type):
    _check_keys(where, data, cls)
    return cls(**data)


def _label(data: dict) -> Label:
    _check_keys("labels", data, Label)
    _check_keys("terminology", data["terminology"], Terminology)
    codes = {name: _parsed(name, code, Code) for name, code in data["terminology"].items()}
    return Label(data["value"], data["name"], _list(data["color"]), Terminology(**codes))


def _intensity(data: dict | list) -> Intensity | tuple[Intensity, ...]:
    if isinstance(data, list):
        return tuple(_parsed("intensity", rule, Intensity) for rule in data)
    return _parsed("intensity", data, Intensity)


def _list(value) -> tuple:
    if isinstance(value, str):
        raise TypeError(f"'{value}' is text, not a list")
    return tuple(value)


def _as_it_is(value):
    return value


_PARSERS = {
    "network": lambda data: _parsed("network", data, Network),
    "intensity": _intensity,
    "inference": lambda data: _parsed("inference", data, Inference),
    "coarse": lambda data: data and _parsed("coarse", data, Coarse),
    "labels": lambda data: tuple(_label(label) for label in data),
    "modality": _list,
    "spacing_mm": _list,
    "patch": _list,
    "prompts": _list,
    "channels": _list,
}


def _without_none(value):
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [_without_none(item) for item in value]
    return value


def _check_channels(spec: Specification) -> None:
    count, names = spec.network.in_channels, spec.channels
    if len(names) != count:
        raise ModelError(f"The model names {len(names)} channels for a network that takes {count} images.", _REMEDY)
    if len(set(names)) != count or not all(isinstance(name, str) and name for name in names):
        raise ModelError(f"The channels {list(names)} of the model are not {count} different names.", _REMEDY)
    if len(spec.intensities) != count:
        raise ModelError(f"The model has {len(spec.intensities)} intensity rules for {count} images.", _REMEDY)
    if count > 1 and len(spec.modality) not in (0, 1, count):
        raise ModelError(f"The model has {len(spec.modality)} modalities for {count} images.", _REMEDY)


def _check_orientation(orientation: str) -> None:
    axes = {letter: axis for axis, pair in enumerate(("LR", "PA", "IS")) for letter in pair}
    if sorted(axes.get(letter, -1) for letter in orientation) != [0, 1, 2]:
        raise ModelError(f"The orientation '{orientation}' is not three letters such as RAS or LPS.", _REMEDY)


def _check_positive(name: str, values) -> None:
    if len(values) != 3 or not all(math.isfinite(value) and value > 0 for value in values):
        raise ModelError(f"The model's {name} is {list(values)}; it must be three positive numbers.", _REMEDY)


def _check_patch(patch, spatial_dims: int) -> None:
    _check_positive("patch", patch)
    if not all(isinstance(size, int) for size in patch):
        raise ModelError(f"The model's patch is {list(patch)}; it must be three whole numbers.", _REMEDY)
    if spatial_dims == 2 and patch[2] != 1:
        raise ModelError(f"The model's patch is {list(patch)}; a network for slices takes one at a time.", _REMEDY)


def _check_labels(labels: tuple[Label, ...], out_channels: int) -> None:
    values = [label.value for label in labels]
    whole = all(isinstance(value, int) and 1 <= value <= 255 for value in values)
    if not labels or len(set(values)) != len(values) or not whole:
        raise ModelError(f"The label values {values} must be different whole numbers from 1 to 255.", _REMEDY)
    if len(labels) > _MOST_LABELS:
        raise ModelError(f"The model has {len(labels)} labels; {_MOST_LABELS} are possible.", _REMEDY)
    for label in labels:
        if len(label.color) != 3 or not all(0 <= part <= 255 for part in label.color):
            raise ModelError(f"The color {list(label.color)} of '{label.name}' is not three numbers to 255.", _REMEDY)
    if len({label.name for label in labels}) != len(labels):
        raise ModelError("Two labels of the model have the same name.", _REMEDY)
    if out_channels != len(labels) + 1:
        raise ModelError(
            f"The network has {out_channels} classes for {len(labels)} structures and background.", _REMEDY
        )
