"""python -m MedSegTrainLib.benchmark.cost_process: what a bundle costs, in a process that has done nothing else.

The process of a run has trained, and its peak memory tells of that. One JSON object comes in: bundle, images and label
of some cases, device, threads; another goes out.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from MedSegDLLib.errors import MedSegError, WorkerError

from ..data.case import Case
from ..data.reserved_output import reserved_output

_WARM_RUNS = 3


def cost_of(bundle: Path, cases: Sequence[Case], device: str, threads: int) -> dict:
    """`evaluation.cost.Cost` of a bundle as a dict, over all cases. Raises what measuring it raises."""
    wanted = {
        "bundle": str(bundle),
        "cases": [{"images": list(map(str, case.images)), "label": str(case.label)} for case in cases],
        "device": device,
        "threads": threads,
    }
    done = subprocess.run(
        [sys.executable, "-m", __spec__.name], input=json.dumps(wanted), stdout=subprocess.PIPE, text=True
    )
    try:
        answer = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError) as error:
        raise WorkerError(
            f"Measuring what the model costs ended with exit code {done.returncode}.", "Look into the run's log."
        ) from error
    if "error" in answer:
        raise MedSegError.from_dict(answer["error"])
    return answer


def main() -> int:
    from MedSegDLLib.bundle import Bundle

    from ..evaluation.cost import measure_cost

    wanted = json.loads(sys.stdin.read())
    answer = reserved_output()
    try:
        volumes = [Case("case", case["images"], case["label"]).load()[0] for case in wanted["cases"]]
        bundle, threads = Bundle.load(wanted["bundle"]), wanted["threads"] or None
        told = measure_cost(bundle, volumes, wanted["device"], _WARM_RUNS, threads=threads).to_dict()
    except MedSegError as error:
        told = {"error": error.to_dict()}
    with answer:
        answer.write(json.dumps(told) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
