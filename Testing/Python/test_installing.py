"""In which order the worker's Python is mended, and what happens where pip fails."""

from __future__ import annotations

from subprocess import CalledProcessError

import pytest

from MedSegDLLib.dependencies import CPU_BUILD, NO_TORCH, Findings, Requirement
from MedSegDLLib.errors import MedSegError
from MedSegDLLib.interaction.installing import mend

PYTHON = "/opt/Slicer/bin/PythonSlicer"
OPENVINO, CC3D = Requirement("openvino", "2025.0"), Requirement("connected-components-3d", "3.23")
TORCH, MONAI = Requirement("torch", "2.8"), Requirement("monai", "1.5")


class FakePip:
    def __init__(self, failing: str = ""):
        self.calls = []
        self._failing = failing

    def _take(self, method, argument):
        self.calls.append((method, argument))
        if method == self._failing:
            raise CalledProcessError(1, "pip", "no connection")

    def uninstall(self, names):
        self._take("uninstall", names)

    def install(self, requirements):
        self._take("install", requirements)

    def reinstall(self, requirements):
        self._take("reinstall", requirements)

    def install_torch(self, requirement):
        self._take("install_torch", requirement)


@pytest.mark.parametrize(
    ("found", "calls"),
    [
        (Findings(missing=(OPENVINO,), outdated=(CC3D,)), [
            ("install", ["openvino>=2025.0", "connected-components-3d>=3.23"]),
        ]),
        (Findings(missing=(CC3D,), broken=(OPENVINO,)), [
            ("uninstall", ["openvino"]),
            ("install", ["connected-components-3d>=3.23", "openvino>=2025.0"]),
        ]),
        (Findings(missing=(MONAI, TORCH)), [("install_torch", ">=2.8"), ("install", ["monai>=1.5"])]),
        (Findings(broken=(TORCH,)), [("uninstall", ["torch", "torchvision"]), ("install_torch", ">=2.8")]),
        (Findings(outdated=(TORCH,)), [("uninstall", ["torch", "torchvision"]), ("install_torch", ">=2.8")]),
        (Findings(gpu_problem=CPU_BUILD), [("uninstall", ["torch", "torchvision"]), ("install_torch", ">=2.8")]),
        (Findings(gpu_problem=NO_TORCH), [("install_torch", ">=2.8")]),
    ],
)  # fmt: skip
def test_the_order_of_things(found, calls):
    pip = FakePip()
    mend(Findings(found.missing, found.outdated, found.broken, found.gpu_problem, PYTHON), pip)
    assert pip.calls == calls


def test_what_pip_cannot_uninstall_is_installed_over():
    pip = FakePip("uninstall")
    mend(Findings(broken=(OPENVINO, TORCH), missing=(CC3D,), python=PYTHON), pip)
    assert pip.calls == [
        ("uninstall", ["torch", "torchvision"]),
        ("reinstall", ["torch>=2.8"]),
        ("uninstall", ["openvino"]),
        ("reinstall", ["openvino>=2025.0"]),
        ("install", ["connected-components-3d>=3.23"]),
    ]


def test_a_pip_that_fails_is_told_of():
    with pytest.raises(MedSegError, match="pip failed.*restart Slicer") as caught:
        mend(Findings(missing=(OPENVINO,), python=PYTHON), FakePip("install"))
    assert "no connection" in caught.value.details


@pytest.mark.parametrize(
    "found",
    [
        Findings(missing=(OPENVINO,), python="/usr/bin/python3", sentence="a", remedy="b"),
        Findings(missing=(Requirement("numpy"),), python=PYTHON, sentence="a", remedy="b"),
    ],
)
def test_what_is_not_ours_to_mend_is_not_touched(found):
    pip = FakePip()
    with pytest.raises(MedSegError, match="a b"):
        mend(found, pip)
    assert pip.calls == []
