"""What a training will take, before it starts: memory, counted without using any, and time, from a few real steps."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException, FakeTensorMode

from MedSegDLLib.errors import DeviceError
from MedSegDLLib.interaction.measures import bytes_text, seconds_text

from ..data.overview import counted
from ..data.samples import Sample
from .machine import Machine, autocast
from .module import SegmentationModule, told_at_once
from .patches import Patches
from .recipe_fields import Recipe
from .schedule import Schedule

_MOST_STEPS, _MOST_SECONDS = 5, 10.0
_STATES = {"sgd": 1, "adam": 2, "adamw": 2}  # numbers that an optimiser keeps for each weight
_SMALLER = "Choose a smaller patch (medseg.patch) or batch (optimisation.batch), a smaller network, or another device."
_FORWARD_SHARE = 1 / 3  # of a step: going back takes twice as long


@dataclass(frozen=True)
class Estimate:
    """What a training takes on a device.

    Attributes:
        device: its description.
        memory_bytes: for weights, gradients, optimiser and what the network keeps to go back; a lower bound.
        free_bytes: of the device now.
        step_seconds: of one step, with making its patches.
        seconds: of all steps and validations.
    """

    device: str
    memory_bytes: int
    free_bytes: int
    step_seconds: float
    seconds: float
    steps: int
    epochs: int

    @property
    def in_words(self) -> str:
        return (
            f"On {self.device}: {self.steps} steps in {counted(self.epochs, 'epoch')}, "
            f"about {seconds_text(self.seconds)} ({seconds_text(self.step_seconds)} a step) and at least "
            f"{bytes_text(self.memory_bytes)} of memory ({bytes_text(self.free_bytes)} are free)."
        )


def estimate(
    recipe: Recipe,
    training: list[Callable[[], Sample]],
    validation: list[Callable[[], Sample]] = (),
    *,
    machine: Machine,
    workers: int = 0,
) -> Estimate:
    """Measure a few steps on the first of the machine's devices; nothing of it stays.

    Raises DeviceError where the memory will not do.
    """
    plan, device = recipe.optimisation, machine.device
    batch = machine.batch_of_each(plan.batch)
    precision = machine.precision(plan.precision)
    schedule = Schedule.of(plan, len(training), recipe.validation.every_epochs if validation else None)
    patches = Patches(training, recipe.spec, recipe.augmentation, batch=batch, seed=plan.seed)
    module = SegmentationModule(recipe, schedule.steps)
    first, _ = _timed(lambda: torch.utils.data.default_collate([patches[n] for n in range(batch)]))
    memory, free = memory_bytes(module, first, precision), free_bytes(device)
    _check(memory, free)
    made, making = _timed(lambda: torch.utils.data.default_collate([patches[n] for n in range(batch)]))
    computing = _seconds_of_a_step(module.to(device), told_at_once(made), device, precision)
    step = max(computing, making / workers) if workers else computing + making
    looks = _windows_to_validate(recipe, validation) * computing / batch * _FORWARD_SHARE / machine.processes
    validations = math.ceil(schedule.epochs / recipe.validation.every_epochs)
    seconds = schedule.steps * step + validations * looks
    return Estimate(machine.description, memory, free, step, seconds, schedule.steps, schedule.epochs)


def memory_bytes(module: SegmentationModule, batch: dict[str, Tensor], precision: str) -> int:
    """For a step: weights, their average, gradients, the optimiser's numbers, and what is kept for going back.

    The network runs with tensors that have sizes but no values; where values decide what it computes, with real ones
    on the CPU.
    """
    plan = module.recipe.optimisation
    weights = sum(p.numel() * p.element_size() for p in module.network.parameters())
    copies = 2 + _STATES[plan.optimiser] + bool(plan.averaging_decay)
    try:
        with FakeTensorMode(allow_non_fake_inputs=True) as mode:
            kept = _kept_bytes(module, {k: mode.from_tensor(v) for k, v in batch.items()}, precision)
    except (DataDependentOutputException, DynamicOutputShapeException):
        kept = _kept_bytes(module, batch, precision)
    return copies * weights + kept


def free_bytes(device: torch.device) -> int:
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available


def _kept_bytes(module: SegmentationModule, batch: dict[str, Tensor], precision: str) -> int:
    """Memory of the tensors that a forward pass keeps, without the weights."""
    own = {parameter.data_ptr() for parameter in module.parameters()}
    sizes: dict[int, tuple[object, int]] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if isinstance(tensor, torch.nn.Parameter) or (not _is_fake(tensor) and tensor.data_ptr() in own):
            return tensor
        sizes[storage._cdata] = (storage, storage.nbytes())  # the storage too, so that no other gets its address
        return tensor

    with (
        torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor),
        autocast(torch.device("cpu"), precision),
    ):
        module.training_loss(batch | {"sparse": False})
    return sum(size for _, size in sizes.values())


def _is_fake(tensor: Tensor) -> bool:
    return isinstance(tensor, torch._subclasses.FakeTensor)


def _check(memory: int, free: int) -> None:
    if memory > free:
        raise DeviceError(
            f"The training needs at least {bytes_text(memory)} of memory, {bytes_text(free)} are free.",
            _SMALLER,
        )


def _seconds_of_a_step(module: SegmentationModule, batch: dict, device: torch.device, precision: str) -> float:
    """The median, after a first step that is slower."""
    optimiser = module.configure_optimizers()["optimizer"]
    batch = {name: value.to(device) if isinstance(value, Tensor) else value for name, value in batch.items()}
    try:
        times = [_timed(lambda: _step(module, optimiser, batch, device, precision))[1]]
        while len(times) <= _MOST_STEPS and sum(times) < _MOST_SECONDS:
            times.append(_timed(lambda: _step(module, optimiser, batch, device, precision))[1])
    except torch.OutOfMemoryError as error:
        raise DeviceError(
            "The memory of the GPU does not suffice for one step.",
            _SMALLER,
            str(error),
        ) from error
    later = sorted(times[1:] or times)
    return later[len(later) // 2]


def _step(module, optimiser, batch: dict, device: torch.device, precision: str) -> None:
    optimiser.zero_grad()
    with autocast(device, precision):
        loss = module.training_loss(batch)
    loss.backward()
    optimiser.step()
    loss.item()  # waits for a GPU


def _timed(work: Callable[[], object]) -> tuple:
    start = time.perf_counter()
    return work(), time.perf_counter() - start


def _windows_to_validate(recipe: Recipe, validation: list[Callable[[], Sample]]) -> float:
    """Patches that the network looks at in a validation; of whole cases as many as the first one's size suggests."""
    if not validation:
        return 0
    if recipe.validation.on == "patches":
        return recipe.validation.patches
    shape, patch = validation[0]().classes.shape, recipe.spec.patch_kji
    step = [max(1, size * (1 - recipe.validation.overlap)) if size > 1 else 1 for size in patch]
    return len(validation) * math.prod(math.ceil(n / s) for n, s in zip(shape, step))
