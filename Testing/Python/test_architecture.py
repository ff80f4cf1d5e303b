"""Who may import whom: the contracts in pyproject.toml, what module files load, and what Slicer's process loads."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

from run import ROOT
from update_cmake import MODULES

PARTS = ROOT / "MedSegDL" / "MedSegDLLib"
OWN_PACKAGES = {"MedSegDLLib", "MedSegTrainLib", "SegmentEditorMedSegDLLib"}
ALLOWED_AT_FILE_SCOPE = OWN_PACKAGES | {"ctk", "qt", "slicer", "vtk"} | set(sys.stdlib_module_names)
WORKER_PARTS = ("MedSegDLLib.engine", "MedSegDLLib.networks")
WORKER_PACKAGES = {"lightning", "monai", "openvino", "torch"}
HEAVY_PACKAGES = WORKER_PACKAGES | {"SimpleITK", "highdicom", "matplotlib", "pydicom", "scipy"}
OUTSIDE_SLICER = {"__main__", "batch", "channels", "cli", "dicom", "engine", "files", "networks", "outputs", "studies"}
WITH_QT = {"gui"}
"""Not to be imported without it; what these import is checked by the contracts alone."""

VIOLATIONS = [
    ("layers", "MedSegDL/MedSegDLLib/volume.py", "from . import labels"),
    ("layers", "MedSegDL/MedSegDLLib/bundle.py", "from .engine import worker"),
    ("layers", "MedSegDL/MedSegDLLib/scene/__init__.py", "from ..engine import worker"),
    ("layers", "MedSegDL/MedSegDLLib/newcomer.py", "pass"),
    ("training layers", "MedSegTrain/MedSegTrainLib/data/dataset.py", "from ..training import train"),
    ("training layers", "MedSegTrain/MedSegTrainLib/newcomer.py", "pass"),
    ("direction", "MedSegDL/MedSegDLLib/cli.py", "import MedSegTrainLib.data"),
    ("basics", "MedSegDL/MedSegDLLib/client.py", "import torch"),
    ("basics", "MedSegDL/MedSegDLLib/volume.py", "from scipy import ndimage"),
    ("networks", "MedSegDL/MedSegDLLib/networks/registry.py", "from .. import bundle"),
    ("engine", "MedSegDL/MedSegDLLib/engine/worker.py", "import slicer.util"),
    ("engine", "MedSegDL/MedSegDLLib/engine/worker.py", "from .. import client"),
    ("scene", "MedSegDL/MedSegDLLib/scene/__init__.py", "import qt"),
    ("scene", "MedSegDL/MedSegDLLib/scene/__init__.py", "from monai import networks"),
    ("dicom", "MedSegDL/MedSegDLLib/dicom/__init__.py", "import vtk"),
    ("window", "MedSegTrain/MedSegTrainLib/training/losses.py", "import qt"),
]


def lint(tree: Path, *options: str) -> subprocess.CompletedProcess:
    """Check the contracts on the packages below `tree`."""
    command = [Path(sys.executable).with_name("lint-imports"), "--config", ROOT / "pyproject.toml", "--no-cache"]
    path = os.pathsep.join(str(tree / module) for module in MODULES)
    environment = os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([*command, *options], cwd=tree, env=environment, capture_output=True, text=True)


def test_every_part_imports_only_what_it_may():
    report = lint(ROOT)
    assert report.returncode == 0, report.stdout + report.stderr


@pytest.mark.parametrize(("contract", "file", "statement"), VIOLATIONS)
def test_a_forbidden_import_is_found_even_inside_a_function(contract, file, statement, tmp_path):
    for module in MODULES:
        shutil.copytree(ROOT / module, tmp_path / module, ignore=shutil.ignore_patterns("Resources", "__pycache__"))
    with open(tmp_path / file, "a") as source:
        source.write(f"\n\ndef later():\n    {statement}\n")
    report = lint(tmp_path, "--contract", contract)
    assert report.returncode == 1 and "1 broken" in report.stdout, report.stdout + report.stderr


def test_every_contract_is_shown_to_fail():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert {contract["id"] for contract in contracts} == {contract for contract, _, _ in VIOLATIONS}


def at_file_scope(tree: ast.AST) -> Iterable[ast.AST]:
    """Every node that runs when the file is imported: all but the bodies of functions."""
    for node in ast.iter_child_nodes(tree):
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from at_file_scope(node)


def imported(nodes: Iterable[ast.AST]) -> list[str]:
    modules = []
    for node in nodes:
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            modules += [f"{node.module}.{alias.name}" for alias in node.names]
    return modules


def complaints(source: str) -> list[str]:
    """What a module file must not import: third-party packages at file scope, the worker's parts anywhere."""
    tree = ast.parse(source)
    third_party = [name for name in imported(at_file_scope(tree)) if name.split(".")[0] not in ALLOWED_AT_FILE_SCOPE]
    return third_party + [name for name in imported(ast.walk(tree)) if name.startswith(WORKER_PARTS)]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_file_needs_nothing_that_slicer_lacks(module):
    assert complaints((ROOT / module / f"{module}.py").read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import torch", ["torch"]),
        ("from monai.networks import nets", ["monai.networks.nets"]),
        ("try:\n    import monai\nexcept ImportError:\n    monai = None", ["monai"]),
        ("class Logic:\n    import pydicom", ["pydicom"]),
        ("if True:\n    import numpy, qt", ["numpy"]),
        ("def run():\n    import torch", []),
        ("def run():\n    from MedSegDLLib.engine import worker", ["MedSegDLLib.engine.worker"]),
        ("def run():\n    from MedSegDLLib import engine", ["MedSegDLLib.engine"]),
        ("import os\nimport qt\nfrom slicer.i18n import tr\nfrom MedSegDLLib.scene import run", []),
    ],
)
def test_what_counts_as_a_complaint(source, found):
    assert complaints(source) == found


def packages_loaded_by(modules: Iterable[str]) -> set[str]:
    """Top-level packages that importing the modules adds to what Slicer's own imports load, in a fresh Python."""
    code = (
        "import importlib, json, sys, numpy, slicer, vtk\n"
        "before = set(sys.modules)\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
        "print(json.dumps([name.split('.')[0] for name in set(sys.modules) - before]))"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(str(ROOT / module) for module in MODULES)}
    process = subprocess.run([sys.executable, "-c", code, *modules], env=environment, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    return set(json.loads(process.stdout.splitlines()[-1]))


def modules_of_parts(wanted) -> list[str]:
    """Every module of MedSegDLLib whose part, the first name below the package, is wanted."""
    paths = [path.relative_to(PARTS.parent).with_suffix("") for path in sorted(PARTS.rglob("*.py"))]
    return [".".join(path.parts) for path in paths if path.name != "__init__" and wanted(path.parts[1])]


def test_what_runs_inside_slicer_loads_nothing_heavy():
    modules = modules_of_parts(lambda part: part not in OUTSIDE_SLICER | WITH_QT)
    assert "MedSegDLLib.client" in modules
    assert not packages_loaded_by(modules) & HEAVY_PACKAGES


def test_dicom_and_the_command_line_start_without_torch():
    modules = modules_of_parts(lambda part: part in {"batch", "cli", "dicom", "files", "outputs", "studies"})
    assert not packages_loaded_by(modules) & WORKER_PACKAGES


def test_a_heavy_import_would_be_seen():
    assert "scipy" in packages_loaded_by(["MedSegDLLib.errors", "scipy.ndimage"])
