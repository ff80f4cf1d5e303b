"""Imports the packages that a worker needs, one after another, and says how it went: run in the worker's Python.

    python -m MedSegDLLib.engine.probe SECONDS NAME=MODULE ...

One JSON object a line: {"importing": name} before an import, a report after it, so that one who reads the last line
knows which package took the process down. Needs nothing but the standard library.
"""

from __future__ import annotations

import faulthandler
import importlib
import importlib.metadata
import json
import os
import sys
import traceback
from collections.abc import Callable

from .devices import cuda_driver_present

_TORCH = "torch=torch"
_THROUGH = {"openvino": "MedSegDLLib.engine.private_openvino"}  # which keeps it from reporting to its maker


def main(arguments: list[str]) -> None:
    seconds, *packages = arguments
    send = _claimed_stdout()
    faulthandler.enable()
    faulthandler.dump_traceback_later(float(seconds), exit=True)  # an import that hangs says where, and ends
    driver = cuda_driver_present()
    if driver and _TORCH not in packages:
        packages.append(_TORCH)  # not needed for the run at hand, but a GPU that lies idle is worth a word
    for package in packages:
        name, module = package.split("=")
        send({"importing": name})
        send({"name": name, "version": _version(name), **_attempt(module, driver)})


def _claimed_stdout() -> Callable[[dict], None]:
    """Writes lines to standard output, which from now on gets nothing that libraries print."""
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def send(message: dict) -> None:
        print(json.dumps(message), file=lines, flush=True)

    return send


def _version(name: str) -> str:
    """What pip says is installed; '' for nothing."""
    try:
        return importlib.metadata.version(name) or ""  # None where an interrupted pip left half of the metadata
    except (importlib.metadata.PackageNotFoundError, KeyError):
        return ""


def _attempt(module: str, driver: bool) -> dict:
    try:
        importlib.import_module(_THROUGH.get(module, module))
        return {"gpu": _gpu_of_torch()} if module == "torch" and driver else {}
    except Exception as error:  # the border of a package: whatever it raises is the finding
        absent = error.name if isinstance(error, ModuleNotFoundError) else ""
        text = f"{type(error).__name__}: {error}"
        return {"error": text, "absent": absent, "traceback": "".join(traceback.format_exception(error))}


def _gpu_of_torch() -> dict:
    """Whether PyTorch is built for CUDA, and what stops it from computing there: only a kernel that ran is proof."""
    import torch

    if torch.version.cuda is None:
        return {"built_for_cuda": False, "error": ""}
    try:
        (torch.ones(8, device="cuda") * 2).sum().item()
    except (RuntimeError, AssertionError) as error:
        return {"built_for_cuda": True, "error": str(error).splitlines()[0]}
    return {"built_for_cuda": True, "error": ""}


if __name__ == "__main__":
    main(sys.argv[1:])
