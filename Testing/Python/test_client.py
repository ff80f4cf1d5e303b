"""The client against true worker processes; the engine inside them is the one of fake_worker.py."""

from __future__ import annotations

import gc
import os
import signal
import stat
import subprocess
import sys
import time
import venv
from pathlib import Path

import numpy as np
import psutil
import pytest

from MedSegDLLib import worker_process
from MedSegDLLib.client import Worker
from MedSegDLLib.errors import CancelledError, DeviceError, InputError, ModelError, OutputError, WorkerError
from MedSegDLLib.volume import Volume
from MedSegDLLib.worker_process import SubprocessTransport, find_python, worker_command, worker_environment

FAKE_WORKER = [sys.executable, str(Path(__file__).with_name("fake_worker.py"))]
PATIENCE_SECONDS = 30
LONG = {"seconds_per_window": 0.2}


@pytest.fixture
def worker(tmp_path):
    with Worker(command=FAKE_WORKER, log_path=tmp_path / "Protokoll 日誌.log") as worker:
        yield worker


@pytest.fixture
def volume():
    array = np.random.default_rng(1).integers(-5, 5, (3, 4, 5)).astype(np.int16)
    matrix = np.array([[0, -2, 0, 10], [1, 0, 0, -7.25], [0, 0, 3, 5], [0, 0, 0, 1.0]])
    return Volume(array, matrix, "CT", "Größe µ 影像")


def prepare(worker, volume, folder, **options):
    worker.load(folder, **options)
    worker.set_image(volume)


def program(text):
    """A command that runs a few lines of Python in the place of a worker."""
    return [sys.executable, "-c", text]


def has_ended(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


# What it does


def test_one_case_from_hello_to_labels(worker, volume, tmp_path):
    folder = tmp_path / "modèle 模型"
    folder.mkdir()
    assert worker.hello()["devices"][0]["name"] == "cpu"
    loaded = worker.load(folder, device="cuda:0")
    assert (loaded["device"], loaded["messages"]) == ("cuda:0", ["thresholds only"])
    worker.set_image(volume)
    steps = []
    result = worker.segment(on_progress=lambda *step: steps.append(step))
    assert steps == [(n, 5, f"window {n}") for n in range(5)]
    assert np.array_equal(result.labels.array, volume.array > 0)
    assert result.labels.grid.agrees_with(volume.grid) and result.labels.name == volume.name
    assert result.report == {
        "seconds": {"network": 0.5},
        "device": "cuda:0",
        "peak_memory_bytes": 1000,
        "keep_largest": None,
        "notes": ["Größe µ"],
    }


def test_the_worker_with_the_true_engine(tmp_path, monkeypatch):
    monkeypatch.delenv("MEDSEG_WORKER_PYTHON", raising=False)
    with Worker() as worker:
        assert "cpu" in [device["name"] for device in worker.hello()["devices"]]
        with pytest.raises(ModelError) as caught:
            worker.load(tmp_path / "none", device="cpu")
        assert caught.value.remedy


def test_a_region_restricts_the_labels(worker, volume, tmp_path):
    prepare(worker, volume, tmp_path)
    region = (slice(1, 3), slice(0, 2), slice(2, 5))
    labels = worker.segment(region).labels.array
    expected = np.zeros_like(labels)
    expected[region] = volume.array[region] > 0
    assert np.array_equal(labels, expected) and expected.any()


def test_a_private_folder_with_any_name_holds_the_image_only(volume, tmp_path, monkeypatch):
    place = tmp_path / "Ordner für 影像"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    with Worker(command=FAKE_WORKER) as worker:
        prepare(worker, volume, tmp_path)
        worker.segment()
        worker.set_image(volume.with_array(-volume.array))
        assert np.array_equal(worker.segment().labels.array, volume.array < 0)
        assert worker.folder.parent == place
        assert stat.S_IMODE(worker.folder.stat().st_mode) == 0o700
        assert sorted(path.suffix for path in worker.folder.iterdir()) == [".log", ".npy"]
    assert list(place.iterdir()) == []


def test_the_same_array_is_sent_once(worker, volume, tmp_path):
    first = worker.begin_image(volume)
    assert worker.begin_image(Volume(volume.array, volume.ijk_to_ras, "CT", volume.name)) is first
    assert worker.begin_image(volume.with_array(volume.array.copy())) is not first
    second = worker.begin_image(volume)
    moved = Volume(volume.array, np.eye(4), "CT", volume.name)
    assert worker.begin_image(moved) is not second


def test_several_images_are_sent_together_and_once(worker, volume, tmp_path):
    other = Volume(-volume.array, np.eye(4), "PT", "pet")
    first = worker.begin_image([volume, other])
    assert worker.begin_image((volume, Volume(other.array, np.eye(4), "PT", "pet"))) is first
    for different in (volume, [other, volume], [volume, volume], [volume, other, other]):
        assert worker.begin_image(different) is not first
    worker.load(tmp_path)
    worker.set_image([other, volume])
    assert np.array_equal(worker.segment().labels.array, other.array > 0)  # the fake looks at the first
    assert worker.segment().labels.name == "pet"
    assert len(list(worker.folder.glob("image*"))) == 2


def test_an_image_alone_or_in_a_list_is_the_same(worker, volume):
    assert worker.begin_image([volume]) is worker.begin_image(volume)


def test_several_images_survive_a_restart(worker, volume, tmp_path):
    prepare(worker, [volume, volume.with_array(-volume.array)], tmp_path)
    worker.restart()
    assert np.array_equal(worker.segment().labels.array, volume.array > 0)


def test_progress_tells_of_the_memory(worker, volume, tmp_path):
    prepare(worker, volume, tmp_path)
    request = worker.begin_segment()
    worker.wait(request)
    assert request.progress == (4, 5, "window 4", 2000, 8000)
    assert (request.progress.memory_bytes, request.progress.device_bytes) == (2000, 8000)


@pytest.mark.parametrize("keep", [True, False, None])
def test_whether_to_keep_the_largest_piece_reaches_the_predictor(worker, volume, tmp_path, keep):
    prepare(worker, volume, tmp_path)
    assert worker.segment(keep_largest=keep).report["keep_largest"] is keep


def test_nothing_blocks_a_gui(worker, volume, tmp_path):
    """All requests at once; `poll` brings progress and the end, as a timer would."""
    events = []
    worker.begin_load(tmp_path, **LONG)
    worker.begin_image(volume)
    request = worker.begin_segment(
        on_progress=lambda done, total, message: events.append(done), on_done=lambda request: events.append("done")
    )
    start = time.monotonic()
    worker.poll()
    assert not request.done and time.monotonic() - start < 0.8  # the run takes a second
    with pytest.raises(RuntimeError, match="not done"):
        request.result()
    wait_until(lambda: worker.poll() or request.done)
    assert events == [0, 1, 2, 3, 4, "done"]
    assert request.progress.fraction == 0.8
    assert np.array_equal(request.result().labels.array, volume.array > 0)


def test_a_transport_may_call_back(volume, tmp_path):
    """As one in Qt's event loop does: it hands every line to `feed`."""
    transport = SubprocessTransport()
    with Worker(command=FAKE_WORKER, transport=transport) as worker:
        greeting = worker.begin_hello()
        while not greeting.done:
            for line in transport.poll(1.0):
                worker.feed(line)
        assert greeting.result()["pid"] != os.getpid()


# Errors of the engine


@pytest.mark.parametrize(
    ("behaviour", "cls", "words"),
    [
        ("run_out_of_memory", DeviceError, "ran out of memory.*smaller region"),
        ("run_out_of_cuda_memory", DeviceError, "ran out of memory.*smaller region"),
        ("divide_by_zero", WorkerError, "ZeroDivisionError"),
        ("import_what_is_not_there", WorkerError, "No module named 'no_such_package'.*Install it"),
    ],
)
def test_a_failed_run_is_a_typed_error_and_the_next_one_succeeds(worker, volume, tmp_path, behaviour, cls, words):
    prepare(worker, volume, tmp_path, behaviour=behaviour)
    with pytest.raises(cls, match=words) as caught:
        worker.segment()
    assert "Traceback" in caught.value.details
    assert (f"Log: {worker.log_path}" in caught.value.details) == (cls is WorkerError)
    worker.load(tmp_path)
    assert np.array_equal(worker.segment().labels.array, volume.array > 0)


def test_a_typed_error_keeps_its_words_and_tells_the_requests_that_build_on_it(worker, volume, tmp_path):
    load = worker.begin_load(tmp_path / "none")
    worker.begin_image(volume)
    segment = worker.begin_segment()
    with pytest.raises(ModelError) as caught:
        worker.wait(segment)
    assert caught.value is load.error
    assert caught.value.message == f"There is no model {tmp_path / 'none'}."
    assert (caught.value.remedy, caught.value.details) == ("Choose another one.", "détails")


def test_an_image_is_needed(worker, tmp_path):
    worker.load(tmp_path)
    with pytest.raises(InputError, match="no image.*Choose a volume"):
        worker.segment()


def test_a_full_disk_leaves_no_half_written_labels(worker, tmp_path):
    large = Volume(np.ones((20, 20, 20), np.int16))
    prepare(worker, large, tmp_path, behaviour="fill_the_disk")
    with pytest.raises(OutputError, match="could not be written.*Free some space"):
        worker.segment()
    assert [path.stem for path in worker.folder.iterdir()] == ["image-1"]
    worker.load(tmp_path)
    assert worker.segment().labels.array.all()


# Cancel


def test_cancel_ends_a_run_between_two_windows(worker, volume, tmp_path):
    prepare(worker, volume, tmp_path, **LONG)
    steps = []
    with pytest.raises(CancelledError):
        worker.segment(on_progress=lambda done, *_: steps.append(done), cancelled=lambda: len(steps) >= 2)
    worker.load(tmp_path)
    assert np.array_equal(worker.segment().labels.array, volume.array > 0)
    assert len(steps) < 5


def test_a_cancelled_request_is_done_at_once_and_its_late_reply_leaves_nothing(worker, volume, tmp_path):
    prepare(worker, volume, tmp_path)
    outcomes = []
    request = worker.begin_segment(on_done=outcomes.append)
    output = Path(request.params["output"])
    wait_until(output.exists)  # the worker has finished; its reply has not been read
    worker.cancel(request)
    worker.cancel(request)
    assert outcomes == [request] and isinstance(request.error, CancelledError)
    worker.hello()
    assert not output.exists()
    assert outcomes == [request] and isinstance(request.error, CancelledError)


def test_waiting_has_a_limit(worker, volume, tmp_path):
    prepare(worker, volume, tmp_path, **LONG)
    request = worker.begin_segment()
    with pytest.raises(WorkerError, match="did not finish 'segment' within 0.1 s"):
        worker.wait(request, timeout_seconds=0.1)
    assert request.done


# Death


def test_a_killed_worker_is_noticed_and_a_restart_brings_model_and_image_back(worker, volume, tmp_path):
    pid = worker.hello()["pid"]
    prepare(worker, volume, tmp_path, seconds_per_window=0.1)
    with pytest.raises(WorkerError, match=r"was killed \(signal 9\).*Restart it") as caught:
        worker.segment(on_progress=lambda *_: os.kill(pid, signal.SIGKILL))
    assert str(worker.log_path) in caught.value.details
    assert not worker.is_running
    assert [path.stem for path in worker.folder.iterdir()] == ["image-1"]
    with pytest.raises(WorkerError, match="was killed"):
        worker.segment()
    worker.restart()
    assert np.array_equal(worker.segment().labels.array, volume.array > 0)
    assert worker.hello()["pid"] != pid


def test_a_crash_says_what_the_log_says(worker, volume, tmp_path):
    prepare(worker, volume, tmp_path, behaviour="crash")
    with pytest.raises(WorkerError, match=r"crashed \(signal 6\)") as caught:
        worker.segment()
    assert "in crash" in caught.value.details, "the Python stack at the time of the crash"


def test_a_model_that_kills_the_worker_is_not_loaded_again(volume, tmp_path):
    killer = program(
        "import os, sys; sys.path.insert(0, os.path.dirname(sys.argv[1])); import fake_worker\n"
        "fake_worker.FakeEngine.predictor = lambda *_: os._exit(3)\n"
        "fake_worker.worker.main(fake_worker.FakeEngine())"
    )
    with Worker(command=[*killer, FAKE_WORKER[1]]) as worker:
        with pytest.raises(WorkerError, match="ended with exit code 3"):
            worker.load(tmp_path)
        worker.restart()
        assert worker.hello()["devices"]


def test_restarting_ends_a_run(worker, volume, tmp_path):
    prepare(worker, volume, tmp_path, **LONG)
    request = worker.begin_segment()
    worker.restart()
    assert isinstance(request.error, CancelledError)


def test_close_ends_the_process_and_removes_the_folder_even_during_a_run(volume, tmp_path):
    worker = Worker(command=FAKE_WORKER)
    pid = worker.hello()["pid"]
    prepare(worker, volume, tmp_path, seconds_per_window=60)
    request, folder = worker.begin_segment(), worker.folder
    worker.close()
    assert has_ended(pid) and not folder.exists()
    assert isinstance(request.error, CancelledError)
    with pytest.raises(CancelledError, match="was closed"):
        worker.hello()
    worker.close()


def test_close_after_a_crash_removes_the_folder(volume, tmp_path):
    with pytest.raises(WorkerError), Worker(command=FAKE_WORKER) as worker:
        prepare(worker, volume, tmp_path, behaviour="crash")
        folder = worker.folder
        worker.segment()
    assert not folder.exists()


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # of TemporaryDirectory, which would rather be closed
def test_a_forgotten_client_takes_worker_and_folder_with_it(volume):
    worker = Worker(command=FAKE_WORKER)
    worker.set_image(volume)
    pid, folder = worker.hello()["pid"], worker.folder
    del worker
    gc.collect()
    assert not folder.exists()
    wait_until(lambda: has_ended(pid))


def test_a_worker_outlives_its_killed_client_by_seconds_only(tmp_path):
    client = program(
        "import sys, numpy\n"
        "from MedSegDLLib.client import Worker\n"
        "from MedSegDLLib.volume import Volume\n"
        "worker = Worker(command=sys.argv[1:])\n"
        "print(worker.hello()['pid'], worker.folder, flush=True)\n"
        "worker.load('/', seconds_per_window=60)\n"
        "worker.set_image(Volume(numpy.ones((2, 2, 2))))\n"
        "worker.segment(on_progress=lambda *_: print('running', flush=True))\n"
    )
    environment = {**worker_environment(sys.executable), "TMPDIR": str(tmp_path)}
    with subprocess.Popen([*client, *FAKE_WORKER], env=environment, stdout=subprocess.PIPE, text=True) as process:
        pid, _, _ = process.stdout.readline().partition(" ")
        assert process.stdout.readline() == "running\n"
        assert not has_ended(int(pid))
        process.kill()
    wait_until(lambda: has_ended(int(pid)))


# Start


def test_a_python_that_is_not_there(tmp_path):
    with Worker(python=str(tmp_path / "python")) as worker:
        with pytest.raises(WorkerError, match=r"started with .*/python: No such file.*MEDSEG_WORKER_PYTHON"):
            worker.hello()


def test_a_python_without_numpy_is_named(tmp_path):
    venv.create(tmp_path / "bare", symlinks=True)
    python = tmp_path / "bare" / "bin" / "python"
    with Worker(python=str(python)) as worker:
        with pytest.raises(WorkerError, match=f"{python}, .* No module named 'numpy'.*Install it") as caught:
            worker.hello()
        assert not worker.is_running
        with pytest.raises(WorkerError, match="numpy"):
            worker.load(tmp_path)
    assert "Log: " in caught.value.details


def test_a_program_that_ends_before_it_is_ready():
    with Worker(command=program("import sys; sys.exit('I cannot')")) as worker:
        with pytest.raises(WorkerError, match="ended with exit code 1 before it was ready.*MEDSEG_WORKER") as caught:
            worker.hello()
    assert "I cannot" in caught.value.details


def test_a_start_that_hangs():
    with Worker(command=program("import time; time.sleep(600)"), start_timeout_seconds=0.2) as worker:
        with pytest.raises(WorkerError, match="did not answer within 0.2 s of its start.*Try again"):
            worker.hello()
        assert not worker.is_running


def test_a_program_that_is_no_worker():
    with Worker(command=program("input(); print('Guten Tag', flush=True); input(); input()")) as worker:
        with pytest.raises(WorkerError, match="not a message: 'Guten Tag'"):
            worker.hello()
        assert not worker.is_running


def test_a_worker_of_another_version():
    answer = '{"jsonrpc": "2.0", "id": 1, "result": {"protocol": 99}}'
    with Worker(command=program(f"input(); print({answer!r}, flush=True); input(); input()")) as worker:
        with pytest.raises(WorkerError, match="version 99 of the protocol.*same version"):
            worker.load("/")
        with pytest.raises(WorkerError, match="version 99"):
            worker.hello()


def test_which_python_runs_the_worker(monkeypatch):
    monkeypatch.delenv("MEDSEG_WORKER_PYTHON", raising=False)
    assert find_python() == sys.executable
    monkeypatch.setenv("MEDSEG_WORKER_PYTHON", "/opt/cuda/bin/python")
    assert find_python() == "/opt/cuda/bin/python"
    assert find_python("/mine/python") == "/mine/python"


@pytest.mark.parametrize("executable", ["", "/opt/Slicer/bin/SlicerApp-real"])
def test_inside_slicer_it_is_slicers_python(monkeypatch, executable):
    monkeypatch.delenv("MEDSEG_WORKER_PYTHON", raising=False)
    monkeypatch.setattr(worker_process.sys, "executable", executable)
    monkeypatch.setattr(worker_process.shutil, "which", {"PythonSlicer": "/opt/Slicer/bin/PythonSlicer"}.get)
    assert find_python() == "/opt/Slicer/bin/PythonSlicer"
    monkeypatch.setattr(worker_process.shutil, "which", lambda name: None)
    with pytest.raises(WorkerError, match="No Python was found.*MEDSEG_WORKER_PYTHON"):
        find_python()


@pytest.mark.parametrize(("python", "keeps"), [("/opt/Slicer/PythonSlicer", True), ("/home/me/bin/python", False)])
def test_another_python_gets_nothing_of_slicers(monkeypatch, python, keeps):
    others = ("PYTHONHOME", "PYTHONNOUSERSITE", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "ITK_AUTOLOAD_PATH")
    for name in ("PYTHONPATH", *others):
        monkeypatch.setenv(name, "/opt/Slicer/lib")
    environment = worker_environment(python)
    package_parent = str(Path(worker_process.__file__).parents[1])
    assert environment["PYTHONPATH"].split(os.pathsep) == [package_parent] + ["/opt/Slicer/lib"] * keeps
    assert [name for name in others if name in environment] == list(others) * keeps
    assert environment["PYTHONUTF8"] == "1"
    assert worker_command(python)[0] == python
