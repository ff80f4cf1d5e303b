"""The benchmark's own environment, beside the project's: nnU-Net never enters ours. Standard library only."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = ROOT / "MedSegDL"
sys.path[:0] = [str(ROOT / "Testing"), str(LIBRARIES)]

from run import CONSTRAINTS, TORCH, SetupError, Step, prepare, python_of  # noqa: E402

ENVIRONMENT = ROOT / ".venv-benchmark"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
PEERS = Step("benchmark", ("--requirement", str(REQUIREMENTS)), (REQUIREMENTS, CONSTRAINTS))


def enter() -> None:
    """Make the environment if needed, then go on in it: returns only in its own Python."""
    if Path(sys.prefix) == ENVIRONMENT:
        return
    try:
        prepare(ENVIRONMENT, (TORCH, PEERS))
    except SetupError as error:
        sys.exit(str(error))
    remove_torchvision()
    python = str(python_of(ENVIRONMENT))
    os.execv(python, [python, *sys.argv])


def remove_torchvision() -> None:
    """nnU-Net's dependencies bring it, and its wheel does not import beside a CPU build of torch. None needs it."""
    if any(ENVIRONMENT.glob("lib/*/site-packages/torchvision")):
        subprocess.run(
            [python_of(ENVIRONMENT), "-m", "pip", "uninstall", "--quiet", "--yes", "torchvision"], check=True
        )
