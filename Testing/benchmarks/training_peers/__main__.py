"""Measure one peer in a process of its own: python -m training_peers NAME TASK.json RESULT.json SECONDS"""

from __future__ import annotations

import json
import resource
import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

import torch

from . import Task


def main(name: str, task: str, result: str, seconds: str) -> None:
    torch.set_num_threads(1)
    data = json.loads(Path(task).read_text())
    measured = import_module(f"training_peers.{name}").run(
        Task(**data | {key: Path(data[key]) for key in ("folder", "work")}), float(seconds)
    )
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    Path(result).write_text(json.dumps(asdict(measured) | {"peak_bytes": peak_bytes}))


if __name__ == "__main__":
    main(*sys.argv[1:])
