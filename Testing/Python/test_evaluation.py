"""Cases segmented and judged, through failures and interruptions, and what goes into a bundle and its card."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace

import numpy as np
import pytest

from bundle_makers import DESCRIPTION, labels, threshold_bundle
from MedSegDLLib.bundle import METADATA, Bundle
from MedSegDLLib.errors import CancelledError, DeviceError, InputError
from MedSegDLLib.files import write_volume
from MedSegDLLib.volume import Volume
from MedSegTrainLib.cli import add_commands
from MedSegTrainLib.data import splits
from MedSegTrainLib.data.case import Channel
from MedSegTrainLib.data.dataset import Case, Dataset
from MedSegTrainLib.evaluation.evaluate import Renumbered, evaluate
from MedSegTrainLib.evaluation.results import (
    HeldBack,
    Measured,
    evaluate_bundle,
    held_back_cases,
    record_results,
    summary,
    trained_on,
)
from MedSegTrainLib.evaluation.row_file import RowFile
from MedSegTrainLib.evaluation.rows import Row, read_rows, write_rows
from MedSegTrainLib.training.model_card import RECIPE_IN_BUNDLE
from MedSegTrainLib.training.recipe_fields import Recipe
from training_makers import balls, recipe_data, write_cases, write_recipe

ONE, TWO = labels(1, 2)


def recipe(**changes) -> Recipe:
    return Recipe(**recipe_data(**changes))


def command(*arguments) -> int:
    parser = argparse.ArgumentParser()
    add_commands(parser.add_subparsers(required=True))
    options = parser.parse_args([str(argument) for argument in arguments])
    return options.run(options)


BY_RECIPE = Measured.by_recipe(recipe(), "f32")


class Thresholds:
    """Marks what is above 50 and 150 with 1 and 2; fails on the images named."""

    def __init__(self, **failures):
        self.failures = failures
        self.seen = []

    def segment(self, volumes):
        self.seen.append(volumes[0].name)
        if volumes[0].name in self.failures:
            raise self.failures[volumes[0].name]
        return volumes[0].with_array(np.searchsorted((50, 150), volumes[0].array).astype(np.uint8))


def case(name: str, wrong: bool = False, damaged: bool = False, **changes) -> HeldBack:
    """Two boxes, the second of which the truth has elsewhere if it is `wrong`."""

    def load():
        if damaged:
            raise InputError(f"The image of {name} is cut off.", "Export it again.")
        truth = np.zeros((6, 8, 10), np.uint8)
        truth[1:4, 1:4, 1:4], truth[1:4, 5:8, 5:9] = 1, 2
        image = Volume(truth * 100.0, np.diag([0.5, 0.5, 2, 1]), name=name)
        return (image,), image.with_array(np.where(truth == 2, 0, truth) if wrong else truth)

    return HeldBack(name, load, patient=f"patient of {name}", **changes)


def test_a_row_for_every_case_and_structure():
    rows = evaluate(Thresholds(), [case("a"), case("b", wrong=True)], [ONE, TWO])
    assert [(row.case, row.patient, row.structure, row.status, row.value("dice")) for row in rows] == [
        ("a", "patient of a", "structure 1", "found", 1),
        ("a", "patient of a", "structure 2", "found", 1),
        ("b", "patient of b", "structure 1", "found", 1),
        ("b", "patient of b", "structure 2", "false positive", 0),
    ]
    assert all(row.seconds > 0 and row.worst_mm == pytest.approx(np.hypot(np.hypot(12, 4), 5)) for row in rows)


def test_what_fails_is_a_row_with_a_reason_and_the_rest_goes_on():
    failures = {"b": DeviceError("The GPU ran out of memory.", "Use the CPU."), "d": ValueError("shapes\n (3,) (4,)")}
    cases = [case("a"), case("b", wrong=True), case("c", damaged=True), case("d", not_contoured={"structure 2"})]
    rows = evaluate(Thresholds(**failures), cases, [ONE, TWO])
    assert [(row.case, row.status) for row in rows[2:]] == [
        ("b", "failed"),
        ("b", "both empty"),  # nothing to find, and nothing was found
        ("c", "damaged"),
        ("c", "damaged"),
        ("d", "failed"),
        ("d", "not contoured"),
    ]
    assert rows[2].reason == "The GPU ran out of memory. Use the CPU." and rows[2].seconds is None
    assert rows[4].reason == "The image of c is cut off. Export it again."
    assert rows[6].reason == "ValueError: shapes (3,) (4,)" and rows[6].values == {}


def test_a_result_of_another_shape_is_the_methods_failure():
    class Cropping:
        def segment(self, volumes):
            return volumes[0].cropped((slice(0, 2),) * 3)

    (row,) = evaluate(Cropping(), [case("a")], [ONE])
    assert row.status == "failed" and "shape" in row.reason


def test_a_mistake_in_the_code_is_not_taken_for_a_failure():
    with pytest.raises(TypeError):
        evaluate(Thresholds(a=TypeError("unexpected keyword")), [case("a")], [ONE])


def test_it_goes_on_where_it_stopped_and_tries_failures_again(tmp_path):
    cases = [case(name) for name in "abcd"]
    stopped = Thresholds(b=MemoryError(), d=CancelledError("Stopped."))
    output = tmp_path / "rows.csv"
    with pytest.raises(CancelledError):
        evaluate(stopped, cases, [ONE, TWO], output=RowFile(output, {"method": "thresholds"}))
    assert {row.case for row in read_rows(output)} == {"a", "b", "c"}
    again = Thresholds()
    rows = evaluate(again, cases, [ONE, TWO], output=RowFile(output, {"method": "thresholds"}))
    assert again.seen == ["b", "d"]
    assert [row.case for row in rows] == list("aabbccdd") and {row.status for row in rows} == {"found"}
    written = sorted(read_rows(output), key=lambda row: row.case)
    assert [(row.case, row.status) for row in written] == [(row.case, row.status) for row in rows]
    assert [row.values for row in written] == [pytest.approx(row.values) for row in rows]


def test_it_can_be_cancelled_and_says_how_far_it_is():
    calls = []
    with pytest.raises(CancelledError):
        evaluate(
            Thresholds(),
            [case("a"), case("b")],
            [ONE],
            progress=lambda *c: calls.append(c),
            cancelled=lambda: len(calls) == 2,
        )
    assert calls == [(0, 2, "a"), (1, 2, "b")]


def test_values_are_matched_by_name():
    """The data call their structure 2 what the model calls 1, in other letters."""
    wanted = (replace(TWO, name="Structure 1"), replace(ONE, name="liver"))
    segmenter = Renumbered(Thresholds(), (ONE, TWO), wanted)
    assert segmenter.labels == wanted[:1]
    image = Volume(np.array([[[0, 100.0, 200.0]]]), np.eye(4))
    assert segmenter.segment([image]).array.tolist() == [[[0, 2, 0]]]
    with pytest.raises(InputError, match="liver"):
        Renumbered(Thresholds(), (ONE, TWO), wanted[1:])


def row(case: str, structure: str, dice: float | None, status="found") -> Row:
    return Row(case, case, structure, status, {} if dice is None else {"dice": dice}, 1.0)


def test_the_summary_is_the_mean_over_cases():
    rows = [row("a", "x", 0.8), row("a", "y", 0.6), row("b", "x", 0.9), row("b", "y", None, "both empty")]
    rows += [row("c", "x", 0.4), row("c", "y", 0.2), row("c", "z", None, "both empty")]
    rows += [row("d", "x", None, "damaged"), row("d", "y", None, "damaged")]
    found = summary(rows, Measured.by_recipe(recipe(), "f32"))
    assert found["dice"] == {"x": 0.7, "y": 0.4}  # a structure that no case has is not a result
    assert found["mean_dice"] == pytest.approx((0.7 + 0.9 + 0.3) / 3, abs=1e-4)
    assert (found["worst_case"], found["cases"], found["precision"]) == (0.3, 3, "f32")
    assert found["split"] == "Held back from training: fold 0 of 2, split seed 0."
    assert found["command"] == "python -m MedSegTrainLib evaluate balls.yaml --data FOLDER --bundle MODELS/balls"


def test_no_summary_of_nothing():
    with pytest.raises(InputError, match="cut off"):
        summary([Row("a", "a", "x", "damaged", reason="The image is cut off.")], BY_RECIPE)


def test_cases_held_back_are_those_that_training_leaves_out(tmp_path):
    folder = write_cases(tmp_path / "d", 4)
    first, second = (
        [each.name for each in held_back_cases(recipe(data={"source": "folder", "folds": 2, "fold": fold}), folder)]
        for fold in (0, 1)
    )
    assert sorted(first + second) == [f"case_{n:02}" for n in range(4)] and len(first) == 2


@pytest.fixture
def bundle(tmp_path):
    """Thresholds that find both balls, with the values of their labels."""
    spec = recipe().spec
    return threshold_bundle(
        tmp_path / "models" / "balls", thresholds=(50.0, 150.0), patch=(16, 16, 16), labels=spec.labels
    )


def test_a_bundle_is_judged_by_what_its_user_would_get(bundle):
    image, truth = balls(0)
    worse = truth.array.copy()
    worse[truth.array == 5] = np.where(np.arange((truth.array == 5).sum()) % 2, 5, 0)
    cases = [HeldBack("good", lambda: ((image,), truth)), HeldBack("half", lambda: ((image,), truth.with_array(worse)))]
    rows = evaluate_bundle(bundle.folder, cases, threads=1)
    assert [(row.structure, row.value("dice")) for row in rows[:3]] == [
        ("grey ball", 1),
        ("white ball", 1),
        ("grey ball", 1),
    ]
    size = (truth.array == 5).sum()
    assert rows[3].value("dice") == pytest.approx(2 * (size // 2) / (size // 2 + size))
    assert rows[0].seconds > 0 and rows[0].value("hd_mm") == 0


def described(bundle) -> dict:
    """The threshold bundle in a recipe's words."""
    return recipe_data()["medseg"] | {
        "network": {"name": "nnunet", "spatial_dims": 3, "in_channels": 1, "out_channels": 3, "head": "conv.weight"},
        "intensity": {"rule": "window", "low": -1e4, "high": 1e4, "mean": 0, "std": 1},
        "patch": list(bundle.spec.patch),
    }


def test_results_land_in_metadata_and_model_card(tmp_path, bundle, capsys):
    """By the command of the shipped models' cards."""
    folder = write_cases(tmp_path / "d", 4)
    path = write_recipe(tmp_path / "balls.yaml", recipe_data(medseg=described(bundle)))
    output = tmp_path / "rows.csv"
    assert command("evaluate", path, "--data", folder, "--bundle", bundle.folder, "--output", output) == 0
    assert "'mean_dice': 1.0" in capsys.readouterr().out
    results = json.loads((bundle.folder / METADATA).read_text())["medseg"]["results"]
    assert results["mean_dice"] == 1.0 and results["cases"] == 2
    read = Bundle.load(bundle.folder)
    read.verify()
    assert read.spec.results == results and read.checksums == bundle.checksums
    card = (bundle.folder / "docs" / "README.md").read_text()
    for words in ("| white ball | 1.0000 |", "| mean | 1.0000 |", "2 cases; f32 on the CPU", results["command"]):
        assert words in card
    assert len(read_rows(output)) == 4


def test_recording_keeps_the_weights(bundle):
    before = bundle.weights_path.read_bytes()
    rows = [row("a", "grey ball", 0.5), row("a", "white ball", 0.7)]
    results = record_results(bundle.folder, rows, recipe(medseg=described(bundle)), BY_RECIPE)
    assert results["mean_dice"] == 0.6 and Bundle.load(bundle.folder).weights_path.read_bytes() == before


@pytest.fixture
def dataset(tmp_path):
    """Three cases of a data set whose grey ball has the value 7, and which knows nothing of a white one."""
    folder = tmp_path / "data"
    folder.mkdir()
    cases = []
    for n in range(3):
        image, truth = balls(n)
        paths = [folder / f"{n}_{what}.nii.gz" for what in ("image", "label")]
        write_volume(image, paths[0])
        write_volume(truth.with_array(np.where(truth.array == 1, 7, 0).astype(np.uint8)), paths[1])
        cases.append(Case(f"case {n}", (paths[0],), paths[1], patient=f"patient {n}"))
    found = Dataset(folder, "balls", (Channel("MR", "MR"),), (replace(labels(7)[0], name="Grey ball"),), tuple(cases))
    found.write()
    return found


def test_a_data_set_is_judged_by_the_names_of_its_structures(dataset, bundle, tmp_path, capsys):
    output = tmp_path / "rows.csv"
    options = ("evaluate", dataset.folder, "--bundle", bundle.folder, "--output", output, "--tolerance", "1.5")
    assert command(*options, "--threads", "1") == 0
    out = capsys.readouterr().out
    assert "only the model 'test' has them: white ball" in out
    assert "Surface Dice at 1.5 mm" in out and "Grey ball  1.0000 +- 0.0000" in out
    rows = read_rows(output)
    assert [row.case for row in rows] == ["case 0", "case 1", "case 2"]
    assert {(row.patient, row.value("nsd_1.5mm")) for row in rows} == {(f"patient {n}", 1) for n in range(3)}
    before = output.read_bytes()
    assert command(*options) == 0 and output.read_bytes() == before  # nothing is segmented twice
    with pytest.raises(InputError, match="differ: settings"):
        command(*options, "--band", "3")


def test_a_folder_without_names_is_judged_by_its_values_on_request(bundle, tmp_path, capsys):
    folder = write_cases(tmp_path / "d", 2)
    with pytest.raises(InputError, match="grey ball.*--same-values"):
        command("evaluate", folder, "--bundle", bundle.folder)
    assert command("evaluate", folder, "--bundle", bundle.folder, "--same-values") == 0
    assert "white ball  1.0000" in capsys.readouterr().out


def test_a_damaged_file_is_told_and_the_rest_judged(dataset, bundle, capsys):
    dataset.cases[1].images[0].write_bytes(b"no image")
    assert command("evaluate", dataset.folder, "--bundle", bundle.folder, "--device", "cpu") == 1
    out = capsys.readouterr().out
    assert "case 1 (damaged)" in out and "1.0000 +- 0.0000" in out


def test_part_of_a_split_is_judged(dataset, bundle, tmp_path):
    found = splits.k_fold(dataset, 3, seed=0)
    splits.write(tmp_path / "splits.json", found, dataset, 0)
    options = ("evaluate", dataset.folder, "--bundle", bundle.folder, "--split", tmp_path / "splits.json")
    assert command(*options, "--fold", "1", "--output", tmp_path / "rows.csv") == 0
    assert tuple(row.case for row in read_rows(tmp_path / "rows.csv")) == found[1].test
    with pytest.raises(InputError, match="3 splits"):
        command(*options, "--fold", "3")


@pytest.mark.parametrize(
    ("data", "judged", "seen"),
    [
        ({"name": "livers"}, ("livers", 0, 0, "test"), True),
        ({"name": "livers"}, ("livers", 5, 0, "test"), False),
        ({"name": "livers"}, ("livers", 5, 0, "validation"), True),
        ({"name": "livers"}, ("livers", 5, 1, "test"), True),
        ({"name": "livers"}, ("livers", 4, 0, "test"), True),
        ({"name": "livers"}, ("spleens", 0, 0, "test"), False),
        ({"source": "folder", "folds": 5}, ("", 0, 0, "test"), False),
    ],
)
def test_a_part_that_a_model_learned_from_is_known(data, judged, seen):
    assert bool(trained_on(recipe(data=data), *judged)) == seen
    assert trained_on(None, *judged) == ""


def test_what_a_training_held_back_is_recorded_and_nothing_else(dataset, bundle, tmp_path, capsys):
    found = splits.k_fold(dataset, 3, seed=0)
    splits.write(tmp_path / "splits.json", found, dataset, 0)
    judged = ("evaluate", dataset.folder, "--bundle", bundle.folder, "--device", "cpu")
    with pytest.raises(InputError, match="does not say by which recipe"):
        command(*judged, "--record")
    write_recipe_of(bundle, data={"name": "balls", "folds": 3, "fold": 1})
    with pytest.raises(InputError, match="learned from cases of 'balls': only the part 'test' of fold 1 of 3"):
        command(*judged, "--record")
    assert command(*judged) == 0
    assert "Warning: The model has learned from cases of 'balls'" in capsys.readouterr().out
    of_split = (*judged, "--split", tmp_path / "splits.json", "--fold", "1", "--output", tmp_path / "rows.csv")
    for _ in range(2):  # the second time all cases are done, and nothing is segmented
        assert command(*of_split, "--record") == 0
        assert "mean Dice 1.0000" in capsys.readouterr().out
    card = (bundle.folder / "docs" / "README.md").read_text()
    assert "The part 'test' of split 1 of the data set 'balls'. 1 case; f32 on " in card
    assert "evaluate DATASET --bundle MODEL --split splits.json --fold 1 --part test" in card
    assert Bundle.load(bundle.folder).spec.results["mean_dice"] == 1


def write_recipe_of(bundle, **changes) -> None:
    """The recipe in a bundle by which it was made."""
    (bundle.folder / RECIPE_IN_BUNDLE).parent.mkdir(exist_ok=True)
    description = DESCRIPTION | {"name": bundle.name}
    data = recipe_data(medseg=described(bundle), description=description, **changes)
    write_recipe(bundle.folder / RECIPE_IN_BUNDLE, data)


def test_the_command_compares_tables(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for name, level in (("unet", 0.9), ("fcn", 0.8)):
        rows = [row(str(n), "x", float(level + rng.normal(0, 0.02))) for n in range(12)]
        write_rows(tmp_path / f"{name}.csv", rows)
    tables = (tmp_path / "unet.csv", tmp_path / "fcn.csv")
    assert command("compare", *tables, "--resamples", "200", "--markdown") == 0
    out = capsys.readouterr().out
    assert "Kendall's tau 1.00" in out and "| unet | fcn |" in out and "0.000488" in out  # 2 / 2^12
    with pytest.raises(InputError, match="no measure 'dise'"):
        command("compare", *tables, "--measure", "dise")
