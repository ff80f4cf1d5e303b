"""What Slicer packages, what the Extensions Index accepts, and what the requirement files promise."""

from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import MedSegDLLib
import update_cmake
from run import CONSTRAINTS, ROOT, STEPS, Step
from update_cmake import MODULES

ENTRY = ROOT / "MedSegDL.json"
# The rules of slicer-extension-catalog-entry-schema-v1.0.2.json.
SCHEMA = {
    "type": "object",
    "required": ["$schema", "category", "scm_url"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"type": "string"},
        "category": {"type": "string"},
        "scm_url": {"type": "string"},
        "scm_revision": {"type": "string"},
        "scm_type": {"enum": ["git", "local"]},
        "build_dependencies": {"type": "array", "items": {"type": "string"}},
        "dicom_support_rule": {"type": "string"},
        "build_subdirectory": {"type": "string"},
        "enabled": {"type": "boolean"},
        "tier": {"type": "integer", "minimum": 1, "maximum": 5},
    },
}
SCHEMA_URL = re.compile(r"https://.*/Schemas/slicer-extension-catalog-entry-schema-v1\.0\.2\.json#?")
CATEGORIES = {"Active Learning", "Pipelines", "Segmentation", "Training"}  # of the index's list, those that could fit
RAW_URL = "https://raw.githubusercontent.com/MedSegDL/SlicerMedSegDL/main/"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CMAKE = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")


# ---- CMake lists


@pytest.mark.parametrize("module", MODULES)
def test_cmake_lists_exactly_what_lies_on_disk(module):
    cmake = (ROOT / module / "CMakeLists.txt").read_text(encoding="utf-8")
    hint = "run: python3 Testing/update_cmake.py"
    assert update_cmake.listed(cmake) == update_cmake.on_disk(ROOT / module), hint


@pytest.fixture
def module(tmp_path) -> Path:
    """A module's folder whose CMakeLists.txt is up to date."""
    scripts, resources = ("M.py", "MLib/__init__.py", "MLib/deep/part.py"), ("Icons/M.svg", "Models/a/LICENSE")
    for name in (*scripts, *(f"Resources/{resource}" for resource in resources)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    empty = "set(MODULE_PYTHON_SCRIPTS\n  )\n\nset(MODULE_PYTHON_RESOURCES\n  )\n\nmacro(NAME x)\n"
    (tmp_path / "CMakeLists.txt").write_text(update_cmake.updated(empty, update_cmake.on_disk(tmp_path)))
    return tmp_path


def is_up_to_date(module: Path) -> bool:
    return update_cmake.listed((module / "CMakeLists.txt").read_text()) == update_cmake.on_disk(module)


def test_the_lists_are_written_sorted_and_the_rest_is_kept(module):
    assert (module / "CMakeLists.txt").read_text() == (
        "set(MODULE_PYTHON_SCRIPTS\n  M.py\n  MLib/__init__.py\n  MLib/deep/part.py\n  )\n\n"
        "set(MODULE_PYTHON_RESOURCES\n  Resources/Icons/M.svg\n  Resources/Models/a/LICENSE\n  )\n\n"
        "macro(NAME x)\n"
    )
    assert is_up_to_date(module)


@pytest.mark.parametrize("name", ["MLib/new.py", "Resources/Models/a/model.bin"])
def test_a_file_that_is_not_listed_is_noticed(module, name):
    (module / name).write_text("")
    assert not is_up_to_date(module)


@pytest.mark.parametrize("name", ["MLib/deep/part.py", "Resources/Icons/M.svg"])
def test_a_listed_file_that_is_gone_is_noticed(module, name):
    (module / name).unlink()
    assert not is_up_to_date(module)


# ---- The Extensions Index


def entry_problems(name: str, text: str) -> Iterator[str]:
    """What the index would object to in the entry `name`.json."""
    if "\r" in text or not text.endswith("}\n"):
        yield "line ends"
    entry = json.loads(text)
    yield from (error.message for error in jsonschema.Draft7Validator(SCHEMA).iter_errors(entry))
    if not SCHEMA_URL.fullmatch(entry.get("$schema", "")):
        yield "schema URL"
    if entry.get("category") not in CATEGORIES:
        yield "category"
    if not re.fullmatch(rf"(https|git)://.+/Slicer{name}\.git", entry.get("scm_url", "")):
        yield "repository"
    if name.lower().startswith("slicer"):
        yield "name"


def test_the_index_entry_keeps_the_rules():
    assert list(entry_problems(ENTRY.stem, ENTRY.read_bytes().decode("utf-8"))) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"description": "no place for it"}, "Additional properties"),
        ({"tier": 6}, "greater than the maximum"),
        ({"tier": "1"}, "not of type 'integer'"),
        ({"build_dependencies": "PyTorch"}, "not of type 'array'"),
        ({"scm_type": "svn"}, "not one of"),
        ({"category": "Segmentations"}, "category"),
        ({"$schema": "https://example.org/v1.0.0.json"}, "schema URL"),
        ({"scm_url": "https://github.com/MedSegDL/MedSegDL.git"}, "repository"),
        ({"scm_url": "git@github.com:MedSegDL/SlicerMedSegDL.git"}, "repository"),
    ],
)
def test_a_broken_entry_is_noticed(change, problem):
    text = json.dumps(json.loads(ENTRY.read_text()) | change, indent=2) + "\n"
    (found,) = entry_problems("MedSegDL", text)
    assert problem in found


@pytest.mark.parametrize("key", ["$schema", "category", "scm_url"])
def test_a_missing_key_is_noticed(key):
    entry = json.loads(ENTRY.read_text())
    del entry[key]
    assert f"'{key}' is a required property" in list(entry_problems("MedSegDL", json.dumps(entry) + "\n"))


@pytest.mark.parametrize("text", ["{0}", "{0}\r\n", "{0}\n\n"])
def test_wrong_line_ends_are_noticed(text):
    assert list(entry_problems("MedSegDL", text.format(ENTRY.read_text().strip()))) == ["line ends"]


def test_a_name_that_repeats_slicer_is_noticed():
    assert "name" in list(entry_problems("SlicerMedSegDL", ENTRY.read_text()))


def metadata(name: str) -> str:
    """An EXTENSION_ variable as the index's checker reads it: one quoted string."""
    (value,) = re.findall(rf'^set\(EXTENSION_{name} "([^"]+)"\)$', CMAKE, re.MULTILINE)
    return value


def test_cmake_agrees_with_the_index_entry():
    entry = json.loads(ENTRY.read_text())
    assert re.findall(r"^project\((\w+)\)$", CMAKE, re.MULTILINE) == [ENTRY.stem]
    assert metadata("DEPENDS").split() == entry["build_dependencies"] == ["PyTorch"]
    assert metadata("HOMEPAGE").startswith(entry["scm_url"].removesuffix(".git"))
    assert len(metadata("DESCRIPTION")) > 40 and metadata("CONTRIBUTORS")
    assert re.findall(r"^add_subdirectory\((\w+)\)$", CMAKE, re.MULTILINE) == list(MODULES)


@pytest.mark.parametrize("url", [metadata("ICONURL"), *metadata("SCREENSHOTURLS").split()])
def test_icon_and_screenshots_are_pictures_of_this_repository(url):
    path = ROOT / url.removeprefix(RAW_URL)
    assert url.startswith(RAW_URL) and path.suffix == ".png"
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_the_extension_icon_has_the_size_that_the_catalog_shows():
    header = (ROOT / metadata("ICONURL").removeprefix(RAW_URL)).read_bytes()[:24]
    assert struct.unpack(">II", header[16:]) == (128, 128)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_an_icon_that_qt_can_draw(module):
    icon = ElementTree.parse(ROOT / module / "Resources" / "Icons" / f"{module}.svg").getroot()
    assert icon.tag == "{http://www.w3.org/2000/svg}svg" and "viewBox" in icon.attrib


def test_the_licence_lies_in_the_root():
    text = (ROOT / "LICENSE.txt").read_text(encoding="utf-8")
    assert "Apache License" in text and "Version 2.0" in text and "END OF TERMS AND CONDITIONS" in text


# ---- Requirements


def lines_of(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines()


def requirements(lines: list[str]) -> dict[str, Requirement]:
    found = [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


PROJECT = PYPROJECT["project"]
DECLARED = requirements([*PROJECT["dependencies"], *sum(PROJECT["optional-dependencies"].values(), [])])


@pytest.mark.parametrize("module", MODULES)
def test_slicer_installs_what_the_project_declares_and_torch_by_its_own_way(module):
    needed = requirements(lines_of(ROOT / module / "Resources" / "requirements.txt"))
    assert needed and "torch" not in needed
    assert needed == {name: DECLARED[name] for name in needed}


def test_dependencies_are_lower_bounds():
    for requirement in DECLARED.values():
        assert [each.operator for each in requirement.specifier] == [">="], requirement


def test_the_versions_that_are_tested_are_versions_that_are_allowed():
    pins = requirements(lines_of(CONSTRAINTS))
    for name, requirement in DECLARED.items():
        (pin,) = pins[name].specifier
        assert requirement.specifier.contains(pin.version), requirement


def installed_by(step: Step) -> set[str]:
    return set(requirements([line for file in step.files if file != CONSTRAINTS for line in lines_of(file)]))


def test_the_demo_installs_neither_torch_nor_monai():
    (demo,) = STEPS["demo"]
    assert {"slicer-core", "openvino"} <= installed_by(demo)
    assert not installed_by(demo) & {"lightning", "monai", "torch", "torchmetrics"}


def test_the_tests_install_torch_first_and_alone_and_all_that_the_demo_does():
    torch, rest = STEPS["test"]
    assert torch.options[0] == "torch" and not installed_by(torch)
    assert installed_by(STEPS["demo"][0]) < installed_by(rest)


def test_every_package_is_pinned():
    pins = requirements(lines_of(CONSTRAINTS))
    assert all(str(pin.specifier).startswith("==") for pin in pins.values())
    assert installed_by(STEPS["test"][1]) | set(DECLARED) <= set(pins)


def test_there_is_one_version():
    assert PROJECT["version"] == MedSegDLLib.__version__


# ---- Style


def test_ruff_finds_nothing():
    report = subprocess.run([sys.executable, "-m", "ruff", "check", ROOT], capture_output=True, text=True)
    assert report.returncode == 0, report.stdout
