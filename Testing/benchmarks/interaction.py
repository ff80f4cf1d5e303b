#!/usr/bin/env python3
"""Measure how long a click takes: from the click to the preview, and until the window has control again.

    .venv/bin/python Testing/benchmarks/interaction.py

A synthetic chest CT of 512x512x200 voxels, a warm worker process, and the prompter that needs no training. Runs in the
project's own environment.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np

import document
import environment
from clicking.robot import dice, next_click

sys.path.append(str(environment.ROOT / "MedSegTrain"))

from MedSegDLLib.client import PromptedMask, Worker  # noqa: E402
from MedSegDLLib.prompts import Point, Prompts  # noqa: E402
from MedSegDLLib.volume import Volume  # noqa: E402
from MedSegTrainLib.data.phantom import LABELS, draw_thorax  # noqa: E402

RESULTS = Path(__file__).with_name("results")
PACKAGES = ("SimpleITK", "scipy", "numpy")
SHAPE, SPACING_MM = (200, 512, 512), (0.7, 0.7, 1.6)
CLICKS = 3
_SEEN_MM = 60.0  # around a structure; what is wrong farther away the robot does not see


@dataclass(frozen=True)
class Click:
    """One click and its answer, which the worker spent `worker_s` on."""

    structure: str
    number: int
    control_s: float
    preview_s: float
    worker_s: float
    dice: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the .md and .json (default: results)")
    arguments = parser.parse_args()
    phantom = draw_thorax(3, SPACING_MM, SHAPE)
    with Worker() as worker:
        worker.hello()
        start = time.perf_counter()
        worker.set_image(phantom.image)
        sent_s = time.perf_counter() - start
        worker.prompt(Prompts([Point(phantom.image.grid.center_ras)]))
        first_s = time.perf_counter() - start - sent_s
        clicks = [click for label in LABELS for click in measure(worker, phantom.image, phantom.truth, label)]
    print(write_report(clicks, sent_s, first_s, arguments.output / "interaction"))


def measure(worker: Worker, image: Volume, truth: Volume, label) -> Iterator[Click]:
    """The robot's first clicks on one structure."""
    seen = _surroundings(truth.array == label.value, truth.grid.spacing_mm[::-1])
    wanted = truth.cropped(seen)
    mask = np.zeros(wanted.array.shape, bool)
    prompts = Prompts()
    for number in range(1, CLICKS + 1):
        point = next_click(wanted.array == label.value, mask, wanted.grid)
        if point is None:
            return
        prompts = prompts.with_prompt(point)
        start = time.perf_counter()
        request = worker.begin_prompt(prompts)
        control_s = time.perf_counter() - start
        answer = worker.wait(request)
        preview_s = time.perf_counter() - start
        mask = _seen_part(answer, image, seen)
        yield Click(label.name, number, control_s, preview_s, answer.seconds, dice(mask, wanted.array == label.value))


def _surroundings(mask: np.ndarray, spacing_mm: np.ndarray) -> tuple[slice, ...]:
    found = [np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    margins = np.ceil(_SEEN_MM / spacing_mm).astype(int)
    return tuple(
        slice(max(0, int(indices[0] - margin)), min(size, int(indices[-1] + 1 + margin)))
        for indices, margin, size in zip(found, margins, mask.shape)
    )


def _seen_part(answer: PromptedMask, image: Volume, seen: tuple[slice, ...]) -> np.ndarray:
    whole = np.zeros(image.array.shape, bool)
    first = np.round(image.grid.ijk(answer.grid.origin_mm)[::-1]).astype(int)
    whole[tuple(slice(start, start + size) for start, size in zip(first, answer.array.shape))] = answer.array
    return whole[seen]


def write_report(clicks: list[Click], sent_s: float, first_s: float, path: Path) -> str:
    """Write `path`.md and `path`.json; returns the Markdown."""
    context = document.context(PACKAGES)
    groups = {
        "all": clicks,
        "first on a structure": [click for click in clicks if click.number == 1],
        "later": [click for click in clicks if click.number > 1],
    }
    rows = [[name, str(len(group)), *_times(group)] for name, group in groups.items() if group]
    header = ["clicks", "number", "preview s, median", "worst", "worker s, median", "control ms, median", "worst"]
    structures = [
        [f"{click.structure}, click {click.number}", f"{click.preview_s:.2f}", f"{click.dice:.3f}"] for click in clicks
    ]
    k, j, i = SHAPE
    sections = [
        f"# Interaction: from a click to its preview, CT of {i}x{j}x{k}",
        "A warm worker on the CPU with the prompter that needs no training. The robot clicks on each structure of the "
        f"thorax phantom, up to {CLICKS} times.",
        document.table(header, rows),
        f"Sending the image took {sent_s:.2f} s, the worker's very first prompt, which warms it up, {first_s:.2f} s.",
        document.table(["structure", "preview s", "Dice"], structures),
        "## Where and how\n\n" + document.where(context),
    ]
    markdown = "\n\n".join(sections) + "\n"
    data = {"sent_s": sent_s, "first_s": first_s, "clicks": [asdict(click) for click in clicks]}
    document.write(path, markdown, context | data)
    return markdown


def _times(clicks: list[Click]) -> list[str]:
    previews, controls = [click.preview_s for click in clicks], [1000 * click.control_s for click in clicks]
    worker_s = median(click.worker_s for click in clicks)
    return [
        f"{median(previews):.2f}",
        f"{max(previews):.2f}",
        f"{worker_s:.2f}",
        f"{median(controls):.1f}",
        f"{max(controls):.1f}",
    ]


if __name__ == "__main__":
    main()
