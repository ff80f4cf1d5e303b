#!/usr/bin/env python3
"""Compare MedSegTrain's training with nnU-Net's trainer and a plain MONAI loop: same network, patch, batch and data.

    python3 Testing/benchmarks/training.py --data FOLDER

FOLDER holds images/ and labels/ of equal names (NIfTI), for instance the Decathlon's hippocampus. See README.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import environment

PEERS = ("medsegtrain", "medsegtrain_bf16", "nnunet", "monai", "monai_bf16")
RESULTS = Path(__file__).with_name("results")


def main() -> None:
    arguments = parse_arguments()
    environment.INFERENCE.enter()
    from training_comparison import compare
    from training_report import write_report

    comparison = compare(arguments.data, arguments.cases, arguments.peers, arguments.seconds, arguments.repeat)
    print(write_report(comparison, arguments.output / "training"))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with images/ and labels/")
    parser.add_argument("--cases", type=int, nargs="+", default=[20, 200], help="how many to train on (20, 200)")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), help="default: all")
    parser.add_argument("--seconds", type=float, default=40, help="of steps to measure in each run (default: 40)")
    parser.add_argument("--repeat", type=int, default=2, help="runs of each, in turn (default: 2)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the .md and .json (default: results)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
