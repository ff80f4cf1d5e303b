#!/usr/bin/env python3
"""From an image file to segments in a scene, in a warm worker on the CPU: seconds a case, and Dice by precision.

    .venv/bin/python Testing/benchmarks/warm_case.py FOLDER

FOLDER holds images/ and labels/ of the Medical Segmentation Decathlon's Task04; only the cases are used that the
recipe of the model held back. Beside it, in the same run, stands the time of a worker that starts for the one case.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from statistics import mean, median

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "MedSegDL"), str(ROOT / "MedSegTrain")]

from MedSegDLLib.client import Worker  # noqa: E402
from MedSegDLLib.files import read_volume  # noqa: E402
from MedSegDLLib.models import find_model  # noqa: E402
from MedSegDLLib.scene.headless import new_scene  # noqa: E402
from MedSegDLLib.scene.segments import write_segmentation  # noqa: E402
from MedSegDLLib.scene.volumes import node_from_volume  # noqa: E402
from MedSegTrainLib.evaluation.metrics import case_scores  # noqa: E402
from MedSegTrainLib.training.recipe import read_recipe  # noqa: E402
from MedSegTrainLib.training.recipe_cases import folder_split  # noqa: E402

MODEL = "hippocampus-mr"
VARIANTS = {
    "as shipped (bf16, mirrored)": {},
    "fp32, mirrored": {"precision": "f32"},
    "bf16, not mirrored": {"mirror": False},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    data = parser.parse_args().data
    recipe = read_recipe(ROOT / f"MedSegTrain/Resources/Recipes/{MODEL}.yaml")
    cases = folder_split(recipe, data)[1]
    print(f"{len(cases)} cases that training never saw\n")
    print("| network | first case (s) | warm case, median (s) | slowest (s) | mean Dice |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, options in VARIANTS.items():
        seconds, scores = _run(cases, options)
        warm = seconds[1:]
        print(f"| {name} | {seconds[0]:.2f} | {median(warm):.3f} | {max(warm):.3f} | {mean(scores):.4f} |")


def _run(cases, options: dict) -> tuple[list[float], list[float]]:
    """Seconds and mean Dice of each case; the first includes the worker's start and the model."""
    bundle = find_model(MODEL)
    seconds, scores = [], []
    with Worker() as worker:
        for case in cases:
            start = time.perf_counter()
            if not seconds:
                worker.load(bundle.folder, "cpu", **options)
            labels = _file_to_segments(worker, case.images[0], bundle)
            seconds.append(time.perf_counter() - start)
            truth = read_volume(case.label)
            found = case_scores(labels.array, truth.array, bundle.spec.labels, truth.grid.spacing_mm)
            scores.append(mean(each.values["dice"] for each in found.values() if "dice" in each.values))
    return seconds, scores


def _file_to_segments(worker: Worker, path: Path, bundle):
    volume = read_volume(path)
    scene = new_scene()
    node = node_from_volume(scene.mrml, volume)
    worker.set_image(volume)
    labels = worker.segment().labels
    write_segmentation(scene.mrml, labels, bundle.spec.labels, node)
    return labels


if __name__ == "__main__":
    main()
