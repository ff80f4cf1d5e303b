"""Run the peers in turn, each in a fresh process, and put their measurements side by side."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from agreement import Agreement, agreements
from case import Case, make_case
from environment import LIBRARIES
from measure import Step
from peers import CHECK

_HERE = Path(__file__).parent
_NOT_OF_A_CASE = ("import", "load", CHECK)
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
    "nnUNet_def_n_proc",
)

Run = dict[str, Step]


@dataclass(frozen=True)
class Comparison:
    volume: str
    network: str
    threads: int
    runs: dict[str, list[Run]]  # of each peer
    agreements: list[Agreement]

    def medians(self, peer: str) -> Run:
        """Of each step, the median of each number over the runs."""
        runs = self.runs[peer]
        return {name: _median([run[name] for run in runs]) for name in runs[0]}


def compare(volume: str, network: str, peers: list[str], repeat: int, threads: int) -> Comparison:
    with tempfile.TemporaryDirectory(prefix="medseg-benchmark-") as folder:
        case = make_case(Path(folder), volume, network)
        runs = {peer: [] for peer in peers}
        for _ in range(repeat):
            for peer in peers:
                print(f"{volume} volume, {network} network: {peer}", file=sys.stderr)
                runs[peer].append(_run(peer, case, threads))
        return Comparison(volume, network, threads, runs, agreements(case, peers))


def case_steps(run: Run) -> Run:
    """The steps that every case costs: without start-up, which a warm process pays once."""
    return {name: step for name, step in run.items() if name not in _NOT_OF_A_CASE}


def beside_network(run: Run) -> Run:
    """The steps of a case without the network's forward calls."""
    return {name: step for name, step in case_steps(run).items() if name != "network"}


def _run(peer: str, case: Case, threads: int) -> Run:
    result, log = case.folder / "result.json", case.folder / f"{peer}.log"
    paths = os.pathsep.join((str(_HERE), str(LIBRARIES)))
    # a cache of its own, or the graphs of random networks would pile up in the user's
    places = {"PYTHONPATH": paths, "XDG_CACHE_HOME": str(case.folder / "cache")}
    variables = os.environ | dict.fromkeys(_THREAD_VARIABLES, str(threads)) | places
    command = [sys.executable, "-m", "peers", peer, str(case.folder), str(result), str(threads)]
    with open(log, "w") as output:
        code = subprocess.run(command, env=variables, stdout=output, stderr=subprocess.STDOUT).returncode
    if code:
        sys.exit(f"{log.read_text()}\n{peer} failed with exit code {code}; what it printed is above.")
    return {name: Step(**numbers) for name, numbers in json.loads(result.read_text()).items()}


def _median(steps: list[Step]) -> Step:
    return Step(**{name: median(getattr(step, name) for step in steps) for name in vars(steps[0])})
