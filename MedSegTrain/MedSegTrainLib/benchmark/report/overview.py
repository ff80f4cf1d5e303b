"""The beginning of a report: plan, data, hardware and versions."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ..folder import summary
from ..plan import Plan
from ..runs import DONE
from .collect import DataSetResults, Results
from .document import Section, Table
from .numbers import listed, without_folders


def overview(results: Results) -> Section:
    plan = results.benchmark.plan
    states = [state for _, state in results.states]
    facts = [
        ("Runs", f"{summary(states)}, of {len(states)}"),
        ("Methods", f"{len(plan.networks)} networks, {len(plan.baselines)} baselines"),
        ("Folds", _folds(plan)),
        ("Seeds", f"{listed(map(str, plan.seeds))}; of the split {plan.split_seed}"),
        ("Recipe", _recipe(plan)),
        *(row for each in results.data_sets for row in _facts(each)),
        *_machines(results.data_sets),
    ]
    paragraphs = [plan.note] if plan.note else []
    if any(state.name != DONE for state in states):
        paragraphs.append("It is not finished. All figures are of the runs that are; the end names the others.")
    return Section("What was run", tuple(paragraphs), (Table("overview", "Setting", ("", " "), facts),))


def _folds(plan: Plan) -> str:
    text = f"{plan.folds}, split by patient, alike in structures and volumes"
    return f"{text}; run here: {listed(map(str, plan.only_folds))}" if plan.only_folds else text


def _recipe(plan: Plan) -> str:
    if not plan.networks:
        return "none"
    changes = f", changed by {json.dumps(plan.recipe.overrides)}" if plan.recipe.overrides else ""
    own = [f"{method.label}: {json.dumps(method.overrides)}" for method in plan.networks if method.overrides]
    return f"'{plan.recipe.preset}'{changes}" + (f"; besides, {'; '.join(own)}" if own else "")


def _facts(results: DataSetResults) -> list[tuple[str, str]]:
    """What the finished runs say of the data."""
    about = next(iter(results.facts("data", "about")), {})
    source = "; ".join(without_folders(str(about[key])) for key in ("title", "source", "licence") if about.get(key))
    cases = results.facts("data", "cases")
    rows = [
        (f"Data set {results.data_set.name}", ", ".join(filter(None, [results.title, source]))),
        ("Cases", f"{listed(map(str, cases))} of {listed(map(str, results.facts('data', 'patients')))} patients"),
        ("Structures", ", ".join(results.structures) or "none yet"),
    ]
    if len(results.facts("data", "digest")) > 1:
        rows.append(("Warning", "Not all runs saw the same cases: the data set changed while the benchmark ran."))
    return [row for row in rows if cases or row[0].startswith("Data set")]


def _machines(data_sets: Sequence[DataSetResults]) -> list[tuple[str, str]]:
    """Where the finished runs ran, and with what."""
    hardware = dict.fromkeys(name for each in data_sets for name in each.facts("hardware"))
    versions = dict.fromkeys(_versions(found) for each in data_sets for found in each.facts("versions"))
    return [("Hardware", listed(hardware)), ("Versions", "; ".join(versions))] if hardware else []


def _versions(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
