"""On what a run was done, for the report: processor, GPU, versions. No name of a computer or a user."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import MedSegDLLib

_PACKAGES = ("torch", "monai", "lightning", "numpy", "openvino", "scikit-learn")


def hardware(device: str = "cpu") -> str:
    """ "NVIDIA H100 80GB HBM3, AMD EPYC, 16 cores"."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return ", ".join(filter(None, ["" if device == "cpu" else _gpu(), _processor(), f"{cores} cores"]))


def versions() -> dict[str, str]:
    found = {"MedSegDL": MedSegDLLib.__version__, "Python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _gpu() -> str:
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else ""


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        lines = []
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.machine())
