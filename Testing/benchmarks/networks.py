#!/usr/bin/env python3
"""Measure every network at its published size, beside the same network of another provider where there is one.

    python3 Testing/benchmarks/networks.py
    python3 Testing/benchmarks/networks.py --only nnunet deeplabv3 --repeat 5

The first run makes an environment of its own, `.venv-benchmark-networks`. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import environment

RESULTS = Path(__file__).with_name("results")


def main() -> None:
    arguments = parse_arguments()
    if sys.platform != "linux":
        sys.exit("The peak memory of a step is read from Linux's /proc. Run this benchmark on Linux.")
    environment.NETWORKS.enter()
    from MedSegDLLib.networks import names
    from network_comparison import QUICK_SIZES, SIZES, Effort, compare
    from network_report import Report

    chosen = arguments.only or names()
    unknown = sorted(set(chosen) - set(names()))
    if unknown:
        sys.exit(f"There is no network {', '.join(unknown)}. There are {', '.join(names())}.")
    sizes = QUICK_SIZES if arguments.quick else SIZES
    report = Report(arguments.output / "networks")
    for row in compare(chosen, Effort(arguments.repeat, arguments.seconds, arguments.threads, sizes)):
        print(report.add(row), file=sys.stderr)
    print(report.markdown())


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="networks by their names; default: all")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each after a first one (default: 3)")
    parser.add_argument("--seconds", type=float, default=10, help="start no more runs of a network then (default: 10)")
    parser.add_argument("--quick", action="store_true", help="small images, to see whether everything runs")
    parser.add_argument("--threads", type=int, default=1, help="threads of every network (default: 1)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the .md and .json (default: results)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
