#!/usr/bin/env python3
"""Draw the README's pictures again: the demo's overview, and what the effect MedSeg shows after one, two, three clicks.

    .venv/bin/python Testing/pictures.py [FOLDER]

Both are of a drawn phantom, no patient. The clicks are a robot's, at the centre of the largest error that the slice
shows; the previews are the prompter's own, their outlines and points what the effect draws. Runs in the environment
that `python3 Testing/run.py demo` makes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / part) for part in ("MedSegDL", "MedSegTrain", "Testing", "Testing/benchmarks")]

import demo  # noqa: E402
from clicking.peers import ours  # noqa: E402
from clicking.robot import dice, next_click  # noqa: E402
from MedSegDLLib.gui.preview import EXCLUDE_RGB, INCLUDE_RGB, dashes, outlines  # noqa: E402
from MedSegDLLib.interaction.gestures import marks  # noqa: E402
from MedSegDLLib.prompts import Prompts  # noqa: E402
from MedSegDLLib.scene.sampling import sample  # noqa: E402
from MedSegDLLib.scene.volumes import vtk_image  # noqa: E402
from MedSegDLLib.volume import Volume  # noqa: E402
from MedSegTrainLib.data.phantom import Phantom, draw_thorax  # noqa: E402
from MedSegTrainLib.data.phantom_organs import HEART  # noqa: E402

PICTURES = ROOT / "Resources" / "Screenshots"
CLICKS = 3
PANEL_PIXELS = 500
PIXEL_MM = 0.4
WINDOW_HU = (-160, 240)
PREVIEW_RGB = (1.0, 1.0, 0.0)  # of a segment that is not there yet
DASH_PIXELS = 6.0
COLORS = 256  # of a palette: a third of the bytes, and nobody sees it
DOTS_PER_INCH = 100


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=PICTURES, help="where to (default: %(default)s)")
    folder = parser.parse_args(arguments).folder
    folder.mkdir(parents=True, exist_ok=True)
    draw_clicks(folder / "clicks.png", draw_thorax(demo.PHANTOM_SEED, demo.PHANTOM_SPACING_MM))
    draw_overview(folder / "overview.png")


def draw_overview(path: Path) -> None:
    """The demo's own picture."""
    with tempfile.TemporaryDirectory() as results:
        if demo.main(["--output", results, "--device", "cpu"]) != 0:
            sys.exit("The demo did not succeed.")
        (picture,) = Path(results).glob(f"*/{demo.OVERVIEW}")
        reduce_colors(picture, path)


# One, two, three clicks


@dataclass(frozen=True)
class Step:
    """What is there after a click: all prompts so far, the mask (bool, on the image's grid), and its Dice."""

    prompts: Prompts
    mask: np.ndarray
    dice: float


def draw_clicks(path: Path, phantom: Phantom) -> list[Step]:
    """The heart after each click in one axial slice, side by side; returns what is shown."""
    truth = phantom.truth.array == HEART
    slice_index = int(np.argmax(truth.sum(axis=(1, 2))))
    steps = click(phantom.image, truth, slice_index)
    xy_to_ras = axial_view(phantom.image, truth, slice_index)
    figure, panels = _panels(len(steps))
    for panel, step in zip(panels, steps):
        _draw_step(panel, phantom.image, step, xy_to_ras)
    with tempfile.TemporaryDirectory() as folder:
        figure.savefig(Path(folder) / path.name)
        reduce_colors(Path(folder) / path.name, path)
    return steps


def click(image: Volume, truth: np.ndarray, slice_index: int) -> list[Step]:
    """Let the robot click on what is wrong in a slice, and the prompter answer."""
    k, j, i = truth.shape
    seen = (slice(slice_index, slice_index + 1), slice(0, j), slice(0, i))
    segment, points, mask, steps = ours(image), [], np.zeros(truth.shape, bool), []
    for _ in range(CLICKS):
        points.append(next_click(truth[seen], mask[seen], image.grid.cropped(seen)))
        mask = segment(points)
        steps.append(Step(Prompts(points), mask, dice(mask, truth)))
    return steps


def axial_view(image: Volume, truth: np.ndarray, slice_index: int) -> np.ndarray:
    """4x4 from pixels (x, y upwards, slices) of a view that is centred on the structure, the patient's left right."""
    j, i = (float(np.mean(axis)) for axis in np.nonzero(truth[slice_index]))
    x, y, z = image.grid.ras([[i, j, slice_index]])[0]
    half = PANEL_PIXELS / 2 * PIXEL_MM
    xy_to_ras = np.diag([-PIXEL_MM, PIXEL_MM, image.grid.spacing_mm[2], 1.0])
    xy_to_ras[:3, 3] = x + half, y - half, z
    return xy_to_ras


def _panels(count: int):
    from matplotlib.figure import Figure

    gap = 8
    width = count * PANEL_PIXELS + (count - 1) * gap
    figure = Figure(figsize=(width / DOTS_PER_INCH, PANEL_PIXELS / DOTS_PER_INCH), dpi=DOTS_PER_INCH)
    share = PANEL_PIXELS / width
    panels = [figure.add_axes([n * (PANEL_PIXELS + gap) / width, 0, share, 1]) for n in range(count)]
    for panel in panels:
        panel.set_axis_off()
    return figure, panels


def _draw_step(panel, image: Volume, step: Step, xy_to_ras: np.ndarray) -> None:
    shape = (1, PANEL_PIXELS, PANEL_PIXELS)
    to_ijk = np.linalg.inv(image.ijk_to_ras) @ xy_to_ras
    low, high = WINDOW_HU
    panel.imshow(sample(image.array, to_ijk, shape, low)[0], cmap="gray", vmin=low, vmax=high, origin="lower")
    section = sample(step.mask * np.uint8(255), to_ijk, shape)
    panel.imshow((*PREVIEW_RGB, 0.3) * (section[0, ..., None] > 127), origin="lower")
    _draw_lines(panel, dashes(outlines(vtk_image(section)), DASH_PIXELS), PREVIEW_RGB, pixels=2)
    for include, rgb in ((True, INCLUDE_RGB), (False, EXCLUDE_RGB)):
        _draw_lines(panel, marks(step.prompts, xy_to_ras, include), rgb, pixels=3)
    panel.set_xlim(0, PANEL_PIXELS)
    panel.set_ylim(0, PANEL_PIXELS)
    _caption(panel, step)


def _draw_lines(panel, lines: list[np.ndarray], rgb, pixels: int) -> None:
    for line in lines:
        panel.plot(line[:, 0], line[:, 1], color=rgb, linewidth=pixels * 72 / DOTS_PER_INCH)


def _caption(panel, step: Step) -> None:
    what = "Click" if step.prompts.entries[-1].include else "Ctrl+click: not this"
    text = f"{len(step.prompts)}. {what}\nDice of the whole heart: {step.dice:.2f}"
    panel.text(10, PANEL_PIXELS - 10, text, color="white", size=13, va="top")


def reduce_colors(picture: Path, path: Path) -> None:
    """Write a picture anew with a palette, to be small enough for a repository."""
    from PIL import Image

    with Image.open(picture) as image:
        image.convert("RGB").quantize(COLORS, method=Image.Quantize.MAXCOVERAGE).save(path, optimize=True)


if __name__ == "__main__":
    main()
