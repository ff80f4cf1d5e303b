"""Devices, with drivers and torch that are there, missing, or broken."""

from __future__ import annotations

import ctypes
import importlib.machinery
import importlib.util
import subprocess
import sys
import types

import pytest

from conftest import ROOT
from MedSegDLLib.engine import devices
from MedSegDLLib.errors import DeviceError


class Cuda:
    def __init__(self, available=True, full=False):
        self.is_available = lambda: available
        self.device_count = lambda: 2
        self.full = full

    def get_device_name(self, index):
        return f"GPU {index}"

    def mem_get_info(self, index):
        if self.full:
            raise RuntimeError("CUDA error: out of memory\nand much more")
        return 10 * 2**30, 24 * 2**30


@pytest.fixture
def driver(monkeypatch):
    """A CUDA driver."""
    monkeypatch.setattr(ctypes, "CDLL", lambda name: name)


@pytest.fixture
def torch_with(monkeypatch):
    def install(cuda) -> None:
        torch = types.ModuleType("torch")
        torch.__spec__ = importlib.machinery.ModuleSpec("torch", None)
        torch.__version__ = "2.99"
        torch.cuda = cuda
        monkeypatch.setitem(sys.modules, "torch", torch)

    return install


def names() -> list[str]:
    return [device.name for device in devices.list_devices()]


def note() -> str:
    (cpu,) = devices.list_devices()
    assert cpu.name == "cpu"
    return cpu.note


def test_without_a_driver_there_is_the_cpu_and_nothing_to_say(monkeypatch):
    def refuse(name):
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    (cpu,) = devices.list_devices()
    assert cpu.name == "cpu" and cpu.note == "" and "cores" in cpu.description
    assert 0 < cpu.free_bytes <= cpu.memory_bytes
    assert devices.choose("auto").name == devices.choose("cpu").name == "cpu"


def test_gpus_come_first(driver, torch_with):
    torch_with(Cuda())
    assert names() == ["cuda:0", "cuda:1", "cpu"]
    assert devices.choose("auto").name == devices.choose("cuda").name == "cuda:0"
    assert devices.choose("cuda:1").description == "GPU 1"
    assert devices.choose("cuda:1").to_dict() == {
        "name": "cuda:1",
        "description": "GPU 1",
        "memory_bytes": 24 * 2**30,
        "free_bytes": 10 * 2**30,
        "note": "",
    }


def test_a_driver_without_torch(driver, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert note() == "A CUDA driver is present, but PyTorch is not installed: install it to use the GPU."


@pytest.mark.parametrize("error", [ImportError("no libc10"), OSError("libcudart.so.12: no such file")])
def test_a_torch_that_cannot_be_imported(driver, monkeypatch, error):
    class Broken:
        def find_spec(self, name, path=None, target=None):
            if name == "torch":
                return importlib.machinery.ModuleSpec("torch", self)

        def create_module(self, spec):
            raise error

        def exec_module(self, module):
            raise AssertionError

    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    assert note() == f"A CUDA driver is present, but PyTorch cannot be imported: {error}"


def test_a_torch_without_cuda(driver, torch_with):
    torch_with(Cuda(available=False))
    assert note() == "A CUDA driver is present, but PyTorch 2.99 cannot use it: reinstall it."


def test_a_gpu_that_is_full(driver, torch_with):
    torch_with(Cuda(full=True))
    assert note() == "The GPU cannot be used now: CUDA error: out of memory"
    with pytest.raises(DeviceError, match="Available: cpu. The GPU cannot be used now"):
        devices.choose("cuda")


@pytest.mark.parametrize("name", ["gpu", "cuda:7", "", "CPU"])
def test_an_unknown_device_is_an_error_that_lists_the_known(name, driver, torch_with):
    torch_with(Cuda())
    with pytest.raises(DeviceError) as caught:
        devices.choose(name)
    assert caught.value.message == f"There is no device '{name}'."
    assert caught.value.remedy == "Available: cuda:0, cuda:1, cpu."


def test_bf16_is_what_openvino_says():
    assert isinstance(devices.supports_bf16(), bool)


def test_asking_loads_no_torch_where_there_is_no_driver():
    code = (
        f"import sys, ctypes; sys.path[:0] = [{str(ROOT / 'MedSegDL')!r}]\n"
        "def refuse(name): raise OSError(name)\n"
        "ctypes.CDLL = refuse\n"
        "from MedSegDLLib.engine.devices import list_devices; list_devices(); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_processor_is_named_where_psutil_is_missing(monkeypatch):
    """Slicer does not bring it, and an untrained prompter needs nothing that Slicer does not bring."""
    monkeypatch.setitem(sys.modules, "psutil", None)
    monkeypatch.setattr(devices, "cuda_driver_present", lambda: False)
    (cpu,) = devices.list_devices()
    assert cpu.name == "cpu"
    assert cpu.description.endswith("threads")
    assert (cpu.memory_bytes, cpu.free_bytes) == (0, 0)
