"""What the presenters are made of: numbers in words, the time that is left, the list of models, what was found."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from interaction_cases import ENTRY, HIPPOCAMPUS
from MedSegDLLib.interaction.catalogue import ModelEntry, read_catalogue, selection
from MedSegDLLib.interaction.device_list import device_rows
from MedSegDLLib.interaction.measures import bytes_text, memory_text, millilitres_text, seconds_text, spacing_text
from MedSegDLLib.interaction.model_info import ModelInfo
from MedSegDLLib.interaction.module_wording import ModuleWording
from MedSegDLLib.interaction.outcome import Absence, Finding, Outcome, absence, coverage_mm, find
from MedSegDLLib.interaction.progress import ProgressClock
from MedSegDLLib.interaction.progress_wording import Counted
from MedSegDLLib.interaction.timings import Timings, millions_of_voxels
from MedSegDLLib.models import SHIPPED
from MedSegDLLib.volume import Grid, Volume
from scene_cases import LABELS, labelmap_on, rotation

SPEC = HIPPOCAMPUS.spec
GRID = Grid((100, 100, 100), np.eye(4))

# Numbers


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.01 s"), (0.084, "0.08 s"), (0.999, "1.0 s"), (4.13, "4.1 s"), (9.97, "10 s"), (89.4, "89 s"),
     (90, "2 min"), (1000, "17 min"), (5400, "1.5 h")],
)  # fmt: skip
def test_seconds(seconds, text):
    assert seconds_text(seconds) == text


@pytest.mark.parametrize(("volume_ml", "text"), [(1.617, "1.62 ml"), (0.006, "0.01 ml"), (0.001, "< 0.01 ml")])
def test_millilitres(volume_ml, text):
    assert millilitres_text(volume_ml) == text


@pytest.mark.parametrize(("size", "text"), [(10, "1 kB"), (8.5e5, "850 kB"), (1.34e7, "13 MB"), (1.2e9, "1.2 GB")])
def test_bytes(size, text):
    assert bytes_text(size) == text


@pytest.mark.parametrize(
    ("used", "total", "text"),
    [(3.1, 23.6, "3.1 of 24 GB"), (0.01, 7.9, "0.1 of 7.9 GB"), (12.0, 128.0, "12.0 of 128 GB")],
)
def test_memory(used, total, text):
    assert memory_text(used * 2**30, total * 2**30) == text


@pytest.mark.parametrize(
    ("spacing_mm", "text"),
    [((1.0, 1.0, 1.0), "1 mm"), ((0.78, 0.78, 5.0), "0.78 x 0.78 x 5 mm"), ((12.0,) * 3, "12 mm")],
)
def test_spacing(spacing_mm, text):
    assert spacing_text(spacing_mm) == text


# The time that is left


def test_time_left_comes_from_the_windows_after_the_first():
    clock = ProgressClock()
    assert clock.seconds_left(0.0) is None
    clock.count(0, 10, "Segmenting", 100.0)
    assert clock.seconds_left(105.0) is None
    clock.count(4, 10, "Segmenting", 108.0)
    assert clock.seconds_left(108.0) == pytest.approx(12.0)
    assert clock.seconds_left(110.0) == pytest.approx(10.0)
    assert clock.seconds_left(200.0) == 0.0


@pytest.mark.parametrize("anew", [(0, 10, "Segmenting"), (0, 40, "Looking for it"), (2, 40, "Segmenting")])
def test_a_count_that_starts_anew_is_measured_anew(anew):
    clock = ProgressClock()
    clock.count(0, 10, "Looking for it", 100.0)
    clock.count(9, 10, "Looking for it", 109.0)
    done, total, message = anew
    clock.count(done, total, message, 120.0)
    assert clock.seconds_left(120.0) is None
    clock.count(done + 1, total, message, 125.0)
    assert clock.seconds_left(125.0) == pytest.approx(5.0 * (total - done - 1))


# What runs took


def test_times_are_kept_for_model_and_device_and_scaled_by_size(tmp_path):
    path = tmp_path / "a folder" / "timings.json"
    Timings(path).remember("hippocampus-mr", "cpu", SPEC, GRID, 8.0)
    timings = Timings(path)
    assert timings.expected_seconds("hippocampus-mr", "cpu", SPEC, GRID) == pytest.approx(8.0)
    assert timings.expected_seconds(
        "hippocampus-mr", "cpu", SPEC, replace(GRID, shape=(50, 100, 100))
    ) == pytest.approx(4)
    assert timings.expected_seconds("hippocampus-mr", "cuda:0", SPEC, GRID) is None
    assert timings.expected_seconds("another", "cpu", SPEC, GRID) is None


def test_a_small_image_takes_a_whole_window():
    assert millions_of_voxels(SPEC, Grid((2, 2, 2), np.eye(4))) == pytest.approx(40 * 56 * 40 / 1e6)


@pytest.mark.parametrize("content", ["{", "[1]", '{"hippocampus-mr on cpu": "fast"}', '{"hippocampus-mr on cpu": 0}'])
def test_a_damaged_file_of_times_is_no_estimate(tmp_path, content):
    path = tmp_path / "timings.json"
    path.write_text(content)
    timings = Timings(path)
    assert timings.expected_seconds("hippocampus-mr", "cpu", SPEC, GRID) is None
    timings.remember("hippocampus-mr", "cpu", SPEC, GRID, 1.0)
    assert json.loads(path.read_text()) == {"hippocampus-mr on cpu": 1.0}


def test_times_that_cannot_be_kept_are_no_failure(tmp_path):
    (tmp_path / "file").write_text("")
    timings = Timings(tmp_path / "file" / "timings.json")
    timings.remember("hippocampus-mr", "cpu", SPEC, GRID, 3.0)
    assert timings.expected_seconds("hippocampus-mr", "cpu", SPEC, GRID) == pytest.approx(3.0)


# The list of models


def test_the_catalogue_tells_of_usable_and_broken_models(tmp_path):
    broken = tmp_path / "aardvark"
    shutil.copytree(HIPPOCAMPUS.folder, broken)
    (broken / "models" / "model.safetensors").write_bytes(b"")
    entries = read_catalogue(lambda: {"aardvark": broken, "hippocampus-mr": HIPPOCAMPUS.folder})
    assert [entry.name for entry in entries] == ["hippocampus-mr", "aardvark"]
    good, bad = entries
    assert good.title == "Hippocampus, MR" and good.structures == ("Anterior hippocampus", "Posterior hippocampus")
    assert good.modality == ("MR",) and not good.problem and good.picture is None
    assert bad.title == "aardvark" and bad.problem.startswith("The weights model.safetensors are missing or damaged.")
    assert bad.description == bad.problem and bad.structures == ()


def test_the_shipped_models_are_in_the_catalogue(monkeypatch, tmp_path):
    monkeypatch.setenv("MEDSEG_MODELS", str(tmp_path))
    assert {entry.name for entry in read_catalogue()} == {path.name for path in SHIPPED.iterdir()}


def test_a_picture_that_the_model_brings(tmp_path):
    picture = tmp_path / "docs" / "example.png"
    picture.parent.mkdir()
    picture.write_bytes(b"")
    assert ModelEntry("pictured", tmp_path).picture == picture


@pytest.mark.parametrize(
    ("search", "found"),
    [("", True), ("HIPPO", True), ("anterior mr", True), ("posterior ct", False), ("decathlon", False)],
)
def test_a_search_looks_for_every_word(search, found):
    assert bool(selection([ENTRY], search)) is found


def test_models_for_the_modality_come_first():
    ct = ModelEntry("a ct", HIPPOCAMPUS.folder, replace(HIPPOCAMPUS, spec=replace(SPEC, modality=("CT",))))
    assert [entry.name for entry in selection([ct, ENTRY], modality="MR")] == ["hippocampus-mr", "a ct"]
    assert [entry.name for entry in selection([ct, ENTRY])] == ["a ct", "hippocampus-mr"]


INFO = ModelInfo()


def test_a_model_in_a_row_and_in_a_line():
    licence = SPEC.licence
    assert INFO.row(ENTRY, 4.13) == ("Hippocampus, MR", "MR", "2", "1 mm", licence, "4.1 s")
    assert INFO.row(ENTRY, None)[-1] == "not known yet"
    assert INFO.line(ENTRY, 4.13) == f"MR, 2 structures, 1 mm, {licence}, 4.1 s"
    assert INFO.line(ENTRY, None) == f"MR, 2 structures, 1 mm, {licence}"


def test_a_damaged_model_says_so_everywhere():
    broken = ModelEntry("broken", ENTRY.folder, problem="The weights are <damaged>.")
    assert INFO.row(broken, None) == ("broken", "", "", "", "", "damaged")
    assert INFO.line(broken, None) == "The weights are <damaged>."
    assert INFO.page(broken, None) == "<p>The weights are &lt;damaged&gt;.</p>"
    assert not broken.is_prompter and broken.channels == ()


def test_a_page_has_the_picture_that_the_model_brings(tmp_path):
    folder = tmp_path / "a & b"
    entry = ModelEntry("model", folder, HIPPOCAMPUS)
    assert "<img" not in INFO.page(entry, None) and ">1 mm<" in INFO.page(entry, None)
    picture = folder / "docs" / "example.png"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"")
    assert f'<img src="{tmp_path.as_posix()}/a &amp; b/docs/example.png"' in INFO.page(entry, None)


def test_the_images_of_a_model_are_named_with_their_modality():
    network = replace(SPEC.network, in_channels=2)
    spec = replace(SPEC, network=network, channels=("CT", "PET"), modality=("CT", "PT"))
    assert INFO.row(ModelEntry("m", ENTRY.folder, replace(HIPPOCAMPUS, spec=spec)), None)[1] == "CT + PET/PT"


@pytest.mark.parametrize(
    ("devices", "chosen", "names"),
    [
        ((), "auto", ["auto", "cpu"]),
        (({"name": "cuda:0", "description": "RTX"},), "auto", ["auto", "cuda:0"]),
        ((), "cuda:3", ["auto", "cpu", "cuda:3"]),
    ],
)
def test_the_chosen_device_is_always_in_the_list(devices, chosen, names):
    assert [name for name, _text in device_rows(devices, chosen)] == names


# What was found


def test_volumes_of_each_frame_and_what_reaches_the_edge():
    first = labelmap_on(np.diag([1.0, 1.0, 2.0, 1.0]))
    second = first.with_array(np.where(first.array == 1, 0, first.array).astype(np.uint8))
    heart, kidney, tumour = find([first, second], LABELS)
    assert heart.volumes_ml == (pytest.approx(3 * 6 * 11 * 2 / 1000), 0.0) and heart.found and not heart.cut
    assert kidney.volumes_ml[0] == kidney.volumes_ml[1] and tumour.cut
    region = (slice(0, 12), slice(0, 18), slice(0, 22))
    assert not find([first], LABELS, region)[2].found


def test_the_edge_of_a_region_cuts_too():
    heart = find([labelmap_on(np.eye(4))], LABELS, (slice(0, 14), slice(0, 18), slice(0, 6)))[0]
    assert heart.cut and heart.found


def test_a_single_slice_has_no_edge_before_and_behind():
    array = np.zeros((1, 20, 20), np.uint8)
    array[0, 5:9, 5:9] = 1
    assert not find([Volume(array)], LABELS)[0].cut


def test_coverage_is_along_the_body():
    turned = rotation(0, 90, 0) @ np.diag([1.0, 2.0, 3.0, 1.0])
    assert coverage_mm(Grid((10, 10, 10), turned)) == pytest.approx((30, 20, 10))


def test_why_something_may_be_missing():
    assert absence(HIPPOCAMPUS, GRID, (slice(0, 1),) * 3) is Absence.REGION
    assert absence(HIPPOCAMPUS, GRID, None) is Absence.UNKNOWN
    assert absence(HIPPOCAMPUS, replace(GRID, shape=(20, 100, 100)), None) is Absence.FIELD_OF_VIEW


def outcome(*findings, **changes) -> Outcome:
    return Outcome(findings, (100, 100, 24), Absence.UNKNOWN, 4.1, "RTX 4090", **changes)


def test_the_summary_of_nothing_found():
    text = ModuleWording().summary(outcome(Finding("Liver", (0, 0, 0), (0.0,))))
    assert text == "Not found: Liver. The model saw nothing like them in this image. 4.1 s on RTX 4090."


def test_the_volume_over_several_frames_is_a_range():
    words = ModuleWording()
    assert words.volume_ml(Finding("Liver", (0, 0, 0), (1.5,))) == "1.50 ml"
    assert words.volume_ml(Finding("Liver", (0, 0, 0), (2.0, 1.5, 0.0))) == "< 0.01 ml to 2.00 ml in 3 frames"


def test_every_sentence_is_translated():
    words = ModuleWording(lambda text: f"<{text}>")
    said = [
        words.choose_volume(), words.volume_gone(), words.choose_channel("T2"), words.channel_gone("T2"),
        words.same_volume("T1", "T2"), words.other_frames("T2"), words.other_modality_of_channel("T2", ("MR",), "CT"),
        words.no_model_installed(), words.choose_model(),
        words.other_modality(("MR",), "CT"), words.no_structure(), words.ready(None, 1), words.ready(3.0, 1),
        words.apply(), words.cancel(), words.cancel_tip(), words.checking_installation(),
        words.loading("a", 0), words.loading("a", 5),
        words.looking(), words.windows(Counted(1, 2, None, "cpu")), words.frame(1, 2), words.stopped(),
        words.stopped_node_gone(), words.stopped_volume_replaced(), words.unforeseen(), words.summary(outcome()),
    ]  # fmt: skip
    assert all(sentence.startswith("<") and sentence.endswith(">") for sentence in said)
