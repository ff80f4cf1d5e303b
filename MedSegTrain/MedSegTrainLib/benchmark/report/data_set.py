"""The part of a report about one data set."""

from __future__ import annotations

from collections.abc import Sequence

from ..examples import BEST, MEDIAN, WORST, Example
from ..plan import Plan
from . import comparison, figures, tables
from .collect import DataSetResults, MethodResults
from .comparison import Comparison, compare
from .document import Figure, Section
from .numbers import listed
from .published import PUBLISHED


def data_set_sections(results: DataSetResults, plan: Plan, pictures: bool) -> list[Section]:
    name = results.title
    if not results.with_results:
        return [Section(name, ("No run on this data set is finished.",))]
    found = compare(results)
    sections = [
        Section(name, tuple(_findings(results, found)), (comparison.ranking(found),) if found else ()),
        *_beside_the_papers(results),
        Section(f"{name}: scores", (), _scores(results, plan, found), level=3),
        Section(f"{name}: cost", (), _costs(results), level=3),
    ]
    if objects := tables.objects(results):
        sections.append(Section(f"{name}: single objects", (), (objects,), level=3))
    if found:
        sections.append(Section(f"{name}: significance", (), (comparison.significance(found),), level=3))
    if curves := _curves(results):
        sections.append(Section(f"{name}: training", (), (curves,), level=3))
    if pictures and (examples := _examples(results)):
        sections.append(Section(f"{name}: examples", (), (examples,), level=3))
    return sections


def _beside_the_papers(results: DataSetResults) -> list[Section]:
    found = tuple(filter(None, (tables.beside(published, results) for published in PUBLISHED)))
    words = "The papers' tables in their form. Their figures are on other data and stand here for the order alone."
    return [Section(f"{results.title}: beside the papers", (words,), found, level=3)] if found else []


def _findings(results: DataSetResults, found: Comparison | None) -> list[str]:
    sentences = []
    if found:
        best = found.intervals[found.winner.method.name]
        sentences.append(
            f"{found.winner.label} has the best mean Dice: {best.mean:.3f} (95 % interval {best.low:.3f} to "
            f"{best.high:.3f}){comparison.how_sure(found, found.winner, found.order[1])}"
        )
        sentences += comparison.papers_winners(found)
        sentences += [_left_out(method) for method in found.left_out]
    if untouched := [method.label for method in results.methods if not method.finished]:
        sentences.append(f"Without any finished run: {listed(untouched)}.")
    return sentences + _incomplete(results.methods)


def _left_out(method: MethodResults) -> str:
    return f"{method.label} is left out of the ranking: only {method.cases} of its cases are done."


def _incomplete(methods: Sequence[MethodResults]) -> list[str]:
    """A sentence for all methods that lack the same runs."""
    alike: dict[tuple, list[str]] = {}
    for method in methods:
        if method.finished and method.missing:
            alike.setdefault((tuple(method.missing), method.cases), []).append(method.label)
    whoever = {method.label for method in methods}
    return [
        _lacking("All methods" if whoever == set(labels) else listed(labels), len(labels), missing, cases)
        for (missing, cases), labels in alike.items()
    ]


def _lacking(who: str, count: int, missing: tuple, cases: int) -> str:
    lack, whose = ("lacks", "its") if count == 1 else ("lack", "their")
    places = [f"fold {fold} (seed {seed})" for fold, seed in missing]
    return f"{who} {lack} {listed(places)}: {whose} figures are of {cases} cases."


def _scores(results: DataSetResults, plan: Plan, found: Comparison | None) -> tuple:
    parts = [tables.scores(results, plan.metrics), tables.structures(results, plan.metrics)]
    if found:
        caption = (
            "Dice of each case (mean over its structures): median, quartiles, and cases beyond 1.5 quartile distances."
        )
        drawing = figures.box_plot(comparison.per_case(found), "Dice")
        parts.append(Figure(f"{results.data_set.name}-boxes", caption, drawing))
    return tuple(parts)


def _costs(results: DataSetResults) -> tuple:
    name, parts = results.data_set.name, [tables.costs(results)]
    costs = {
        "inference": ("inference, ms a case", {m.label: tables.inference_ms(m) for m in results.with_results}),
        "parameters": ("parameters", {m.label: m.fact("cost", "parameters") for m in results.with_results}),
    }
    for kind, (title, values) in costs.items():
        points = {
            method.label: (values[method.label], method.summary("dice").mean)
            for method in results.with_results
            if values[method.label] and method.summary("dice").mean is not None
        }
        if points:
            drawing = figures.cost_against_quality(points, title, "mean Dice")
            parts.append(Figure(f"{name}-quality-by-{kind}", f"Mean Dice against {title}.", drawing))
    return tuple(parts)


def _curves(results: DataSetResults) -> Figure | None:
    drawing = figures.curves({method.label: method.curves for method in results.with_results if method.curves})
    caption = (
        "Loss, and Dice and mIoU on the validation part, by epoch; the mean over the finished runs of each method."
    )
    return Figure(f"{results.data_set.name}-curves", caption, drawing) if drawing else None


def _examples(results: DataSetResults) -> Figure | None:
    shown = {method.label: kept for method in results.with_results if (kept := _kept(method))}
    if not shown:
        return None
    caption = "Best, median and worst case, on the slice with most of the truth: truth as areas, result as lines."
    return Figure(f"{results.data_set.name}-examples", caption, figures.overlays(shown, (BEST, MEDIAN, WORST)))


def _kept(method: MethodResults) -> dict[str, Example]:
    """Of all its runs the best of the best, the worst of the worst, and of the medians the middle one."""
    kept = {}
    for what, paths in method.examples.items():
        examples = sorted((Example.read(path) for path in paths), key=lambda example: example.dice)
        kept[what] = examples[{BEST: -1, WORST: 0}.get(what, len(examples) // 2)]
    return kept
