"""The benchmarks' own environments: nnU-Net and its like never enter the project's. Standard library only."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = ROOT / "MedSegDL"
sys.path[:0] = [str(ROOT / "Testing"), str(LIBRARIES)]

from run import CONSTRAINTS, TORCH, SetupError, Step, prepare, python_of  # noqa: E402


@dataclass(frozen=True)
class Environment:
    """A folder in the project's root and the file of what it holds beside torch."""

    folder: Path
    requirements: Path
    torchvision: bool  # wanted there: its wheel does not import beside a CPU build of torch without help

    def enter(self) -> None:
        """Make the environment if needed, then go on in it: returns only in its own Python."""
        if Path(sys.prefix) == self.folder:
            return
        peers = Step("benchmark", ("--requirement", str(self.requirements)), (self.requirements, CONSTRAINTS))
        try:
            prepare(self.folder, (TORCH, peers))
        except SetupError as error:
            sys.exit(str(error))
        if not self.torchvision:
            self._remove_torchvision()
        python = str(python_of(self.folder))
        os.execv(python, [python, *sys.argv])

    def _remove_torchvision(self) -> None:
        """nnU-Net's dependencies bring it, though none of them needs it, and break where it does not import."""
        if any(self.folder.glob("lib/*/site-packages/torchvision")):
            command = [python_of(self.folder), "-m", "pip", "uninstall", "--quiet", "--yes", "torchvision"]
            subprocess.run(command, check=True)


_HERE = Path(__file__).parent
INFERENCE = Environment(ROOT / ".venv-benchmark", _HERE / "requirements.txt", torchvision=False)
NETWORKS = Environment(ROOT / ".venv-benchmark-networks", _HERE / "requirements-networks.txt", torchvision=True)
