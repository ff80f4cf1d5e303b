"""A run, done: data, split, training or tuning, judgement. The joint between the benchmark and everything else."""

from __future__ import annotations

import shutil
from pathlib import Path

from MedSegDLLib.engine.devices import choose
from MedSegDLLib.errors import MedSegError

from ..baselines.registry import create_baseline
from ..data.versions import versions
from ..evaluation.evaluate import Segmenter, evaluate_case
from ..evaluation.metrics import Settings
from ..evaluation.rows import Row
from .clock import Clock
from .keeping import BASELINE, BUNDLE, PREDICTIONS, Remembering, keep_examples
from .objects import object_precision
from .plan import NetworkMethod
from .runs import Result, Run
from .selection import Selection, select
from .task import Task

_PACKAGES = ("torch", "monai", "lightning", "numpy", "openvino", "scikit-learn")


def execute(task: Task, run: Run) -> Result:
    """Do a run in this process; a training that was interrupted goes on.

    Raises MedSegError, and what third-party code raises.
    """
    order, clock = run.order, Clock()
    with clock.measured("preparing"):
        chosen = select(order, Path(task.data))
    if isinstance(order.method, NetworkMethod):
        from .trained import trained_predictor  # with torch and Lightning, which take seconds to import

        segmenter, facts = trained_predictor(task, run, chosen, clock)
    else:
        segmenter, facts = _fitted(run, chosen, clock), {}
    with clock.measured("judging"):
        rows = _judged(segmenter, run, chosen)
        facts["objects"] = object_precision(segmenter, chosen.test, _torch_device(task))
    if not order.keep.bundles:
        for name in (BUNDLE, BASELINE):
            shutil.rmtree(run.folder / name, ignore_errors=True)
    surroundings = {"device": task.device, "hardware": _hardware(task.device), "versions": versions(*_PACKAGES)}
    return Result(rows, {**chosen.facts, **facts, **surroundings, "seconds": clock.seconds})


def _fitted(run: Run, chosen: Selection, clock: Clock) -> Segmenter:
    """A baseline, tuned on all but the test cases."""
    method = run.order.method
    baseline = create_baseline(method.baseline, chosen.dataset.labels, **{"seed": run.order.seed} | method.parameters)
    with clock.measured("training"):
        baseline.fit([*chosen.training, *chosen.validation])
    baseline.save(run.folder / BASELINE)
    return baseline


def _judged(segmenter: Segmenter, run: Run, chosen: Selection) -> list[Row]:
    keep, settings = run.order.keep, Settings(**run.order.metrics.model_dump())
    rows, remembering = [], Remembering(segmenter)
    for case in chosen.test:
        rows += evaluate_case(remembering, case, chosen.dataset.labels, settings)
        if keep.predictions == "all":
            remembering.write(run.folder / PREDICTIONS / f"{case.name}.nii.gz")
    if all(row.reason for row in rows):
        raise MedSegError(f"Not one case could be judged: {rows[0].reason}")
    if keep.predictions != "none":
        keep_examples(segmenter, chosen.test, rows, run.folder)
    return rows


def _hardware(device: str) -> str:
    """ "NVIDIA H100 80GB HBM3, AMD EPYC, 16 cores": no name of a computer or a user."""
    return ", ".join(dict.fromkeys(choose(name).description for name in (device, "cpu")))


def _torch_device(task: Task) -> str:
    return "cpu" if task.device == "cpu" else "cuda"
