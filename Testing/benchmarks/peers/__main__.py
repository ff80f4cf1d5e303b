"""Run one peer once, in a process of its own: python -m peers NAME CASE_FOLDER RESULT.json THREADS"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

from case import Case
from measure import Steps


def main(name: str, case_folder: str, result: str, threads: str) -> None:
    steps = Steps()
    with steps("import"):
        peer = import_module(f"peers.{name}")
    peer.run(Case(Path(case_folder)), steps, int(threads))
    Path(result).write_text(json.dumps(steps.to_dict()))


if __name__ == "__main__":
    main(*sys.argv[1:])
