"""The tables of one data set: what was measured, what it costs, and both beside what papers published."""

from __future__ import annotations

from collections.abc import Iterable

from ...evaluation.definitions import at_tolerance, measure
from ...evaluation.summary import Summary, by_structure
from ..objects import BOWL, COCO
from ..plan import Metrics
from .collect import DataSetResults, MethodResults
from .document import Table
from .numbers import NONE, number, spread
from .published import Column, Published

_MEGA, _GIGA = 1e6, 1e9


def scores(results: DataSetResults, metrics: Metrics) -> Table:
    """A row a method, best Dice first: mean and deviation over the cases, of each the mean over its structures."""
    surface_dice = [at_tolerance("nsd", each) for each in metrics.tolerances_mm]
    names = ["dice", "iou", "hd_mm", "hd95_mm", "assd_mm", *surface_dice]
    rows = [
        (
            method.label,
            str(method.cases),
            *(_spread(method.summary(name), measure(name).unit) for name in names),
            str(method.summary("dice").missed),
            str(method.summary("dice").failed),
        )
        for method in sorted(results.with_results, key=lambda each: -(each.summary("dice").mean or 0))
    ]
    return Table(
        f"{results.data_set.name}-scores",
        "Mean ± standard deviation over the cases",
        ("method", "cases", *map(_head, names), "missed", "failed"),
        rows,
        "A missed structure counts with 0 in Dice, IoU and surface Dice; it has no distance, so read distances beside "
        "the number missed. Failed: structures of cases for which the method gave no result.",
    )


def structures(results: DataSetResults, metrics: Metrics) -> Table:
    """The papers' table per pathology: for each structure and method accuracy, sensitivity, specificity, seconds and
    boundary accuracy."""
    boundary = at_tolerance("boundary_accuracy", metrics.band_mm)
    names = ["dice", "accuracy", "sensitivity", "specificity", boundary, "segmentation_accuracy"]
    rows = []
    for structure in results.structures:
        for method in results.with_results:
            found = {name: by_structure(method.rows, name).get(structure) for name in names}
            values = (_mean(found[name], 1 if measure(name).unit == "%" else 3) for name in names)
            rows.append((structure, method.label, *values, number(_seconds(method), 2)))
    return Table(
        f"{results.data_set.name}-structures",
        "Per structure",
        ("structure", "method", *map(_head, names), "seconds a case"),
        rows,
        "Accuracy and specificity count every voxel of the image and are close to 1 for anything small; sensitivity "
        "and boundary accuracy are what to look at.",
    )


def costs(results: DataSetResults) -> Table:
    """What each method takes, as means over its runs."""
    rows = [
        (
            method.label,
            number(_of(method, _MEGA, "cost", "parameters"), 2),
            number(_of(method, _GIGA, "cost", "flops_per_window"), 2),
            number(inference_ms(method), 0),
            number(_of(method, _MEGA, "cost", "peak_memory_bytes"), 0),
            number(_of(method, 60, "seconds", "training"), 1),
            number(_of(method, 1, "training", "steps"), 0),
        )
        for method in results.with_results
    ]
    sizes = ("parameters, M", "GFLOP a window")
    return Table(
        f"{results.data_set.name}-costs",
        "Cost",
        ("method", *sizes, "inference, ms a case", "peak memory, MB", "training, min a run", "steps"),
        rows,
        "Inference is the median of warm runs with the predictor that users get, from an image in memory to its "
        "labels; for baselines the mean over the test cases. Memory is that of the process on a CPU, of the device on "
        "a GPU.",
    )


def beside(published: Published, results: DataSetResults) -> Table | None:
    """A paper's table with our figures beside its own; None where none of its networks is in the plan."""
    if not {entry.network for entry in published.entries} & {method.network for method in results.methods}:
        return None
    rows = [
        (
            entry.label,
            method.label if method else _absence(entry.network, results),
            *_pairs(published, entry.figures, method),
        )
        for entry in published.entries
        for method in _runs_of(entry.network, results)
    ]
    heads = [head for column in published.columns for head in (f"{column.head}: paper", f"{column.head}: here")]
    return Table(
        f"{results.data_set.name}-{published.name}",
        f"As in “{published.paper}”",
        ("network", "here", *heads),
        rows,
        f"The paper's figures are on other data ({published.data}) and other hardware: compare orders, not numbers.",
    )


def objects(results: DataSetResults) -> Table | None:
    """Average precision of single objects, as means over the folds; None where no method was judged on them."""
    judged = [method for method in results.with_results if method.fact("objects", BOWL, "mean") is not None]
    if not judged:
        return None
    entries = [(kind, name) for kind in (BOWL, COCO) for name in ("mean", "ap50", "ap75")]
    rows = [(method.label, *(number(method.fact("objects", *entry)) for entry in entries)) for method in judged]
    heads = [f"{title} {name}" for title in ("Bowl", "COCO") for name in ("AP", "AP50", "AP75")]
    return Table(
        f"{results.data_set.name}-objects",
        "Single objects: average precision",
        ("method", *heads),
        rows,
        "Bowl: TP / (TP + FP + FN) of each image, as in the Data Science Bowl 2018; COCO: area under the curve of "
        "precision and recall; AP: mean over IoU thresholds from 0.50 to 0.95. Mask R-CNN's objects are its own, with "
        "their scores; those of the other methods are the connected pieces of their labels.",
    )


def inference_ms(method: MethodResults) -> float | None:
    seconds = method.fact("cost", "seconds") or _seconds(method)
    return None if seconds is None else 1000 * seconds


def here(column: Column, method: MethodResults) -> float | None:
    """Our figure for a column of a published table."""
    if column.measure == "parameters_m":
        return _of(method, _MEGA, "cost", "parameters")
    if column.measure == "inference_ms":
        return inference_ms(method)
    mean = method.summary(column.measure).mean
    return None if mean is None else mean * column.scale


def _pairs(published: Published, figures: tuple[float, ...], method: MethodResults | None) -> Iterable[str]:
    for column, figure in zip(published.columns, figures):
        yield number(figure, column.digits)
        yield number(here(column, method), column.digits) if method else NONE


def _runs_of(network: str, results: DataSetResults) -> list[MethodResults | None]:
    return [method for method in results.with_results if method.network == network] or [None]


def _absence(network: str, results: DataSetResults) -> str:
    planned = any(method.network == network for method in results.methods)
    return "not finished" if planned else "not run here"


def _of(method: MethodResults, unit: float, *keys: str) -> float | None:
    value = method.fact(*keys)
    return None if value is None else value / unit


def _seconds(method: MethodResults) -> float | None:
    by_case = {row.case: row.seconds for row in method.rows if row.seconds is not None}
    return sum(by_case.values()) / len(by_case) if by_case else None


def _spread(summary: Summary, unit: str) -> str:
    return spread(summary.mean, summary.sd, 2 if unit else 3)


def _mean(summary: Summary | None, digits: int = 3) -> str:
    return number(summary.mean if summary else None, digits)


def _head(name: str) -> str:
    found = measure(name)
    return f"{found.title}, {found.unit}" if found.unit else found.title
