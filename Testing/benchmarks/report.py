"""The comparison as Markdown for people and JSON for programs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import document
from agreement import Agreement
from case import CLASSES, VOLUMES
from comparison import Comparison, Run, beside_network, case_steps
from document import MIB, table

TITLES = {"medsegdl": "MedSegDL", "medsegdl_bf16": "MedSegDL bf16", "nnunet": "nnU-Net", "monai": "MONAI"}
PACKAGES = ("torch", "nnunetv2", "monai", "openvino", "SimpleITK", "numpy", "scipy", "scikit-image")
OURS = "medsegdl"


def write_report(comparison: Comparison, path: Path) -> str:
    """Write `path`.md and `path`.json; returns the Markdown."""
    context = document.context(PACKAGES)
    markdown = _markdown(comparison, context)
    document.write(path, markdown, _data(comparison, context))
    return markdown


def _data(comparison: Comparison, context: dict) -> dict:
    return {
        **context,
        **asdict(comparison),
        "medians": {
            peer: {name: asdict(step) for name, step in comparison.medians(peer).items()} for peer in comparison.runs
        },
    }


def _markdown(comparison: Comparison, context: dict) -> str:
    medians = {TITLES[peer]: comparison.medians(peer) for peer in comparison.runs}
    k, j, i = VOLUMES[comparison.volume].shape
    repeats = len(next(iter(comparison.runs.values())))
    sections = [
        f"# Inference: {comparison.volume} volume ({i}x{j}x{k}), {comparison.network} network",
        f"{comparison.threads} thread(s), median of {repeats} run(s), each in a fresh process.",
        "## Seconds (CPU seconds in brackets)\n\n" + _seconds(medians),
        "## Memory: peak in MiB (growth since the step began)\n\n" + _memory(medians),
        *_ratios(medians),
        "## Agreement of the labels\n\n" + _agreement(comparison.agreements),
        "## Where and how\n\n" + document.where(context),
    ]
    return "\n\n".join(sections) + "\n"


def _seconds(medians: dict[str, Run]) -> str:
    def cell(steps: Run) -> str:
        wall_s, cpu_s = (sum(getattr(step, name) for step in steps.values()) for name in ("wall_s", "cpu_s"))
        return f"{wall_s:.2f} ({cpu_s:.2f})"

    rows = [[name, *(cell(_only(run, name)) for run in medians.values())] for name in _step_names(medians)]
    rows.append(["**all but the network**", *(cell(beside_network(run)) for run in medians.values())])
    rows.append(["**a case in a warm process**", *(cell(case_steps(run)) for run in medians.values())])
    rows.append(["forward calls", *(f"{run['network'].calls:.0f}" for run in medians.values())])
    return table(["step", *medians], rows)


def _memory(medians: dict[str, Run]) -> str:
    def cell(steps: Run) -> str:
        if not steps:
            return ""
        peak, start = _peak(steps), next(iter(steps.values())).start_bytes
        return f"{peak / MIB:.0f} (+{(peak - start) / MIB:.0f})"

    rows = [[name, *(cell(_only(run, name)) for run in medians.values())] for name in _step_names(medians)]
    rows.append(["**all but the network**", *(cell(beside_network(run)) for run in medians.values())])
    rows.append(["**a case in a warm process**", *(cell(case_steps(run)) for run in medians.values())])
    return table(["step", *medians], rows)


def _ratios(medians: dict[str, Run]) -> list[str]:
    """How many times ours each peer needs; nothing where ours did not run."""
    ours = medians.get(TITLES[OURS])
    if ours is None:
        return []
    others = {title: run for title, run in medians.items() if run is not ours}
    measures = {
        "seconds, all but the network": lambda run: sum(step.wall_s for step in beside_network(run).values()),
        "CPU seconds, all but the network": lambda run: sum(step.cpu_s for step in beside_network(run).values()),
        "seconds, a case": lambda run: sum(step.wall_s for step in case_steps(run).values()),
        "CPU seconds, a case": lambda run: sum(step.cpu_s for step in case_steps(run).values()),
        "peak memory, all but the network": lambda run: _peak(beside_network(run)),
        "peak memory, a case": lambda run: _peak(case_steps(run)),
        "growth of memory, a case": lambda run: _peak(case_steps(run)) - run["read"].start_bytes,
    }
    rows = [[name, *(f"{of(run) / of(ours):.2f}" for run in others.values())] for name, of in measures.items()]
    return ["## Times what MedSegDL needs\n\n" + table(["", *others], rows)]


def _agreement(found: list[Agreement]) -> str:
    rows = [
        [
            TITLES[pair.first],
            TITLES.get(pair.second, pair.second),
            f"{pair.differing:.2e}",
            *(f"{dice:.5f}" for dice in pair.dice),
        ]
        for pair in found
    ]
    return table(["", "against", "voxels that differ", *(f"Dice label {n}" for n in range(1, CLASSES))], rows)


def _step_names(medians: dict[str, Run]) -> list[str]:
    """Every step of any peer once, in the order of the first peer that has it."""
    return list(dict.fromkeys(name for run in medians.values() for name in run))


def _only(run: Run, name: str) -> Run:
    return {name: run[name]} if name in run else {}


def _peak(steps: Run) -> float:
    return max(step.peak_bytes for step in steps.values())
