"""The worker's side: spoken to over its pipes, line by line."""

from __future__ import annotations

import errno
import queue
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import psutil
import pytest

from MedSegDLLib import __version__, protocol
from MedSegDLLib.engine import worker
from MedSegDLLib.errors import DeviceError, InputError, OutputError, WorkerError
from MedSegDLLib.worker_process import worker_environment

COMMAND = [sys.executable, str(Path(__file__).with_name("fake_worker.py"))]
ENVIRONMENT = worker_environment(sys.executable)
PATIENCE_SECONDS = 30


class Pipe:
    """A running worker and its messages; `receive` returns the next one."""

    def __init__(self, log_path):
        self.log_path = log_path
        with open(log_path, "wb") as log:
            self.process = subprocess.Popen(
                COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=ENVIRONMENT
            )
        self._lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(b"")

    def send(self, identifier, method, **params):
        self.send_line(protocol.encode(protocol.request(identifier, method, params)))

    def send_line(self, line):
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def receive(self):
        return protocol.decode(self._lines.get(timeout=PATIENCE_SECONDS))

    def end_of_replies(self):
        return self._lines.get(timeout=PATIENCE_SECONDS) == b""

    def ask(self, identifier, method, **params):
        """The reply, past progress."""
        self.send(identifier, method, **params)
        while "method" in (message := self.receive()):
            pass
        assert message["id"] == identifier
        return message

    def prepare(self, folder, **options):
        """Load a model and an image; returns where the labels go."""
        protocol.save_array(folder / "image.npy", np.arange(-4, 4).reshape(2, 2, 2))
        self.ask(1, "load", model=str(folder), device="auto", options=options)
        image = {"ijk_to_ras": np.eye(4).tolist(), "modality": "CT", "name": "Größe"}
        images = [{"array": str(folder / "image.npy"), **image}]
        assert self.ask(2, "image", images=images)["result"] == {"shapes": [[2, 2, 2]]}
        return folder / "labels.npy"


@pytest.fixture
def pipe(tmp_path):
    pipe = Pipe(tmp_path / "worker.log")
    yield pipe
    pipe.process.kill()
    pipe.process.wait()


def test_hello_tells_versions_and_devices(pipe):
    greeting = pipe.ask(1, "hello")["result"]
    assert (greeting["protocol"], greeting["version"]) == (protocol.VERSION, __version__)
    assert (greeting["pid"], greeting["executable"]) == (pipe.process.pid, sys.executable)
    assert greeting["packages"]["numpy"] == np.__version__
    assert greeting["devices"][0]["name"] == "cpu"


def test_a_method_and_a_line_that_are_not_understood(pipe):
    unknown = pipe.ask(1, "fold")
    assert unknown["error"]["code"] == protocol.UNKNOWN_METHOD
    assert "'fold'" in protocol.error_of(unknown).message
    for line in (b"nonsense\n", b"{}\n"):
        pipe.send_line(line)
        answer = pipe.receive()
        assert (answer["id"], answer["error"]["code"]) == (None, protocol.PARSE_ERROR)
    assert pipe.ask(2, "hello")["result"]["pid"] == pipe.process.pid


def test_segment_streams_progress_and_writes_labels(pipe, tmp_path):
    output = pipe.prepare(tmp_path)
    pipe.send(3, "segment", output=str(output), region=None)
    messages = [pipe.receive() for _ in range(6)]
    assert [message["params"]["done"] for message in messages[:5]] == [0, 1, 2, 3, 4]
    memory = {"memory_bytes": 2000, "device_bytes": 8000}
    assert messages[1]["params"] == {"id": 3, "done": 1, "total": 5, "fraction": 0.2, "message": "window 1", **memory}
    assert messages[5]["result"] == {
        "labels": str(output),
        "seconds": {"network": 0.5},
        "device": "cpu",
        "peak_memory_bytes": 1000,
        "keep_largest": None,
        "notes": ["Größe µ"],
    }
    assert protocol.map_array(output).ravel().tolist() == [0, 0, 0, 0, 0, 1, 1, 1]


def test_what_libraries_print_goes_to_the_log(pipe, tmp_path):
    output = pipe.prepare(tmp_path, behaviour="chatter")
    assert "result" in pipe.ask(3, "segment", output=str(output))
    log = pipe.log_path.read_text()
    for words in ("a library speaks", "and so does its C code", "and its child process"):
        assert words in log


def test_segment_needs_a_model_and_an_image(pipe, tmp_path):
    missing_model = pipe.ask(1, "segment", output=str(tmp_path / "labels.npy"))
    assert missing_model["error"]["data"]["code"] == "model"
    pipe.ask(2, "load", model=str(tmp_path), device="auto", options={})
    missing_image = pipe.ask(3, "segment", output=str(tmp_path / "labels.npy"))
    assert missing_image["error"]["data"]["code"] == "input"


def test_cancel_is_heard_during_a_run_and_before_one(pipe, tmp_path):
    output = pipe.prepare(tmp_path, seconds_per_window=1.0)
    pipe.send(3, "segment", output=str(output))
    pipe.send(4, "load", model=str(tmp_path / "none"), device="auto", options={})
    assert pipe.receive()["method"] == "progress"
    pipe.send(5, "cancel", id=3)
    pipe.send(6, "cancel", id=4)
    pipe.send(7, "cancel", id=99)
    outcomes = {}
    while len(outcomes) < 5:
        message = pipe.receive()
        if "method" not in message:
            outcomes[message["id"]] = message.get("result", message.get("error", {}).get("data", {}).get("code"))
    assert outcomes == {3: "cancelled", 4: "cancelled", 5: {}, 6: {}, 7: {}}
    assert not output.exists()


def test_shutdown_is_answered_and_ends_the_process(pipe):
    assert pipe.ask(1, "shutdown")["result"] == {}
    assert pipe.process.wait(PATIENCE_SECONDS) == 0


def test_an_interrupt_from_the_terminal_is_left_to_the_client(pipe):
    pipe.ask(1, "hello")
    psutil.Process(pipe.process.pid).send_signal(2)
    assert pipe.ask(2, "hello")["result"]["pid"] == pipe.process.pid


@pytest.mark.parametrize(("seconds_per_window", "exit_code"), [(0.2, 0), (60.0, 1)])
def test_a_worker_without_client_ends_even_in_a_long_window(pipe, tmp_path, seconds_per_window, exit_code):
    output = pipe.prepare(tmp_path, seconds_per_window=seconds_per_window)
    pipe.send(3, "segment", output=str(output))
    pipe.receive()
    pipe.process.stdin.close()
    assert pipe.process.wait(PATIENCE_SECONDS) == exit_code
    assert not output.exists()
    assert (tmp_path / "image.npy").exists()


def test_a_child_that_a_library_leaves_behind_does_not_hold_the_pipe(pipe, tmp_path):
    pipe.prepare(tmp_path, behaviour="leave_a_child")
    pipe.ask(3, "segment", output=str(tmp_path / "labels.npy"))
    (child,) = psutil.Process(pipe.process.pid).children()
    pipe.ask(4, "shutdown")
    assert pipe.end_of_replies() and child.is_running()
    child.kill()


class OutOfMemoryError(RuntimeError):
    """Named as torch names its own."""


@pytest.mark.parametrize(
    ("error", "cls", "words"),
    [
        (MemoryError(), DeviceError, "out of memory"),
        (OutOfMemoryError("CUDA out of memory."), DeviceError, "out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 8 bytes"), DeviceError, "out of memory"),
        (RuntimeError("Exception from src/core: std::bad_alloc"), DeviceError, "out of memory"),
        (OSError(errno.ENOSPC, "No space left on device"), OutputError, "disk is full"),
        (ModuleNotFoundError("No module named 'torch'"), WorkerError, f"{sys.executable}, cannot .* named 'torch'"),
        (ImportError("libcudart.so.12: cannot open shared object file"), WorkerError, "libcudart.*Install it there"),
        (RuntimeError("shapes differ"), WorkerError, "RuntimeError: shapes differ"),
        (PermissionError(errno.EACCES, "Permission denied"), WorkerError, "Permission denied"),
    ],
)
def test_exceptions_become_typed_errors(error, cls, words):
    typed = worker.as_medseg_error(error)
    assert type(typed) is cls
    assert typed.remedy and type(error).__name__ in typed.details
    with pytest.raises(cls, match=words):
        raise typed


def test_a_typed_error_stays_as_it_is():
    error = InputError("The volume is empty.", "Choose another one.")
    assert worker.as_medseg_error(error) is error


def test_replies_that_nobody_reads_do_not_disturb_the_worker(tmp_path):
    log_path = tmp_path / "worker.log"
    with open(log_path, "wb") as log:
        process = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=ENVIRONMENT)
    process.stdout.close()
    process.communicate(protocol.encode(protocol.request(1, "hello", {})), timeout=PATIENCE_SECONDS)
    assert process.returncode == 0
    assert "Traceback" not in log_path.read_text()
