"""What a training runs on, and in which precision."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
from lightning.fabric.plugins.environments import SLURMEnvironment
from lightning.pytorch.strategies import DDPStrategy, Strategy

from MedSegDLLib.engine.devices import choose, supports_bf16
from MedSegDLLib.errors import DeviceError, InputError

_LIGHTNINGS_PRECISION = {"f32": "32-true", "bf16": "bf16-mixed", "f16": "16-mixed"}
_TORCHS_PRECISION = {"f32": None, "bf16": torch.bfloat16, "f16": torch.float16}


@dataclass(frozen=True)
class Machine:
    """Processes that train together.

    Attributes:
        accelerator: "cpu" or "gpu".
        devices: processes on each computer, each with a GPU of its own if there are GPUs.
        nodes: computers.
    """

    accelerator: str = "cpu"
    devices: int = 1
    nodes: int = 1

    @staticmethod
    def choose(devices: str | int = "auto", allow_cpu: bool = False, nodes: int = 1) -> Machine:
        """Find what was asked for.

        Args:
            devices: "auto" (a GPU), "cpu", "gpu", or how many GPUs of each computer.
            allow_cpu: take as many processes on the CPU where there is no GPU.

        Raises DeviceError where there is no GPU, or not as many; InputError where SLURM has started other processes.
        """
        found = Machine._found(devices, allow_cpu, nodes)
        _check_slurm(found)
        return found

    @staticmethod
    def _found(devices: str | int, allow_cpu: bool, nodes: int) -> Machine:
        if devices == "cpu":
            return Machine("cpu", 1, nodes)
        count = 1 if devices in ("auto", "gpu") else _count(devices)
        gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if gpus:
            if count > gpus:
                raise DeviceError(f"{count} GPUs were asked for, this computer has {gpus}.", "Ask for fewer.")
            return Machine("gpu", count, nodes)
        if allow_cpu and devices != "gpu":
            return Machine("cpu", count, nodes)
        raise DeviceError(
            f"There is no GPU, and on a CPU a training takes very long. {choose('cpu').note}".strip(),
            "To train on the CPU all the same, say so: --cpu (allow_cpu=True).",
        )

    @property
    def processes(self) -> int:
        return self.devices * self.nodes

    @property
    def device(self) -> torch.device:
        """That of this process when it is alone."""
        return torch.device("cuda:0" if self.accelerator == "gpu" else "cpu")

    @property
    def description(self) -> str:
        """For a model card: no name of a computer."""
        name = choose(str(self.device)).description
        return name if self.processes == 1 else f"{self.processes} x {name}"

    def strategy(self) -> Strategy | str:
        # some networks have outputs that no loss looks at
        return "auto" if self.processes == 1 else DDPStrategy(find_unused_parameters=True)

    def batch_of_each(self, batch: int) -> int:
        """Patches a step of each process. Raises InputError where they cannot be shared out."""
        if batch % self.processes:
            raise InputError(
                f"A batch of {batch} patches cannot be shared out to {self.processes} processes.",
                f"Choose a multiple of {self.processes} for optimisation.batch.",
            )
        return batch // self.processes

    def precision(self, wanted: str) -> str:
        """ "f32", "bf16" or "f16" for what a recipe says; "auto" is the fastest that is safe here."""
        if wanted == "auto" and self.accelerator == "gpu":
            return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "f16"
        if wanted == "auto":
            return "bf16" if supports_bf16() else "f32"
        if wanted == "f16" and self.accelerator == "cpu":
            return "bf16"  # on a CPU half precision would have to be emulated
        return wanted


def lightnings_precision(precision: str) -> str:
    return _LIGHTNINGS_PRECISION[precision]


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """As Lightning computes in this precision."""
    dtype = _TORCHS_PRECISION[precision]
    return torch.autocast(device.type, dtype, enabled=dtype is not None)


def _check_slurm(machine: Machine) -> None:
    if not SLURMEnvironment.detect():
        return
    wanted = {"NNODES": machine.nodes, "NTASKS": machine.processes}
    if machine.processes > 1:
        wanted["NTASKS_PER_NODE"] = machine.devices  # by which Lightning shares out the processes
    given = {name: os.environ.get(f"SLURM_{name}", "") for name in wanted}
    if given != {name: str(count) for name, count in wanted.items()}:
        raise InputError(
            f"SLURM starts other processes ({given}) than those that are to train together ({wanted}).",
            f"Ask it for --nodes={machine.nodes} --ntasks-per-node={machine.devices} and start the command by srun, or "
            "say others with --nodes and --devices. Where SLURM shall have no part in it, set SLURM_JOB_NAME=bash.",
        )


def _count(devices: str | int) -> int:
    try:
        count = int(devices)
    except ValueError:
        count = 0
    if count < 1:
        raise InputError(f"'{devices}' is no number of devices.", "Say auto, cpu, gpu or how many GPUs.")
    return count
