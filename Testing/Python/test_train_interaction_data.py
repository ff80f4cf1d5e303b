"""The panel of data: looked at, corrected, imported, with a true desk; and once with its true process."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from data_makers import FIRST, image, labels_of, write_pair
from MedSegDLLib.errors import CancelledError, InputError, WorkerError
from MedSegDLLib.labels import Code, Terminology
from MedSegDLLib.worker_process import SubprocessTransport
from MedSegTrainLib.data.desk import DataDesk
from MedSegTrainLib.data.found import Drawing, Findings, FoundCase, FoundImage, FoundStructure
from MedSegTrainLib.data.preview import picture
from MedSegTrainLib.data.sources.frozen import frozen_cases
from MedSegTrainLib.interaction.data import DataPresenter
from MedSegTrainLib.interaction.data_ports import DATABASE, SCENE, DataChoices, DataState
from MedSegTrainLib.interaction.desks import ProcessDesk, ThreadDesk
from train_window_cases import Clock, Desk, FakeView, Later, Transports, wait_until

LIVER = Terminology(Code("SCT", "123037004", "Anatomical Structure"), Code("SCT", "10200004", "Liver"))


@pytest.fixture
def source(tmp_path) -> Path:
    """Three cases; the last one lacks the second structure."""
    folder = tmp_path / "source"
    for number in range(3):
        write_pair(folder, f"case_{number}", number, {1: FIRST} if number == 2 else None)
    return folder


@pytest.fixture
def data(tmp_path, source):
    """A presenter that has chosen the source and where the data set goes."""
    presenter = make(tmp_path)
    presenter.choose(DataChoices(folder=source, output=tmp_path / "dataset"))
    yield presenter
    presenter.close()


def make(tmp_path, desk=None, **more):
    datasets = []
    presenter = DataPresenter(FakeView(), desk or Desk(), on_dataset=datasets.append, **more)
    presenter.datasets = datasets
    return presenter


def panel(data):
    return data._data._view.panel


def looked(data):
    data.look()
    data.poll()
    return panel(data)


def test_the_button_says_what_is_missing(tmp_path):
    data = make(tmp_path)
    data.show()
    assert not panel(data).can_look and panel(data).look_tip.startswith("Choose the folder")
    data.choose(DataChoices(source=DATABASE))
    assert panel(data).look_tip == "Tick patients of the DICOM database."
    data.choose(DataChoices(source=SCENE))
    assert panel(data).can_look and not panel(data).can_import
    data.close()


def test_looking_fills_the_tables(data):
    data.look()
    assert panel(data).is_busy and panel(data).progress == (0, 0) and not panel(data).can_look
    data.poll()
    shown = panel(data)
    assert shown.state is DataState.FOUND and shown.can_import
    assert [row.name for row in shown.cases] == ["case_0", "case_1", "case_2"]
    assert [(row.name, row.structure, row.without) for row in shown.structures] == [
        ("structure 1", "structure 1", "in every case"),
        ("structure 2", "structure 2", "not contoured in 1"),
    ]
    assert shown.structures[0].codes == "none"


def test_what_was_left_out_is_in_the_table_with_the_reason(data, source):
    (source / "images" / "alone.nii.gz").write_bytes((source / "images" / "case_0.nii.gz").read_bytes())
    (left_out,) = (row for row in looked(data).cases if row.is_left_out)
    assert "alone" in left_out.name and left_out.warnings


def test_structures_are_corrected_in_place(data):
    looked(data)
    data.rename(0, "Liver")
    data.set_terminology(0, LIVER)
    data.rename(1, "")
    rows = panel(data).structures
    assert (rows[0].structure, rows[0].codes) == ("Liver", "Liver") and rows[1].structure == ""
    data.rename(1, "Liver")
    assert panel(data).structures[1].without == "in every case"  # both names are one structure now
    data.set_absent(1, True)
    assert [row.absent for row in panel(data).structures] == [True, True]


def test_a_correction_that_cannot_be_is_refused(data):
    looked(data)
    data.rename(0, "")
    data.rename(1, "")
    assert panel(data).problem and panel(data).status.startswith("The table keeps no structure.")
    assert [row.structure for row in panel(data).structures] == ["", "structure 2"]


def test_importing_makes_a_data_set(data, tmp_path):
    looked(data)
    data.rename(0, "Liver")
    data.import_data()
    assert panel(data).is_busy
    data.poll()
    shown = panel(data)
    assert shown.state is DataState.READY and data.datasets == [tmp_path / "dataset"]
    assert shown.status.startswith("Data set 'dataset': 3 cases, 2 structures.")
    assert shown.cases[0].structures == "Liver, structure 2" and shown.cases[0].size == "12 x 10 x 8, 1.5 x 1.5 x 3 mm"
    assert shown.cases[0].modality and shown.cases[2].warnings.startswith("Not contoured: structure 2.")
    assert [row.without for row in shown.structures] == ["in every case", "not contoured in 1"]


def test_a_correction_after_the_import_asks_for_another(data):
    looked(data)
    data.import_data()
    data.poll()
    data.rename(0, "Spleen")
    assert data.datasets[-1] is None and panel(data).can_import and "Import again" in panel(data).status


def test_corrections_of_an_earlier_import_are_taken_up(data, tmp_path, source):
    looked(data)
    data.rename(0, "Liver")
    data.import_data()
    data.poll()
    again = make(tmp_path)
    again.choose(DataChoices(folder=source, output=tmp_path / "dataset"))
    assert [row.structure for row in looked(again).structures] == ["Liver", "structure 2"]
    again.close()


def test_looking_again_keeps_the_corrections(data, source):
    """As after a crash in the middle of an import, which takes with it what was found."""
    looked(data)
    data.rename(0, "Liver")
    assert [row.structure for row in looked(data).structures] == ["Liver", "structure 2"]
    source.rename(source.with_name("away"))
    assert looked(data).problem and panel(data).structures == ()
    source.with_name("away").rename(source)
    assert [row.structure for row in looked(data).structures] == ["Liver", "structure 2"]
    data.choose(DataChoices(folder=source.parent))
    data.choose(DataChoices(folder=source))
    assert [row.structure for row in looked(data).structures] == ["structure 1", "structure 2"]  # chosen anew


def test_a_data_set_of_other_cases_is_not_replaced_without_a_word(data, tmp_path):
    looked(data)
    data.import_data()
    data.poll()
    for number in range(2):
        write_pair(tmp_path / "other", f"other_{number}", number)
    data.choose(DataChoices(folder=tmp_path / "other", output=tmp_path / "dataset"))
    assert looked(data).problem
    assert "holds the data set 'dataset' of 3 other cases" in panel(data).status and panel(data).can_import
    data.choose(DataChoices(folder=tmp_path / "other", output=tmp_path / "second"))
    data.import_data()
    data.poll()
    assert not panel(data).problem and data.dataset == tmp_path / "second"


def test_what_was_left_out_can_be_selected_but_not_drawn(data, source):
    (source / "images" / "alone.nii.gz").write_bytes((source / "images" / "case_0.nii.gz").read_bytes())
    name = next(row.name for row in looked(data).cases if row.is_left_out)
    data.select(name)
    assert panel(data).selected == name and not data.needs_polling and panel(data).picture is None
    data.import_data()
    data.select(name)
    assert panel(data).selected == ""  # not while it imports


def test_a_data_set_is_opened_as_it_is(data, tmp_path):
    looked(data)
    data.import_data()
    data.poll()
    data.choose(DataChoices(folder=tmp_path / "dataset"))
    assert data.datasets[-1] is None
    shown = looked(data)
    assert data.datasets[-1] == tmp_path / "dataset" and not shown.can_import
    assert [(row.structure, row.can_change) for row in shown.structures] == [
        ("structure 1", False),
        ("structure 2", False),
    ]


def test_other_data_make_what_was_found_stale(data, source):
    looked(data)
    data.choose(DataChoices(folder=source.parent))
    assert panel(data).cases == () and panel(data).state is DataState.NOTHING


def test_nothing_there_is_said(data, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    data.choose(DataChoices(folder=empty))
    shown = looked(data)
    assert shown.problem and "holds no image" in shown.status and shown.state is DataState.NOTHING


def test_a_cancelled_import_can_be_gone_on_with(data):
    looked(data)
    data.import_data()
    data.cancel()
    assert panel(data).state is DataState.CANCELLING
    data.poll()
    assert panel(data).state is DataState.FOUND and panel(data).status.startswith("Cancelled.")
    data.import_data()
    data.poll()
    assert panel(data).state is DataState.READY


def test_the_selected_case_is_drawn(data):
    looked(data)
    data.select("case_1")
    assert data.needs_polling and panel(data).picture is None
    data.poll()
    first = panel(data).picture
    assert sitk.ReadImage(str(first)).GetNumberOfComponentsPerPixel() == 3
    data.import_data()
    data.poll()
    data.select("case_2")
    data.poll()
    assert panel(data).picture not in (None, first)
    data.select("nobody")
    assert panel(data).picture is None


def test_of_several_cases_the_last_one_is_drawn(data):
    looked(data)
    for name in ("case_0", "case_1", "case_2"):
        data.select(name)
    data.poll()
    assert panel(data).picture is None
    data.poll()
    assert panel(data).picture is not None
    asked = [question["case"] for question in data._looking.desk.questions if question["ask"] == "picture"]
    assert asked == ["case_0", "case_2"]


# The scene


class Box(Drawing):
    """Drawn on one image."""

    def __init__(self, key):
        super().__init__([FoundStructure("Box")], key, "box")

    def masks(self, grid):
        mask = np.zeros(grid.shape, bool)
        mask[FIRST] = True
        yield self.structures[0], mask


def scene_findings():
    array = image(0)
    images = tuple(FoundImage(key, key, "CT", lambda: array) for key in ("node1", "node2"))
    return Findings("volumes in the scene", (FoundCase("head", "head", images[:1], (Box("node1"),), version="1"),))


def test_the_scene_is_copied_case_by_case_and_imported(tmp_path):
    desks = []

    def desk_of(findings):
        desks.append(Desk(findings))
        return desks[-1]

    data = make(tmp_path, scene=scene_findings, scene_desk=desk_of)
    data.choose(DataChoices(source=SCENE, output=tmp_path / "dataset"))
    data.look()
    assert panel(data).status == "Copying case 0 of 1 out of the scene" and panel(data).progress == (0, 1)
    data.poll()
    assert panel(data).progress == (1, 1)
    data.poll()
    data.poll()
    assert panel(data).state is DataState.FOUND and panel(data).structures[0].name == "Box"
    data.import_data()
    data.poll()
    assert data.datasets[-1] == tmp_path / "dataset"
    data.close()
    assert desks[0].is_closed


def test_a_scene_that_is_closed_in_the_middle(tmp_path):
    data = make(tmp_path, scene=scene_findings, scene_desk=Desk)
    data.choose(DataChoices(source=SCENE))
    data.look()
    data.scene_closed()
    assert panel(data).state is DataState.NOTHING and not data.is_busy
    data.close()


def test_a_scene_without_segmentations_is_said(tmp_path):
    def nothing():
        raise InputError("No volume in the scene has a segmentation.")

    data = make(tmp_path, scene=nothing)
    data.choose(DataChoices(source=SCENE))
    data.look()
    assert panel(data).problem and "no volume" in panel(data).status.lower()
    data.close()


def test_a_copy_outlives_the_scene():
    (case,) = frozen_cases(scene_findings())
    drawing, volume = case.drawings[0], case.images[0].load()
    ((structure, mask),) = drawing.masks(volume.grid)
    assert structure.name == "Box" and mask.sum() == mask[FIRST].sum() == mask[FIRST].size
    with pytest.raises(InputError, match="drawn on another image"):
        list(drawing.masks(volume.grid.resized((2, 2, 2))))


def test_a_thread_answers_for_the_scene(tmp_path):
    answers = []
    desk = ThreadDesk(scene_findings(), Later)
    desk.ask({"ask": "tell", "table": str(tmp_path / "t.csv")}, lambda *_: None, lambda *a: answers.append(a))
    Later.happen()
    assert answers[0][0]["cases"][0]["name"] == "head" and answers[0][1] is None
    desk.ask({"ask": "dance"}, lambda *_: None, lambda *a: answers.append(a))
    Later.happen()
    assert "nobody answers" in str(answers[1][1])
    desk.ask({"ask": "dance"}, lambda *_: None, lambda *a: answers.append(a))
    desk.close()
    Later.happen()
    assert len(answers) == 2


# The picture


def test_the_fullest_slice_is_drawn_with_square_pixels_and_the_patients_right_on_the_left():
    volume = image(0)  # 12 x 10 x 8 voxels, i to the left, j to the back
    mask = np.zeros(volume.array.shape, bool)
    mask[5, :, 0] = True
    rgb = picture(volume, [(mask, (255, 0, 0))])
    assert rgb.shape == (10, 12, 3) and rgb.dtype == np.uint8
    red = (rgb[..., 0].astype(int) - rgb[..., 1] > 90).nonzero()[1]
    assert set(red) == {0}
    assert np.corrcoef(rgb[:, 1:, 1].ravel(), volume.array[5, :, 1:].ravel())[0, 1] > 0.9
    flipped = picture(volume.reoriented("RPS"), [(mask[:, :, ::-1], (255, 0, 0))])
    assert np.array_equal(flipped, rgb)


def test_slices_of_oblong_voxels_are_stretched():
    matrix = np.diag([-1.0, -3.0, 1.0, 1.0])
    volume = labels_of({1: FIRST}, matrix=matrix)
    assert picture(volume, []).shape == (30, 12, 3)


# The process


def test_the_process_is_asked_in_lines_and_its_end_is_noticed():
    transports, answers = Transports(), []
    desk = ProcessDesk(lambda: sys.executable, transports)
    desk.ask({"ask": "look"}, lambda *told: answers.append(told), lambda *told: answers.append(told))
    assert transports.last.command[1:] == ["-m", "MedSegTrainLib.data.desk_process"]
    assert transports.last.written == [{"id": 1, "ask": "look"}]
    transports.last.say(id=1, event="progress", done=1, total=2, name="a")
    transports.last.say(id=0, event="done", answer={})  # of an earlier question
    desk.poll()
    assert answers == [(1, 2, "a")]
    transports.last.end(-9, "Killed")
    desk.poll()
    assert answers[1][0] is None and isinstance(answers[1][1], WorkerError) and answers[1][1].details == "Killed"
    desk.ask({"ask": "look"}, lambda *_: None, lambda *told: answers.append(told))
    assert len(transports.made) == 2  # a new one
    desk.close()
    assert transports.last.was_killed


def test_a_process_that_does_not_listen_is_killed():
    transports, answers, clock = Transports(), [], Clock()
    desk = ProcessDesk(lambda: sys.executable, transports, clock)
    desk.ask({"ask": "look"}, lambda *_: None, lambda *told: answers.append(told))
    desk.cancel()
    assert transports.last.written[-1] == {"cancel": 1}
    desk.poll()
    assert not answers
    clock.now = 6.0
    desk.poll()
    assert isinstance(answers[0][1], CancelledError) and transports.last.was_killed


def test_an_import_by_a_process_that_knows_nothing_any_more(tmp_path):
    with pytest.raises(InputError, match="no longer at hand"):
        DataDesk()._import(None, None, table="t", output="o", channels=[])


def test_the_true_process_is_killed_while_it_imports(tmp_path, source):
    data = make(tmp_path, ProcessDesk(lambda: sys.executable, SubprocessTransport))
    data.choose(DataChoices(folder=source, output=tmp_path / "dataset"))
    data.look()
    wait_until(lambda: not data.is_busy, data.poll)
    data.rename(0, "Liver")
    data.import_data()
    data._looking.desk._process._transport._process.kill()
    wait_until(lambda: not data.is_busy, data.poll)
    assert panel(data).problem and panel(data).status.startswith("The process was killed")
    data.import_data()  # by a new process, which has not looked
    wait_until(lambda: not data.is_busy, data.poll)
    assert panel(data).status.startswith("The data are no longer at hand. Look at them again")
    data.look()
    wait_until(lambda: not data.is_busy, data.poll)
    data.import_data()
    wait_until(lambda: not data.is_busy, data.poll)
    assert panel(data).state is DataState.READY and panel(data).cases[0].structures == "Liver, structure 2"
    data.close()


def test_the_true_process(tmp_path, source):
    data = make(tmp_path, ProcessDesk(lambda: sys.executable, SubprocessTransport))
    data.choose(DataChoices(folder=source, output=tmp_path / "dataset"))
    data.look()
    wait_until(lambda: not data.is_busy, data.poll)
    assert [row.name for row in panel(data).structures] == ["structure 1", "structure 2"], panel(data).status
    data.select("case_0")
    wait_until(lambda: panel(data).picture is not None, data.poll)
    data.rename(0, "Liver")
    data.import_data()
    wait_until(lambda: not data.is_busy, data.poll)
    assert data.datasets == [tmp_path / "dataset"], panel(data).status
    data.close()
