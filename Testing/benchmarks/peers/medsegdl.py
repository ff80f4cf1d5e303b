"""MedSegDL's predictor, measured from outside: the functions that make a step are wrapped where it finds them.

It works layer by layer, so its steps take turns: their times add up, and a peak of memory is the highest of a step's
turns.
"""

from __future__ import annotations

from functools import wraps

import numpy as np

from case import Case
from measure import Steps
from MedSegDLLib.engine import predictor as engine
from MedSegDLLib.engine.runtime import OpenVinoRuntime
from MedSegDLLib.engine.upsampling import LabelUpsampler
from MedSegDLLib.files import read_volume, write_volume

from . import CHECK


def run(case: Case, steps: Steps, threads: int, name: str = "medsegdl", precision: str = "f32") -> None:
    _measure(steps, engine, "prepare", "preprocess")
    _measure(steps, OpenVinoRuntime, "__call__", "network")
    _measure(steps, LabelUpsampler, "push", "labels")
    _save_logits(case, steps, name)
    with steps("load"):
        predictor = engine.Predictor(case.bundle, "cpu", precision=precision, threads=threads)
    with steps("read"):
        image = read_volume(case.image_path)
    with steps("sliding window"):
        labels = predictor.segment(image)
        del image
    with steps("write"):
        write_volume(labels, case.labels_path(name))


def _measure(steps: Steps, owner, name: str, step: str) -> None:
    """Count every call of `owner.name` as the step."""
    original = getattr(owner, name)

    @wraps(original)
    def measured(*arguments, **options):
        with steps(step):
            return original(*arguments, **options)

    setattr(owner, name, measured)


def _save_logits(case: Case, steps: Steps, name: str) -> None:
    """Have the logits written to files as they pass, so that the labels can be checked against them."""
    folder = case.logits_path(name)
    folder.mkdir(exist_ok=True)
    push = LabelUpsampler.push
    number = iter(range(1_000_000))

    @wraps(push)
    def saving(upsampler: LabelUpsampler, logits: np.ndarray) -> None:
        with steps(CHECK):
            np.save(folder / f"{next(number):06}.npy", logits)
        push(upsampler, logits)

    LabelUpsampler.push = saving
