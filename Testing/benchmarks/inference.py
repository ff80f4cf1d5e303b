#!/usr/bin/env python3
"""Compare MedSegDL's inference with nnU-Net's and MONAI's: same weights, same image, step by step.

    python3 Testing/benchmarks/inference.py --volume medium --network small

The first run makes an environment of its own, `.venv-benchmark`. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import environment

PEERS = ("medsegdl", "medsegdl_bf16", "nnunet", "monai")
RESULTS = Path(__file__).with_name("results")


def main() -> None:
    arguments = parse_arguments()
    if sys.platform != "linux":
        sys.exit("The peak memory of a step is read from Linux's /proc. Run this benchmark on Linux.")
    environment.INFERENCE.enter()
    from comparison import compare
    from report import write_report

    volumes = ("medium", "large") if arguments.volume == "both" else (arguments.volume,)
    for volume in volumes:
        comparison = compare(volume, arguments.network, arguments.peers, arguments.repeat, arguments.threads)
        print(write_report(comparison, arguments.output / f"inference-{volume}-{arguments.network}"))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--volume",
        choices=("medium", "large", "both"),
        default="medium",
        help="256x256x160 at 1x1x2 mm, or 512x512x320 at 0.8x0.8x1 mm (default: medium)",
    )
    parser.add_argument(
        "--network",
        choices=("tiny", "small", "nnunet"),
        default="small",
        help="width of the U-Net; nnunet is nnU-Net's plain one of 31.2 M parameters (default: small)",
    )
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), help="default: all")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each, in turn; medians are shown (default: 1)")
    parser.add_argument("--threads", type=int, default=1, help="threads of every peer (default: 1)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the .md and .json (default: results)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
