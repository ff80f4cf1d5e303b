"""Writes each module's list of scripts and resources into its CMakeLists.txt, from the files on disk.

    python3 Testing/update_cmake.py

Slicer packages only what these lists name. Standard library only.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODULES = ("MedSegDL", "MedSegTrain")

_LIST = re.compile(r"set\((MODULE_PYTHON_SCRIPTS|MODULE_PYTHON_RESOURCES)\n(.*?) *\)", re.DOTALL)


def listed(cmake: str) -> dict[str, list[str]]:
    """The files that the text of a CMakeLists.txt names, by the name of the list."""
    return {name: entries.split() for name, entries in _LIST.findall(cmake)}


def on_disk(module: Path) -> dict[str, list[str]]:
    """The files of a module's folder, relative to it, by the name of the list they belong to."""
    files = sorted(path.relative_to(module) for path in module.rglob("*") if path.is_file() and not _is_litter(path))
    return {
        "MODULE_PYTHON_SCRIPTS": [path.as_posix() for path in files if path.suffix == ".py"],
        "MODULE_PYTHON_RESOURCES": [path.as_posix() for path in files if path.parts[0] == "Resources"],
    }


def updated(cmake: str, files: dict[str, list[str]]) -> str:
    """The text with its lists replaced."""

    def rewritten(match: re.Match) -> str:
        return "\n  ".join([f"set({match[1]}", *files[match[1]], ")"])

    return _LIST.sub(rewritten, cmake)


def _is_litter(path: Path) -> bool:
    return "__pycache__" in path.parts or path.name.startswith(".")


def main() -> int:
    for module in MODULES:
        path = ROOT / module / "CMakeLists.txt"
        before = path.read_text(encoding="utf-8")
        after = updated(before, on_disk(path.parent))
        path.write_text(after, encoding="utf-8", newline="\n")
        print(f"{path.relative_to(ROOT)}: {'unchanged' if after == before else 'updated'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
