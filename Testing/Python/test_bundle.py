"""Bundles: what is wrong with a model is said in a sentence, before anything runs, and without torch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path, PureWindowsPath

import numpy as np
import pytest
from safetensors.torch import save_file
from torch import zeros

from bundle_makers import DESCRIPTION, labels, specification, threshold_bundle, unet_bundle
from conftest import ROOT
from MedSegDLLib import bundle as bundle_module
from MedSegDLLib.bundle import (
    GRAPH,
    METADATA,
    WEIGHTS,
    Bundle,
    Coarse,
    Inference,
    Intensity,
    Network,
    Specification,
    safetensors_shapes,
    write_metadata,
)
from MedSegDLLib.errors import ModelError
from MedSegDLLib.models import SHIPPED


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "made"
    unet_bundle(folder, specification((3, 200)))
    return folder


@pytest.fixture
def folder(made, tmp_path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(made, tmp_path / "made"))


def edit(folder: Path, change) -> None:
    path = folder / METADATA
    metadata = json.loads(path.read_text())
    change(metadata)
    path.write_text(json.dumps(metadata))


def refusal(folder: Path) -> ModelError:
    with pytest.raises(ModelError) as caught:
        Bundle.load(folder).verify()
    return caught.value


def test_a_whole_bundle_is_read(made):
    bundle = Bundle.load(made)
    bundle.verify()
    assert (bundle.name, bundle.version) == ("test", "1.2.3")
    assert bundle.weights_path == made / "models" / "model.safetensors"
    assert bundle.graph_path == made / "models" / "model.xml"
    files = ("models/model.safetensors", "models/model.xml", "models/model.bin")
    assert set(bundle.checksums) == set(files)
    assert bundle.size_bytes == sum((made / name).stat().st_size for name in files)
    assert bundle.spec == specification((3, 200))
    assert bundle.spec.class_values.tolist() == [0, 3, 200]
    assert bundle.tensor_shapes["decoder.heads.0.weight"] == (3, 2, 1, 1, 1)


def test_a_bundle_without_a_graph_says_so(tmp_path):
    assert unet_bundle(tmp_path / "m", specification(), graph=False).graph_path is None


def test_the_order_of_a_patch_is_turned(made):
    assert replace(Bundle.load(made).spec, patch=(4, 5, 6)).patch_kji == (6, 5, 4)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"coarse": Coarse("quick", 20.0, (1, 2)), "prompts": ("point", "box"), "results": {"mean_dice": 0.9}},
        {"inference": Inference(0.25, True, (True, False, True), -500.0, True, "bf16"), "modality": ("MR", "PT")},
        {"intensity": Intensity("percentile", 0.5, 99.5), "orientation": "LPS", "spacing_mm": (0.7, 0.8, 2.5)},
    ],
)
def test_a_description_survives_writing(folder, changes):
    spec = specification((3, 200), **changes)
    written = write_metadata(folder, DESCRIPTION, spec)
    assert written.spec == spec
    assert json.loads((folder / METADATA).read_text())["medseg"]["format"] == 1


PAIR = {"channels": ("CT", "PT"), "modality": ("CT", "PT")}
RULES = (Intensity("zscore"), Intensity("percentile", 1, 99))


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> Path:
    """A model that takes two images."""
    folder = tmp_path_factory.mktemp("models") / "pair"
    unet_bundle(folder, specification(intensity=RULES, **PAIR), graph=False)
    return folder


def test_a_model_of_several_channels_survives_writing(pair):
    bundle = Bundle.load(pair)
    assert bundle.spec == specification(intensity=RULES, **PAIR)
    assert bundle.spec.intensities == RULES
    medseg = bundle.metadata["medseg"]
    assert medseg["channels"] == ["CT", "PT"] and [rule["rule"] for rule in medseg["intensity"]] == [
        "zscore",
        "percentile",
    ]
    image = bundle.metadata["network_data_format"]["inputs"]["image"]
    assert (image["num_channels"], image["channel_def"]) == (2, {"0": "CT", "1": "PT"})


def test_one_rule_counts_for_every_channel():
    spec = specification(channels=("T1", "T2", "FLAIR"), modality=("MR",))
    assert spec.intensities == (spec.intensity,) * 3
    assert spec.channel_modalities == (("MR",),) * 3


@pytest.mark.parametrize(
    ("channels", "modality", "expected"),
    [
        (("CT", "PT"), ("CT", "PT"), (("CT",), ("PT",))),
        (("CT", "PT"), (), ((), ())),
        (("image",), ("CT", "MR"), (("CT", "MR"),)),
    ],
)
def test_the_modality_of_each_channel(channels, modality, expected):
    assert specification(channels=channels, modality=modality).channel_modalities == expected


@pytest.mark.parametrize("name", sorted(path.name for path in SHIPPED.iterdir()))
def test_a_shipped_description_is_rewritten_byte_for_byte(name, tmp_path):
    folder = Path(shutil.copytree(SHIPPED / name, tmp_path / name))
    before = (folder / METADATA).read_bytes()
    bundle = Bundle.load(folder)
    assert bundle.spec.channels == ("image",)
    assert Specification.from_dict(bundle.spec.to_dict()) == bundle.spec
    write_metadata(folder, bundle.metadata, bundle.spec)
    assert (folder / METADATA).read_bytes() == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.pop("channels"), "names 1 channels for a network that takes 2 images"),
        (lambda m: m.update(channels=["CT"]), "names 1 channels"),
        (lambda m: m.update(channels=["CT", "CT"]), "not 2 different names"),
        (lambda m: m.update(channels=["CT", ""]), "not 2 different names"),
        (lambda m: m.update(channels="CT"), "misshapen"),
        (lambda m: m["intensity"].pop(), "1 intensity rules for 2 images"),
        (lambda m: m["intensity"][1].pop("low"), "'percentile' lacks low"),
        (lambda m: m["intensity"][1].update(max=1), "'intensity' in metadata.json has an unknown entry 'max'"),
        (lambda m: m.update(modality=["CT", "PT", "MR"]), "3 modalities for 2 images"),
        (lambda m: m.update(inference={"air_below": -900}), "skips air"),
    ],
)
def test_a_wrong_channel_gets_a_sentence(pair, tmp_path, change, words):
    folder = Path(shutil.copytree(pair, tmp_path / "pair"))
    edit(folder, lambda metadata: change(metadata["medseg"]))
    with pytest.raises(ModelError, match=words):
        Bundle.load(folder)


def test_a_windows_path_finds_the_same_files(made, monkeypatch):
    for name in ("METADATA", "WEIGHTS", "GRAPH"):
        monkeypatch.setattr(bundle_module, name, PureWindowsPath(getattr(bundle_module, name)))
    bundle = Bundle.load(made)
    assert bundle.graph_path == made / "models" / "model.xml"


REQUIRED = ("network", "modality", "orientation", "spacing_mm", "patch", "intensity", "labels", "licence")


@pytest.mark.parametrize("key", REQUIRED)
def test_a_missing_entry_is_named(folder, key):
    edit(folder, lambda metadata: metadata["medseg"].pop(key))
    assert refusal(folder).message == f"'medseg' in metadata.json has no entry '{key}'."


@pytest.mark.parametrize(
    ("place", "key", "where"),
    [
        (lambda m: m, "color", "medseg"),
        (lambda m: m["network"], "weights", "network"),
        (lambda m: m["intensity"], "max", "intensity"),
        (lambda m: m["inference"], "tta", "inference"),
        (lambda m: m["labels"][1], "colour", "labels"),
        (lambda m: m["labels"][1]["terminology"], "CONTEXT", "terminology"),
        (lambda m: m["labels"][1]["terminology"]["type"], "code", "type"),
    ],
)
def test_an_unknown_entry_is_named(folder, place, key, where):
    edit(folder, lambda metadata: place(metadata["medseg"]).update({key: 1}))
    assert refusal(folder).message == f"'{where}' in metadata.json has an unknown entry '{key}'."


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.pop("format"), "has format None"),
        (lambda m: m.update(format=2), "has format 2; this version of MedSegDL reads format 1"),
        (lambda m: m["network"].pop("head"), "'network' in metadata.json has no entry 'head'"),
        (lambda m: m["network"].update(spatial_dims=4), "4 spatial dimensions"),
        (lambda m: m.update(network="nnunet"), "'network' in metadata.json is not an object"),
        (lambda m: m.update(modality="CT"), "misshapen"),
        (lambda m: m.update(labels="liver"), "'labels' in metadata.json is not an object"),
        (lambda m: m.update(orientation="RAX"), "orientation 'RAX'"),
        (lambda m: m.update(orientation="RLS"), "orientation 'RLS'"),
        (lambda m: m.update(spacing_mm=[1, 1]), "spacing_mm is \\[1, 1\\]"),
        (lambda m: m.update(spacing_mm=[1, 0, 1]), "spacing_mm"),
        (lambda m: m.update(spacing_mm=[1, float("nan"), 1]), "spacing_mm"),
        (lambda m: m.update(spacing_mm=["1", "1", "1"]), "misshapen"),
        (lambda m: m.update(patch=[8, 8, 8.5]), "patch is .* three whole numbers"),
        (lambda m: m.update(patch=[8, 8, -8]), "patch"),
        (lambda m: m["network"].update(spatial_dims=2), "slices takes one at a time"),
        (lambda m: m["intensity"].update(rule="minmax"), "'minmax' is unknown; known are window"),
        (lambda m: m["intensity"].pop("mean"), "'window' lacks mean"),
        (lambda m: m["intensity"].update(std=0), "standard deviation is 0"),
        (lambda m: m["intensity"].update(low=5, high=5), "range 5 to 5 is empty"),
        (lambda m: m.update(intensity={"rule": "percentile", "low": 1, "high": 101}), "not from 0 to 100"),
        (lambda m: m["inference"].update(overlap=1), "overlap of windows is 1"),
        (lambda m: m["inference"].update(cpu_precision="f16"), "'f16' is neither"),
        (lambda m: m.update(intensity={"rule": "zscore"}, inference={"air_below": 0}), "skips air"),
        (lambda m: m.update(coarse={"model": "quick", "margin_mm": -1}), "margin"),
        (lambda m: m["labels"][1].update(value=3), "\\[3, 3\\] must be different"),
        (lambda m: m["labels"][1].update(value=0), "from 1 to 255"),
        (lambda m: m["labels"][1].update(value=256), "from 1 to 255"),
        (lambda m: m["labels"][1].update(value=4.5), "whole numbers"),
        (lambda m: m["labels"][1].update(name="structure 3"), "same name"),
        (lambda m: m["labels"][1].update(color=[1, 2]), "color"),
        (lambda m: m["labels"][1].update(color=[1, 2, 256]), "color"),
        (lambda m: m["labels"].pop(), "3 classes for 1 structures"),
        (lambda m: m.update(labels=[]), "label values \\[\\]"),
        (lambda m: (m["labels"].pop(), m["network"].update(out_channels=2)), "do not fit its weights: 1 .* 3 classes"),
        (lambda m: m["network"].update(head="encoder"), "no tensor 'encoder'"),
        (lambda m: m["files"].pop("models/model.safetensors"), "lists no checksum for models/model.safetensors"),
        (lambda m: m["files"].update({"models/model.xml": "0" * 64}), "models/model.xml has a wrong checksum"),
        (lambda m: m["files"].update({"models/other": "0" * 64}), "incomplete: models/other is missing"),
        (lambda m: m.update(files=["models/model.safetensors"]), "lists no checksum"),
    ],
)
def test_a_wrong_entry_gets_a_sentence(folder, change, words):
    edit(folder, lambda metadata: change(metadata["medseg"]))
    with pytest.raises(ModelError, match=words):
        Bundle.load(folder).verify()


def test_more_labels_than_a_byte_can_mark_are_refused():
    network = specification().network
    specification(tuple(range(1, 255)))
    with pytest.raises(ModelError, match="255 labels; 254 are possible"):
        specification(labels=labels(*range(1, 256)), network=replace(network, out_channels=256))


@pytest.mark.parametrize("name", ["models/model.safetensors", "models/model.xml", "models/model.bin"])
def test_a_missing_file_and_a_changed_one_are_noticed(folder, name):
    path = folder / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert refusal(folder).message == f"The model 'test' is damaged: {name} has a wrong checksum."
    path.unlink()
    assert refusal(folder).message == f"The model 'test' is incomplete: {name} is missing."


@pytest.mark.parametrize(
    "content",
    [b"", b"\x08\x00", b"\xff" * 64, b"\x02\x00\x00\x00\x00\x00\x00\x00[]", b"\x09" + bytes(7) + b'{"a": {}}'],
)
def test_damaged_weights_are_no_traceback(folder, content):
    (folder / WEIGHTS).write_bytes(content)
    assert refusal(folder).message == "The weights model.safetensors are missing or damaged."


@pytest.mark.parametrize("text", ["", "{", "[]", '{"medseg": {}', "\xff"])
def test_damaged_metadata_is_no_traceback(folder, text):
    (folder / METADATA).write_text(text, encoding="latin-1")
    assert refusal(folder).message == "configs/metadata.json of 'made' is damaged."


def test_a_folder_that_is_no_model(tmp_path, folder):
    assert "is not a model: it has no configs/metadata.json" in refusal(tmp_path).message
    edit(folder, lambda metadata: metadata.pop("medseg"))
    assert "has no 'medseg' object" in refusal(folder).message


def test_shapes_are_read_from_the_header(tmp_path):
    save_file({"a": zeros(3, 4), "b": zeros(())}, tmp_path / "x", metadata={"format": "pt"})
    assert safetensors_shapes(tmp_path / "x") == {"a": (3, 4), "b": ()}


def test_a_description_that_does_not_fit_the_weights_is_not_written(folder):
    spec = specification((3, 200), network=Network("nnunet", 3, 1, 3, "decoder.heads.9.weight"))
    before = (folder / METADATA).read_text()
    with pytest.raises(ModelError, match="no tensor 'decoder.heads.9.weight'"):
        write_metadata(folder, DESCRIPTION, spec)
    assert (folder / METADATA).read_text() == before


# The mandatory keys of https://docs.monai.io/en/latest/mb_specification.html
MONAI_KEYS = {
    "version",
    "monai_version",
    "pytorch_version",
    "numpy_version",
    "optional_packages_version",
    "task",
    "description",
    "authors",
    "copyright",
    "network_data_format",
}
MONAI_TENSOR_KEYS = {
    "type",
    "format",
    "modality",
    "num_channels",
    "spatial_shape",
    "dtype",
    "value_range",
    "is_patch_data",
    "channel_def",
}


def test_metadata_has_what_monai_demands(made):
    metadata = Bundle.load(made).metadata
    assert MONAI_KEYS <= metadata.keys()
    image, prediction = (
        metadata["network_data_format"][place][name] for place, name in (("inputs", "image"), ("outputs", "pred"))
    )
    assert image.keys() == prediction.keys() == MONAI_TENSOR_KEYS
    assert (image["format"], image["num_channels"], image["spatial_shape"]) == ("hounsfield", 1, [8, 8, 8])
    assert prediction["format"] == "labels"  # MONAI's word for one channel a class, the largest of which is meant
    assert prediction["channel_def"] == {"0": "background", "1": "structure 3", "2": "structure 200"}


def test_the_shape_of_a_network_for_slices_has_two_axes(tmp_path):
    spec = specification(
        patch=(6, 8, 1), network=Network("nnunet", 2, 1, 3, "decoder.heads.0.weight", {"features": [2, 4]})
    )
    metadata = unet_bundle(tmp_path / "m", spec, graph=False).metadata
    assert metadata["network_data_format"]["inputs"]["image"]["spatial_shape"] == [8, 6]


def test_versions_are_those_that_the_project_asks_for(made):
    metadata = Bundle.load(made).metadata
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    bounds = dict(
        requirement.split(">=") for requirement in project["dependencies"] + project["optional-dependencies"]["train"]
    )
    packages = metadata["required_packages_version"] | metadata["optional_packages_version"]
    packages |= {"monai": metadata["monai_version"], "numpy": metadata["numpy_version"]}
    packages |= {"torch": metadata["pytorch_version"]}
    assert packages == {name: bounds[name] for name in packages}


def test_reading_and_checking_need_neither_torch_nor_safetensors(made):
    code = (
        "import sys; from MedSegDLLib.bundle import Bundle; Bundle.load(sys.argv[1]).verify(); "
        "print(sorted({'torch', 'safetensors', 'openvino', 'monai', 'scipy'} & set(sys.modules)))"
    )
    path = [str(ROOT / "MedSegDL")]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path}; {code}", str(made)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("folder", sorted((ROOT / "MedSegDL/Resources/Models").iterdir()), ids=lambda path: path.name)
def test_every_shipped_model_is_whole(folder):
    bundle = Bundle.load(folder)
    bundle.verify()
    assert bundle.name == folder.name
    assert bundle.graph_path and (folder / "LICENSE").is_file() and (folder / "docs/README.md").is_file()


def test_class_values_are_bytes(tmp_path):
    bundle = threshold_bundle(tmp_path / "m", labels=labels(255, 7), graph=False)
    assert bundle.spec.class_values.dtype == np.uint8
    assert bundle.spec.class_values.tolist() == [0, 255, 7]
    assert not (tmp_path / "m" / GRAPH).exists()
