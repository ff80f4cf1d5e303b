"""A whole benchmark on drawn balls: data, split, plan, training, bundle, judgement, report. And what disturbs it."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from MedSegDLLib.bundle import Bundle
from MedSegDLLib.errors import DeviceError, InputError
from MedSegDLLib.files import write_volume
from MedSegDLLib.volume import Volume
from MedSegTrainLib.benchmark import call, execute
from MedSegTrainLib.benchmark.clock import Clock
from MedSegTrainLib.benchmark.folder import opened
from MedSegTrainLib.benchmark.objects import object_precision
from MedSegTrainLib.benchmark.order import orders
from MedSegTrainLib.benchmark.plan import parse_plan
from MedSegTrainLib.benchmark.runs import FAILED, Run
from MedSegTrainLib.benchmark.same_data import begin_on
from MedSegTrainLib.benchmark.selection import select
from MedSegTrainLib.data.dataset import Case
from training_makers import write_cases

NAMES = {1: "grey ball", 5: "white ball"}


def plan_data(**changes) -> dict:
    return {
        "name": "balls",
        "data_sets": [
            {"name": "balls", "path": "balls", "names": NAMES, "patch_3d": [16, 16, 16], "patch_2d": [24, 24]}
        ],
        "networks": [
            {
                "network": "unet",
                "label": "U-Net",
                "dims": 2,
                "arguments": {"features": [4, 8]},
                "overrides": {"optimisation": {"batch": 4}},
            }
        ],
        "baselines": [{"baseline": "threshold", "label": "Thresholding", "parameters": {"tuning_cases": 2}}],
        "folds": 3,
        "only_folds": [0],
        "recipe": {
            "preset": "papers",
            "overrides": {
                "optimisation": {"steps": 40, "steps_per_epoch": 20, "learning_rate": 0.01},
                "checkpoints": {"every_steps": 5},
                "validation": {"patches": 8},
            },
        },
    } | changes


@pytest.fixture
def data(tmp_path):
    write_cases(tmp_path / "data" / "balls", 9)
    return tmp_path / "data"


def written(tmp_path: Path, **changes) -> Path:
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump(plan_data(**changes)))
    return path


ON_THE_CPU = call.Where(cpu=True, threads=1)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kills by a signal")
def test_from_a_plan_to_a_report_with_a_kill_in_the_middle_of_an_epoch(data, tmp_path, capsys):
    plan, runs = written(tmp_path), tmp_path / "runs"
    run = killed_in_the_second_epoch(plan, runs, data)
    assert run.state().name == FAILED and "signal 9" in run.state().reason
    assert call.benchmark(plan, runs, data, where=ON_THE_CPU) == call.ALL_WELL, log_of(runs)
    assert "balls: 2 done." in capsys.readouterr().out
    events = [json.loads(line) for line in (run.training / "events.jsonl").read_text().splitlines()]
    assert [event["step"] for event in events] == [20, 40], "each epoch once"
    check_results(*opened(runs).runs)
    before = (run.folder / "result.json").stat().st_mtime_ns
    assert call.benchmark(plan, runs, data, where=ON_THE_CPU) == call.ALL_WELL
    assert (run.folder / "result.json").stat().st_mtime_ns == before, "what is done is not done again"
    call.report(runs, tmp_path / "report")
    page = (tmp_path / "report" / "report.html").read_text()
    assert "Every run is done." in page and str(tmp_path) not in page and page.count("data:image/png") == 5


def killed_in_the_second_epoch(plan: Path, runs: Path, data: Path) -> Run:
    """The run of the network, whose process was killed after its 25th step."""
    arguments = {"where": ON_THE_CPU, "only": ["unet"]}
    caller = threading.Thread(target=call.benchmark, args=(plan, runs, data), kwargs=arguments)
    caller.start()
    until((runs / "plan.json").exists)
    run = opened(runs).runs[0]
    until(lambda: status_of(run).get("step", 0) >= 25)
    os.kill(run.state().pid, signal.SIGKILL)
    caller.join(60)
    return run


def check_results(network: Run, baseline: Run) -> None:
    facts = network.result().facts
    assert facts["split"] == {"training": 5, "validation": 1, "test": 3} and facts["structures"] == list(NAMES.values())
    assert facts["training"]["steps"] == 40 and facts["cost"]["parameters"] > 0 and facts["cost"]["seconds"] > 0
    assert facts["seconds"].keys() == {"preparing", "training", "exporting", "judging"}
    assert facts["versions"]["torch"] and facts["hardware"] and facts["device"] == "cpu"
    assert {row.case for row in network.result().rows} == {row.case for row in baseline.result().rows}
    assert len(network.result().rows) == 3 * 2
    bundle = Bundle.load(network.folder / "bundle")
    bundle.verify()
    assert bundle.spec.patch == (24, 24, 1)
    assert list((network.folder / "examples").iterdir()) and not list(network.training.glob("*.ckpt"))
    dice = np.mean([row.values["dice"] for row in baseline.result().rows])
    assert dice > 0.8, "bright balls are what a threshold is for"


def log_of(runs: Path) -> str:
    return "\n".join(path.read_text() for path in runs.rglob("log.txt"))


def status_of(run) -> dict:
    try:
        return json.loads((run.training / "status.json").read_text())
    except OSError:
        return {}


def until(condition, seconds=90):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def test_a_corrupt_case_is_left_out_and_the_others_are_judged(data, tmp_path):
    victim = sorted((data / "balls" / "images").iterdir())[0]
    victim.write_bytes(victim.read_bytes()[:200])
    plan, runs = written(tmp_path, networks=[]), tmp_path / "runs"
    assert call.benchmark(plan, runs, data, where=ON_THE_CPU) == call.ALL_WELL, log_of(runs)
    facts = opened(runs).runs[0].result().facts
    assert facts["data"]["cases"] == 8 and facts["data"]["skipped"] == 1


def test_data_that_are_not_there_are_said_before_anything_runs(tmp_path):
    with pytest.raises(InputError, match="The data set 'balls' of the plan is not there.*with --data"):
        call.benchmark(written(tmp_path, networks=[]), tmp_path / "runs", where=ON_THE_CPU)


def test_a_data_set_that_cannot_be_read_fails_its_runs_with_a_reason(tmp_path):
    (tmp_path / "balls").mkdir()
    runs = tmp_path / "runs"
    assert call.benchmark(written(tmp_path, networks=[]), runs, where=ON_THE_CPU) == call.SOME_FAILED
    assert "balls" in opened(runs).runs[0].state().reason


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"networks": [{"network": "unet-4d", "dims": 2}]},
            "networks.0 ('unet-4d') cannot be made: there is no",
        ),
        ({"networks": [{"network": "transunet", "dims": 3}]}, "TransUNet has 2 dimensions, not 3"),
        ({"networks": [{"network": "unet", "dims": 2, "arguments": {"widths": [1]}}]}, "widths"),
        ({"networks": [{"network": "unet", "dims": 2, "preset": "smith2025"}]}, "no preset 'smith2025'"),
        ({"baselines": [{"baseline": "luck"}]}, "baselines.0 ('luck') cannot be made: There is no baseline 'luck'"),
    ],
)
def test_a_method_that_cannot_be_made_is_said_before_anything_runs(changes, words, tmp_path):
    with pytest.raises(InputError) as caught:
        call.benchmark(written(tmp_path, **changes), tmp_path / "runs", where=ON_THE_CPU)
    assert words in caught.value.message and not (tmp_path / "runs").exists()


def test_nobody_trains_on_the_cpu_by_accident(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(DeviceError, match="Add --cpu"):
        call.benchmark(written(tmp_path), tmp_path / "runs")


def chosen(data: Path, **changes):
    plan = parse_plan(plan_data(data_sets=[plan_data()["data_sets"][0] | changes]))
    return select(orders(plan)[0], data)


def test_channels_and_structures_are_chosen_by_name(data):
    both, white = chosen(data), chosen(data, structures=["white ball"])
    assert [label.value for label in both.dataset.labels] == [1, 5]
    assert [(label.value, label.name) for label in white.dataset.labels] == [(5, "white ball")]
    assert [case.name for case in both.test] and not {c.name for c in both.test} & {c.name for c in both.training}
    with pytest.raises(InputError, match="no structure 'black ball'; it has grey ball, white ball"):
        chosen(data, structures=["black ball"])
    with pytest.raises(InputError, match="no channel 'PET'"):
        chosen(data, channels=["PET"])


def test_a_baseline_is_tuned_without_the_test_cases(data, tmp_path, monkeypatch):
    seen = []

    class Spy:
        def fit(self, cases):
            seen.extend(case.name for case in cases)

        def save(self, folder):
            pass

    monkeypatch.setattr(execute, "create_baseline", lambda name, labels, **parameters: Spy())
    order = orders(parse_plan(plan_data(networks=[])))[0]
    execute._fitted(Run(tmp_path / "runs", order), chosen(data), Clock())
    test = {case.name for case in chosen(data).test}
    assert len(seen) == len(set(seen)) == 6 and len(test) == 3 and not test & set(seen)


def test_a_training_does_not_go_on_with_other_cases(data, tmp_path, capsys):
    """Which may be in other folds by then: it might have learned from what it is to be judged on."""
    run = Run(tmp_path / "runs", orders(parse_plan(plan_data()))[0])
    run.training.mkdir(parents=True)
    (run.training / "last.ckpt").touch()
    for _ in range(2):  # begun by a version that noted nothing, and since then
        begin_on(run, chosen(data))
        assert (run.training / "last.ckpt").exists() and not capsys.readouterr().out
    write_cases(tmp_path / "more", 10)
    for part in ("images", "labels"):
        (tmp_path / "more" / part / "case_09.nii.gz").rename(data / "balls" / part / "case_09.nii.gz")
    begin_on(run, chosen(data))
    assert "The data set has changed" in capsys.readouterr().out and not run.training.exists()
    assert (run.folder / "training.other-data" / "last.ckpt").exists(), "nothing is lost"


def test_the_same_cases_are_known_again_elsewhere(data, tmp_path):
    (tmp_path / "moved").mkdir()
    os.rename(data / "balls", tmp_path / "moved" / "balls")
    there = chosen(tmp_path / "moved").facts["data"]
    os.rename(tmp_path / "moved" / "balls", data / "balls")
    here = chosen(data).facts["data"]
    assert here == there
    sorted((data / "balls" / "labels").iterdir())[0].unlink()
    assert chosen(data).facts["data"]["digest"] != here["digest"]


# ---- Single objects


class KnowsTheTruth:
    """A segmenter without mistakes, which joins what touches."""

    def __init__(self, cases):
        self._labels = iter([case.load_label() for case in cases])

    def segment(self, volumes):
        return next(self._labels)


def numbered(folder: Path, name: str) -> Case:
    """Two objects that touch, and one alone."""
    objects = np.zeros((1, 20, 20), np.uint16)
    objects[0, 2:6, 2:6], objects[0, 2:6, 6:10], objects[0, 12:16, 12:16] = 1, 2, 3
    paths = {}
    for part, array in (
        ("image", 100.0 * (objects > 0)),
        ("label", (objects > 0).astype(np.uint8)),
        ("objects", objects),
    ):
        paths[part] = folder / f"{name}-{part}.nii.gz"
        write_volume(Volume(array, np.eye(4)), paths[part])
    return Case(name, (paths["image"],), paths["label"], instances=paths["objects"])


def test_objects_are_judged_where_the_data_number_them(tmp_path):
    cases = [numbered(tmp_path, name) for name in "ab"]
    found = object_precision(KnowsTheTruth(cases), cases, "cpu")
    assert found["bowl"]["ap50"] == pytest.approx(2 / 3), "two that touch are one piece, and an IoU of a half is a hit"
    assert found["bowl"]["ap75"] == pytest.approx(1 / 4), "of the pieces and the objects only the one alone agrees"
    assert object_precision(KnowsTheTruth(cases), [replace(cases[0], instances=None)], "cpu") == {}


def test_objects_have_a_table_in_the_report(tmp_path):
    import benchmark_makers as makers
    from MedSegTrainLib.benchmark.report.collect import collect
    from MedSegTrainLib.benchmark.report.tables import objects
    from MedSegTrainLib.benchmark.runs import Result

    made = makers.benchmark(tmp_path)
    assert objects(collect(made).data_sets[0]) is None
    precision = dict.fromkeys(("bowl", "coco"), {"mean": 0.4, "ap50": 0.75, "ap75": None})
    for run in made.chosen(["unet"]):
        with run.claimed():
            run.finish(Result(makers.rows(run), {"objects": precision}))
    assert objects(collect(made).data_sets[0]).rows == [("U-Net", *("0.400", "0.750", "-") * 2)]
