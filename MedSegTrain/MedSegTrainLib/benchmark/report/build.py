"""A benchmark's results as a document."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ..runs import DONE, FAILED, Result
from .collect import Results
from .data_set import data_set_sections
from .document import Code, Document, Section, Table
from .numbers import duration, without_folders
from .overview import overview


def build(results: Results, pictures: bool = True) -> Document:
    """The whole report, of a finished benchmark or an unfinished one.

    Args:
        pictures: with examples, which show images of the data; leave them out where these may not be passed on.
    """
    plan = results.benchmark.plan
    sections = [overview(results)]
    for each in results.data_sets:
        sections += data_set_sections(each, plan, pictures)
    sections += [_unfinished(results), _repeat(results)]
    return Document(plan.title or plan.name, tuple(sections))


def _unfinished(results: Results) -> Section:
    states = [(run, state) for run, state in results.states if state.name != DONE]
    rows = [(run.name, state.name, without_folders(state.reason)) for run, state in states]
    if not rows:
        return Section("What is not finished", ("Every run is done.",))
    failed = sum(state.name == FAILED for _, state in results.states)
    text = f"{len(rows)} of {len(results.states)} runs are not done, {failed} of them because they failed."
    return Section("What is not finished", (text,), (Table("unfinished", "Runs", ("run", "state", "reason"), rows),))


def _repeat(results: Results) -> Section:
    seconds = [sum(result.facts.get("seconds", {}).values()) for result in _all_results(results)]
    text = f"The finished runs took {duration(sum(seconds))} in all. With the plan below in a file, this repeats them:"
    plan = results.benchmark.plan.model_dump(mode="json", exclude_defaults=True)
    written = without_folders(json.dumps(plan, indent=1, ensure_ascii=False))
    return Section("How to repeat it", (text,), (Code(_command(results)), Code(written)))


def _command(results: Results) -> str:
    devices = {result.facts.get("device") for result in _all_results(results)}
    device = " --cpu" if "cpu" in devices else ""
    return f"medseg benchmark PLAN --data FOLDER --output RUNS{device}\nmedseg report RUNS --output REPORT"


def _all_results(results: Results) -> Sequence[Result]:
    return [result for each in results.data_sets for method in each.methods for _, result in method.finished]
