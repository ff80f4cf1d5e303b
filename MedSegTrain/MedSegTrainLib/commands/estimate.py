"""medseg estimate: what a benchmark will take."""

from __future__ import annotations

import json
from pathlib import Path


def add_to(commands) -> None:
    """Add the verb `estimate` to the sub-commands of a parser."""
    estimate = commands.add_parser("estimate", help="time, memory and disk that a benchmark will take")
    estimate.add_argument("plan", type=Path, help="as for 'medseg benchmark'")
    estimate.add_argument("--output", type=Path, required=True, metavar="RUNS", help="folder of the benchmark")
    estimate.add_argument("--data", type=Path, help="folder of the data sets (default: that of the plan)")
    estimate.add_argument("--cpu", action="store_true", help="for training on the processor")
    json_help = "a line of JSON for each network, and the estimate in the last"
    estimate.add_argument("--json", action="store_true", help=json_help)
    estimate.set_defaults(run=_estimate)


def _estimate(options) -> int:
    from dataclasses import asdict

    from ..benchmark.estimate import estimate_plan, tell
    from ..benchmark.plan import read_plan

    def progress(done: int, total: int, name: str) -> None:
        if options.json:
            print(json.dumps({"event": "progress", "done": done, "total": total, "name": name}), flush=True)

    data = options.data or options.plan.parent
    found = estimate_plan(read_plan(options.plan), options.output, data, options.cpu, progress)
    if options.json:
        print(json.dumps({"event": "estimate", **asdict(found)}), flush=True)
    else:
        print(*tell(found), sep="\n")
    return 0
