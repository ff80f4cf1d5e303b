"""Run the trainings in turn, each in a fresh process on one thread."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

from environment import LIBRARIES, ROOT

_HERE = Path(__file__).parent
_SAME = {"classes": 3, "patch": (40, 56, 40), "batch": 2, "features": (16, 32, 64, 128)}
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Run:
    """What one process measured: see training_peers.Measured."""

    prepare_s: float
    steps: list[list[float]]
    again: list[list[float]]
    peak_bytes: int


@dataclass(frozen=True)
class Summary:
    """A peer on so many cases: medians over steps of wall seconds, means of processor seconds, over all runs."""

    step_s: float
    step_cpu_s: float
    again_cpu_s: float
    prepare_s: float
    peak_bytes: int

    @property
    def outside_network(self) -> float:
        """Share of a step that is neither network, loss nor optimiser."""
        return 1 - self.again_cpu_s / self.step_cpu_s

    @staticmethod
    def of(runs: list[Run]) -> Summary:
        steps = [step for run in runs for step in run.steps]
        again = [step for run in runs for step in run.again]
        return Summary(
            median(wall for wall, _ in steps),
            mean(cpu for _, cpu in steps),
            mean(cpu for _, cpu in again),
            median(run.prepare_s for run in runs),
            max(run.peak_bytes for run in runs),
        )


@dataclass(frozen=True)
class Comparison:
    """The runs of each peer on each number of cases."""

    runs: dict[tuple[str, int], list[Run]]
    same: dict

    def summary(self, peer: str, cases: int) -> Summary:
        return Summary.of(self.runs[peer, cases])


def compare(data: Path, counts: list[int], peers: list[str], seconds: float, repeat: int) -> Comparison:
    names = sorted(path.name for path in (data / "images").glob("[!.]*.nii.gz"))
    if len(names) < max(counts):
        sys.exit(f"{data} holds {len(names)} cases; --cases asks for {max(counts)}.")
    runs = {(peer, count): [] for count in counts for peer in peers}
    for _ in range(repeat):
        for peer, count in runs:
            print(f"{count} cases: {peer}", file=sys.stderr)
            runs[peer, count].append(_run(peer, data, names[:count], seconds))
    return Comparison(runs, _SAME)


def _run(peer: str, data: Path, cases: list[str], seconds: float) -> Run:
    with tempfile.TemporaryDirectory(prefix="medseg-benchmark-") as work:
        task, result, log = (Path(work) / name for name in ("task.json", "result.json", "log.txt"))
        task.write_text(json.dumps({"folder": str(data), "cases": cases, "work": work, **_SAME}))
        paths = os.pathsep.join(map(str, (_HERE, LIBRARIES, ROOT / "MedSegTrain")))
        variables = os.environ | dict.fromkeys(_THREAD_VARIABLES, "1") | {"PYTHONPATH": paths}
        command = [sys.executable, "-m", "training_peers", peer, str(task), str(result), str(seconds)]
        with open(log, "w") as output:
            code = subprocess.run(command, env=variables, stdout=output, stderr=subprocess.STDOUT, cwd=work).returncode
        if code:
            sys.exit(f"{log.read_text()}\n{peer} failed with exit code {code}; what it printed is above.")
        return Run(**json.loads(result.read_text()))
