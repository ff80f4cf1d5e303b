"""The drawings of a report. They take plain numbers and never a window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from ..examples import Example

_WIDTH = 9.0  # inches
_ROW = 0.28
_CURVES = (("loss", "loss"), ("dice", "Dice (validation)"), ("miou", "mIoU (validation)"))


def curves(events: Mapping[str, Sequence[Sequence[dict]]]) -> Figure | None:
    """Loss, Dice and mIoU by epoch: the mean over the trainings of each method. None where nothing was recorded."""
    shown = [(name, title) for name, title in _CURVES if any(_points(runs, name)[0].size for runs in events.values())]
    if not shown:
        return None
    figure = Figure((_WIDTH, 3.4 + 0.22 * (len(events) // 4)), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(shown)))
    for axis, (name, title) in zip(axes, shown):
        for method, runs in events.items():
            axis.plot(
                *_points(runs, name),
                color=_color(list(events), method),
                label=method,
                linewidth=1.1,
                marker=".",
                markersize=2,
            )
        axis.set(xlabel="epoch", title=title)
        axis.grid(alpha=0.3)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=7, frameon=False)
    return figure


def box_plot(values: Mapping[str, Sequence[float]], title: str, better: int = 1) -> Figure:
    """The spread over the cases, best method at the top."""
    order = sorted(values, key=lambda method: better * float(np.median(values[method])))
    figure = Figure((_WIDTH, 1.2 + _ROW * len(order)), layout="constrained")
    axis = figure.subplots()
    axis.boxplot(
        [values[method] for method in order],
        orientation="horizontal",
        tick_labels=order,
        widths=0.6,
        flierprops={"markersize": 3, "alpha": 0.5},
    )
    axis.set(xlabel=title)
    axis.grid(axis="x", alpha=0.3)
    return figure


def cost_against_quality(points: Mapping[str, tuple[float, float]], cost: str, quality: str) -> Figure:
    """A point a method; the best are at the top left."""
    figure = Figure((_WIDTH * 0.75, 4.2), layout="constrained")
    axis = figure.subplots()
    for method, (x, y) in points.items():
        axis.scatter(x, y, color=_color(list(points), method), s=26)
        axis.annotate(method, (x, y), xytext=(4, 3), textcoords="offset points", fontsize=7)
    axis.set(xscale="log", xlabel=cost, ylabel=quality)
    for formatted in (axis.xaxis.set_major_formatter, axis.xaxis.set_minor_formatter):
        formatted(LogFormatter(minor_thresholds=(2, 0.5)))
    axis.tick_params(axis="x", which="minor", labelsize=7)
    axis.grid(alpha=0.3, which="both")
    axis.margins(x=0.15)
    return figure


def overlays(examples: Mapping[str, Mapping[str, Example]], columns: Sequence[str]) -> Figure:
    """A row a method: truth as filled areas, the result as lines in the same colours."""
    figure = Figure((2.4 * len(columns), 2.2 * len(examples) + 0.3), layout="constrained")
    axes = figure.subplots(len(examples), len(columns), squeeze=False)
    for row, (method, shown) in zip(axes, examples.items()):
        for axis, column in zip(row, columns):
            axis.set_axis_off()
            if column in shown:
                _draw(axis, shown[column], f"{method}, {column}")
    return figure


def _draw(axis: Axes, example: Example, title: str) -> None:
    j, i = example.image.shape
    extent = (0, i * example.spacing_mm[1], j * example.spacing_mm[0], 0)
    axis.imshow(example.image, cmap="gray", extent=extent, vmin=0, vmax=255)
    for value in np.union1d(np.unique(example.truth), np.unique(example.result)):
        if value in (0, 255):
            continue
        color = colormaps["tab10"]((int(value) - 1) % 10)
        filled = np.zeros((j, i, 4))
        filled[example.truth == value] = (*color[:3], 0.35)
        axis.imshow(filled, extent=extent)
        if 0 < np.count_nonzero(example.result == value) < j * i:
            centres = [(np.arange(n) + 0.5) * s for n, s in zip((j, i), example.spacing_mm)]
            axis.contour(centres[1], centres[0], example.result == value, levels=[0.5], colors=[color], linewidths=1.2)
    axis.set_title(f"{title}\nDice {example.dice:.2f}", fontsize=7)


def _points(runs: Sequence[Sequence[dict]], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Epochs, and the mean over the trainings that have a value there."""
    values: dict[int, list[float]] = {}
    for events in runs:
        for event in events:
            if event.get(name) is not None:
                values.setdefault(event["epoch"], []).append(event[name])
    epochs = sorted(values)
    return np.array(epochs), np.array([np.mean(values[epoch]) for epoch in epochs])


def _color(names: list[str], name: str):
    return colormaps["tab20"](names.index(name) % 20)
