"""What a network can run on. Asking never imports torch unless a CUDA driver is there."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import platform
import sys
from dataclasses import asdict, dataclass

from ..errors import DeviceError


@dataclass(frozen=True)
class Device:
    """A processor: `name` is what `--device` takes ('cpu', 'cuda:0'), sizes are in bytes, 0 where
    they are not known."""

    name: str
    description: str
    memory_bytes: int
    free_bytes: int
    note: str = ""

    def to_dict(self) -> dict:
        return asdict(self)


def list_devices() -> list[Device]:
    """CUDA devices first, the CPU last. A GPU that cannot be used is told of in the CPU's note."""
    if not cuda_driver_present():
        return [_cpu()]
    if importlib.util.find_spec("torch") is None:
        return [_cpu(note="A CUDA driver is present, but PyTorch is not installed: install it to use the GPU.")]
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: a library that torch wants is missing or broken
        return [_cpu(note=f"A CUDA driver is present, but PyTorch cannot be imported: {error}")]
    if not torch.cuda.is_available():
        return [_cpu(note=f"A CUDA driver is present, but PyTorch {torch.__version__} cannot use it: reinstall it.")]
    try:
        return [*(_cuda(torch, index) for index in range(torch.cuda.device_count())), _cpu()]
    except RuntimeError as error:  # a GPU that is full or reserved refuses even to be asked
        return [_cpu(note=f"The GPU cannot be used now: {str(error).splitlines()[0]}")]


def choose(name: str) -> Device:
    """The device called `name`; 'auto' is the first, 'cuda' the first of its kind. Raises DeviceError."""
    devices = list_devices()
    if name == "auto":
        return devices[0]
    for device in devices:
        if device.name == name or device.name.split(":")[0] == name:
            return device
    available = ", ".join(device.name for device in devices)
    raise DeviceError(f"There is no device '{name}'.", f"Available: {available}. {devices[-1].note}".strip())


def cuda_driver_present() -> bool:
    library = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def supports_bf16() -> bool:
    """Whether the processor computes in bfloat16; elsewhere it would be emulated and slower."""
    from .private_openvino import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _cpu(note: str = "") -> Device:
    """Without psutil, which Slicer does not bring and clicks do not need, the sizes are 0: not known."""
    try:
        import psutil
    except ImportError:
        return Device("cpu", f"{_processor_name()}, {os.cpu_count()} threads", 0, 0, note)
    memory = psutil.virtual_memory()
    description = f"{_processor_name()}, {psutil.cpu_count(logical=False) or psutil.cpu_count()} cores"
    return Device("cpu", description, memory.total, memory.available, note)


def _cuda(torch, index: int) -> Device:
    free, total = torch.cuda.mem_get_info(index)
    return Device(f"cuda:{index}", torch.cuda.get_device_name(index), total, free)


def _processor_name() -> str:
    if sys.platform == "linux":
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
        if names:
            return names[0]
    return platform.processor() or platform.machine()
