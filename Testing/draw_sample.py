#!/usr/bin/env python3
"""Draw the sample that comes with the extension again: a thorax phantom, for the Sample Data module.

    .venv/bin/python Testing/draw_sample.py

It is coarser than the phantoms that its model was trained on, so that the file stays small.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / part) for part in ("MedSegDL", "MedSegTrain")]

from MedSegDLLib.files import write_volume  # noqa: E402
from MedSegDLLib.models import SAMPLE  # noqa: E402
from MedSegTrainLib.data.phantom import Phantom, draw_thorax  # noqa: E402

SEED = 4_000_000  # no training and no other measurement uses it
SPACING_MM = (5.0, 5.0, 5.0)


def draw() -> Phantom:
    """The phantom whose image the file holds."""
    return draw_thorax(SEED, SPACING_MM)


def main() -> int:
    SAMPLE.parent.mkdir(exist_ok=True)
    write_volume(draw().image, SAMPLE)
    print(f"{SAMPLE}: {SAMPLE.stat().st_size / 1e3:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
