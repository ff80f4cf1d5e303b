from __future__ import annotations

import errno
import subprocess
import sys

import numpy as np
import pytest

from MedSegDLLib import protocol
from MedSegDLLib.errors import CancelledError, DeviceError, InputError, ModelError, OutputError, WorkerError
from MedSegDLLib.worker_process import worker_environment


@pytest.mark.parametrize("path", ["/home/Jürgen/模型 1/", "/mnt/not-utf8-\udcff", 'quo"te\nline'])
def test_any_path_survives_on_one_line(path):
    line = protocol.encode(protocol.request(3, "load", {"model": path}))
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    assert protocol.decode(line) == {"jsonrpc": "2.0", "id": 3, "method": "load", "params": {"model": path}}


@pytest.mark.parametrize("cls", [InputError, ModelError, OutputError, DeviceError, WorkerError, CancelledError])
def test_errors_keep_class_message_and_remedy(cls):
    sent = cls("Slice 43 is missing.", "Load the complete series.", "Größe\nline 2")
    message = protocol.decode(protocol.encode(protocol.failure(7, sent)))
    arrived = protocol.error_of(message)
    assert type(arrived) is cls
    assert (arrived.message, arrived.remedy, arrived.details) == (sent.message, sent.remedy, sent.details)
    assert message["id"] == 7 and message["error"]["code"] == protocol.FAILED


def test_a_reply_carries_no_error():
    assert protocol.error_of(protocol.reply(1, {"device": "cpu"})) is None


@pytest.mark.parametrize("line", [b"hello\n", b"[1]\n", b"\xff\xfe\n", b"", b'{"id": 1'])
def test_what_is_no_message_is_a_worker_error(line):
    with pytest.raises(WorkerError, match="not a message"):
        protocol.decode(line)


def test_a_request_must_be_complete():
    with pytest.raises(WorkerError, match="no id and no params"):
        protocol.decode_request(b'{"method": "hello"}')


@pytest.mark.parametrize("array", [np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.zeros((3, 0, 2), np.float32)])
def test_arrays_travel_through_files(tmp_path, array):
    path = tmp_path / "Bild 影像.npy"
    protocol.save_array(path, array)
    mapped = protocol.map_array(path)
    assert isinstance(mapped, np.memmap) and not mapped.flags.writeable
    assert mapped.dtype == array.dtype and np.array_equal(mapped, array)
    assert list(tmp_path.iterdir()) == [path]


def test_views_and_fortran_order_arrive_as_they_look(tmp_path):
    array = np.arange(60).reshape(3, 4, 5)
    for number, view in enumerate([array[::-1, :, ::2], array.transpose(2, 0, 1)]):
        path = tmp_path / f"{number}.npy"
        protocol.save_array(path, view)
        assert np.array_equal(protocol.map_array(path), view)


def test_a_full_disk_leaves_nothing_behind_and_the_old_file_alone(tmp_path, monkeypatch):
    path = tmp_path / "labels.npy"
    protocol.save_array(path, np.ones(3))

    def write_half(file, array, allow_pickle):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "save", write_half)
    with pytest.raises(OutputError, match=r"labels\.npy: No space left on device.*Free some space"):
        protocol.save_array(path, np.zeros(3))
    assert list(tmp_path.iterdir()) == [path]
    assert np.array_equal(protocol.map_array(path), np.ones(3))


def test_a_folder_that_is_gone_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match="No such file"):
        protocol.save_array(tmp_path / "gone" / "labels.npy", np.zeros(3))


@pytest.mark.parametrize("content", [None, b"", b"not an array", b"\x93NUMPY\x01\x00"])
def test_missing_and_damaged_arrays_are_worker_errors(tmp_path, content):
    path = tmp_path / "image.npy"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WorkerError, match=r"image\.npy .* missing or damaged"):
        protocol.map_array(path)


def modules_after(statement):
    """Names of the modules that a new Python holds after the statement."""
    program = f"{statement}\nimport sys\nprint(*sys.modules)"
    environment = worker_environment(sys.executable)
    command = [sys.executable, "-c", program]
    return set(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split())


def test_client_and_protocol_load_nothing_heavy():
    loaded = modules_after("import MedSegDLLib.client, MedSegDLLib.protocol")
    assert not loaded & {"torch", "monai", "slicer", "vtk", "qt", "SimpleITK", "scipy", "openvino"}


def test_the_worker_starts_without_numpy():
    """So that it can say what its Python lacks."""
    assert "numpy" not in modules_after("import MedSegDLLib.engine.worker")
