"""The sample that comes with the extension: what it is, and how Slicer's module Sample Data gets it."""

from __future__ import annotations

import importlib
import shutil
import sys
import urllib.request
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import slicer

import fake_slicer
from MedSegDLLib.bundle import sha256
from MedSegDLLib.files import read_volume
from MedSegDLLib.models import SAMPLE, SHIPPED
from MedSegTrainLib.evaluation.results import HeldBack, evaluate_bundle
from MedSegTrainLib.evaluation.summary import over_structures

sys.path.append(str(Path(__file__).resolve().parents[1]))

from draw_sample import draw  # noqa: E402


@pytest.fixture(scope="module")
def phantom():
    return draw()


def test_the_file_is_what_its_script_draws(phantom):
    image = read_volume(SAMPLE)
    np.testing.assert_array_equal(image.array, phantom.image.array)
    np.testing.assert_allclose(image.ijk_to_ras, phantom.image.ijk_to_ras, atol=1e-6)
    assert SAMPLE.stat().st_size < 5e5


def test_the_model_for_it_finds_its_structures(phantom):
    case = HeldBack("sample", lambda: ((read_volume(SAMPLE),), phantom.truth))
    assert over_structures(evaluate_bundle(SHIPPED / "thorax-phantom", [case], threads=1), "dice").mean > 0.85


def test_sample_data_copies_it_from_where_it_lies(monkeypatch, tmp_path):
    registered = []
    sample_data = ModuleType("SampleData")
    sample_data.SampleDataLogic = SimpleNamespace(
        registerCustomSampleDataSource=lambda **source: registered.append(source)
    )
    fake_slicer.install(monkeypatch)
    monkeypatch.setitem(sys.modules, "SampleData", sample_data)
    monkeypatch.delitem(sys.modules, "MedSegDLLib.gui.sample_data", raising=False)
    register = importlib.import_module("MedSegDLLib.gui.sample_data").registerSample
    monkeypatch.setattr(slicer, "modules", SimpleNamespace(), raising=False)
    register()
    assert not registered, "a Slicer that was built without Sample Data"
    slicer.modules.sampledata = object()
    register()
    (source,) = registered
    copied, _headers = urllib.request.urlretrieve(source["uris"], tmp_path / source["fileNames"])  # as Sample Data does
    assert source["checksums"] == f"SHA256:{sha256(Path(copied))}"
    sys.modules.pop("MedSegDLLib.gui.sample_data")


def test_the_address_serves_a_folder_with_any_name(tmp_path):
    folder = tmp_path / "Ärzte & Co #1 %20"
    folder.mkdir()
    address = Path(shutil.copy(SAMPLE, folder)).as_uri()
    assert Path(urllib.request.urlretrieve(address, tmp_path / "copy.nrrd")[0]).read_bytes() == SAMPLE.read_bytes()
