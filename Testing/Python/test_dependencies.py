"""What is missing, too old or broken in a worker's Python, found in true child processes with toy packages."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from MedSegDLLib.dependencies import CPU_BUILD, NO_TORCH, Findings, Requirement, assess, examine, probe, required
from MedSegDLLib.errors import WorkerError

FINE = Requirement("medseg_fine", "1.2")
PYTHON_SLICER = "/opt/Slicer/bin/PythonSlicer"


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Makes a package that the child process will find before all others."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def make(name: str, source: str = "", version: str = "1.2.0") -> Requirement:
        (tmp_path / f"{name}.py").write_text(source)
        if version:
            metadata = tmp_path / f"{name}-{version}.dist-info" / "METADATA"
            metadata.parent.mkdir()
            metadata.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        return Requirement(name, "1.2")

    make("medseg_fine")
    return make


@pytest.fixture
def with_driver(tmp_path):
    """A machine with an NVIDIA driver, as the child process sees it."""
    patch = "from MedSegDLLib.engine import devices\ndevices.cuda_driver_present = lambda: True\n"
    (tmp_path / "sitecustomize.py").write_text(patch)


def look(*requirements: Requirement, **arguments) -> Findings:
    return examine(sys.executable, requirements, **arguments)


def test_all_is_well(packages):
    found = look(FINE)
    assert found.ok and not found.can_install and (found.sentence, found.remedy, found.details) == ("", "", "")


def test_what_the_tests_run_on_is_well():
    assert look(*required()).ok


def test_missing_outdated_and_broken_are_told_apart(packages):
    old = packages("medseg_old", version="1.1.9")
    broken = packages("medseg_broken", "raise TypeError('half an installation')")
    gone = packages("medseg_gone")
    (Path(os.environ["PYTHONPATH"]) / "medseg_gone.py").unlink()
    absent = Requirement("medseg_absent", "2")
    found = look(old, broken, gone, absent, FINE)
    assert (found.missing, found.outdated, found.broken) == ((absent,), (old,), (broken, gone))
    assert not found.ok and found.sentence == (
        "Installed, but damaged: medseg_broken>=1.2, medseg_gone>=1.2. Not installed yet: medseg_absent>=2. "
        "Installed, but too old: medseg_old>=1.2."
    )
    assert "TypeError: half an installation" in found.details and "medseg_broken.py" in found.details


def test_a_package_that_takes_the_process_down_is_one_finding(packages):
    crash = packages("medseg_crash", "import os\nos._exit(3)")
    abort = packages("medseg_abort", "import os\nos.abort()")
    absent = Requirement("medseg_absent")
    found = look(crash, abort, absent, FINE)
    assert found.broken == (crash, abort) and found.missing == (absent,)
    assert "ended with exit code 3" in found.details and "crashed (signal 6)" in found.details
    assert "medseg_abort.py" in found.details, "the fault handler says where"


def test_a_package_that_hangs_is_one_finding(packages):
    hangs = packages("medseg_hangs", "import time\ntime.sleep(30)")
    found = assess((hangs, FINE), probe(sys.executable, (hangs, FINE), seconds=0.5), sys.executable)
    assert found.broken == (hangs,) and "did not end" in found.details and "medseg_hangs.py" in found.details


def test_a_package_that_prints_disturbs_nobody(packages):
    assert look(packages("medseg_prints", "import os\nprint('{}')\nos.write(1, b'noise')"), FINE).ok


def test_a_package_that_waits_for_a_missing_one_is_not_broken(packages):
    needy = packages("medseg_needy", "import medseg_absent")
    absent = Requirement("medseg_absent")
    assert look(needy, absent).broken == () and look(needy, absent).missing == (absent,)
    assert look(needy, FINE).broken == (needy,), "pip cannot know what else it needs"


def test_a_package_without_metadata_is_as_good_as_its_import(packages):
    assert look(packages("medseg_bare", version="")).ok


@pytest.mark.parametrize(
    ("version", "minimum", "is_lower"),
    [
        ("2.8.0+cu128", "2.8", False),
        ("2.10.1", "2.9", False),
        ("2025.0.0-19-abc", "2025.0", False),
        ("3.9", "3.23", True),
        ("2.0.0rc1", "2.0", False),
        ("1", "1.0.1", True),
        ("unknown", "", False),
    ],
)
def test_versions(version, minimum, is_lower):
    requirement = Requirement("a", minimum)
    found = assess([requirement], {"a": {"name": "a", "version": version}}, PYTHON_SLICER)
    assert bool(found.outdated) == is_lower


# PyTorch and the GPU

TORCH = """
class version:
    cuda = {cuda}
class Tensor:
    __mul__ = sum = lambda self, *_: self
    def item(self): {kernel}
def ones(*_, device): return Tensor()
"""


@pytest.mark.parametrize(
    ("cuda", "kernel", "problem", "remedy"),
    [
        ("None", "return 1", CPU_BUILD, "Reinstall PyTorch for the GPU"),
        ("'12.8'", "return 1", "", ""),
        ("'12.8'", "raise RuntimeError('no kernel image\\nmore')", "no kernel image", "Update the NVIDIA driver"),
        ("'12.8'", "raise AssertionError('not compiled')", "not compiled", "Update the NVIDIA driver"),
    ],
)
def test_a_gpu_that_lies_idle(cuda, kernel, problem, remedy, packages, with_driver):
    packages("torch", TORCH.format(cuda=cuda, kernel=kernel), "2.8.0")
    found = look(FINE)
    assert found.gpu_problem == problem and found.remedy.startswith(remedy) and bool(found.sentence) == bool(problem)
    assert found.ok, "the CPU does it too"
    assert look(FINE, Requirement("torch", "2.8"), gpu_needed=True).ok == (problem == "")


def test_a_gpu_without_pytorch(packages, with_driver):
    packages("torch", "raise ModuleNotFoundError(name='torch')", "")
    found = look(FINE)
    assert found.gpu_problem == NO_TORCH and found.ok and found.remedy == "Install PyTorch; until then the CPU is used."
    needed = absent(Requirement("torch", "2.8"))
    assert needed.missing == (Requirement("torch", "2.8"),) and needed.gpu_problem == ""


def test_a_broken_pytorch_that_nobody_needs_stops_nothing(packages, with_driver):
    packages("torch", "raise OSError('libcudart.so is missing')", "2.8.0")
    found = look(FINE)
    assert found.ok and found.sentence == (
        "PyTorch cannot compute on the NVIDIA GPU: OSError: libcudart.so is missing."
    )


def test_without_a_driver_nobody_asks_for_pytorch(packages):
    packages("torch", "import os\nos._exit(1)")
    assert look(FINE) == Findings(python=sys.executable)


# What is required, and what can be done


class FakeBundle:
    def __init__(self, graph_path):
        self.graph_path = graph_path


@pytest.mark.parametrize(
    ("bundle", "device", "needs_torch"),
    [
        (None, "auto", False),
        (FakeBundle(Path("model.xml")), "auto", False),
        (FakeBundle(Path("model.xml")), "cpu", False),
        (FakeBundle(Path("model.xml")), "cuda:1", True),
        (FakeBundle(None), "cpu", True),
    ],
)
def test_pytorch_only_where_it_is_needed(bundle, device, needs_torch):
    names = {requirement.name for requirement in required(bundle, device)}
    assert ("torch" in names) == ("monai" in names) == needs_torch
    assert {"openvino", "connected-components-3d", "numpy"} <= names


def absent(*requirements: Requirement, python=PYTHON_SLICER) -> Findings:
    reports = {
        requirement.name: {"name": requirement.name, "version": "", "error": "none", "absent": requirement.module}
        for requirement in requirements
    }
    return assess(requirements, reports, python)


def test_slicers_own_python_is_mended_by_us():
    found = absent(Requirement("connected-components-3d", "3.23"))
    assert found.can_install and found.remedy.startswith("Install them now")


def test_what_slicer_brings_is_not_replaced():
    found = absent(Requirement("numpy"), Requirement("openvino", "2025.0"))
    assert not found.ok and not found.can_install and "install Slicer again" in found.remedy


def test_a_python_of_the_users_own_is_not_touched():
    found = absent(Requirement("numpy"), Requirement("openvino", "2025.0"), python="/home/me/env/bin/python")
    assert not found.can_install and found.remedy == (
        'In a terminal, run: "/home/me/env/bin/python" -m pip install --force-reinstall "numpy" "openvino>=2025.0"'
    )


def test_the_sentences_can_be_translated():
    requirement = Requirement("a", "1")
    report = {"name": "a", "version": "", "error": "none", "absent": "a"}
    found = assess([requirement], {"a": report}, PYTHON_SLICER, translate=lambda text: f"<{text}>")
    assert found.sentence == "<Not installed yet: a>=1.>" and found.remedy.startswith("<Install them")


def test_no_python_and_no_worker_python(tmp_path):
    with pytest.raises(WorkerError, match="could not be started"):
        examine(str(tmp_path / "none"), [FINE])
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho too old >&2\nexit 1\n")
    script.chmod(0o755)
    with pytest.raises(WorkerError, match="it ended at once") as caught:
        examine(str(script), [FINE])
    assert "too old" in caught.value.details
