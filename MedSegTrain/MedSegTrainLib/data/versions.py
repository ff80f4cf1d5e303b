"""Versions of what something was made with, for whoever wants to repeat it."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import MedSegDLLib


def versions(*packages: str) -> dict[str, str]:
    """Of the extension, of Python, and of those packages that are there."""
    found = {"MedSegDL": MedSegDLLib.__version__, "Python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
