"""The line below the progress bar, alike in the module and in the effect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..connection import Request
from .measures import memory_text, seconds_text
from .progress import ProgressClock


@dataclass(frozen=True)
class Counted:
    """Windows that are done, of how many, and what else is known of the run.

    Args:
        seconds_left: None while it is not known.
        device: as a person calls it; '' where it is not known.
        memory_bytes: what the worker occupies of the device's memory; 0 where it did not say.
        device_bytes: all of that memory.
    """

    done: int
    total: int
    seconds_left: float | None = None
    device: str = ""
    memory_bytes: int = 0
    device_bytes: int = 0

    @staticmethod
    def of(clock: ProgressClock, now_seconds: float, request: Request | None, device: str) -> Counted:
        """What a run's clock and its request say now."""
        progress = request.progress if request else None
        memory = (progress.memory_bytes, progress.device_bytes) if progress else (0, 0)
        return Counted(clock.done, clock.total, clock.seconds_left(now_seconds), device, *memory)


def progress_text(counted: Counted, translate: Callable[[str], str], frame: str = "") -> str:
    """'34 of 96 windows, 12 s left on NVIDIA RTX 4090 (uses 3.1 of 24 GB)'.

    Args:
        translate: Slicer's `tr`, or nothing for English.
        frame: which one of a sequence is at work.
    """
    _ = translate
    parts = [frame, _("{done} of {total} windows").format(done=counted.done, total=counted.total)]
    if counted.seconds_left is not None:
        parts.append(_("{time} left").format(time=seconds_text(max(1.0, counted.seconds_left))))
    text = ", ".join(part for part in parts if part)
    if counted.device:
        text = _("{progress} on {device}").format(progress=text, device=counted.device)
    if counted.memory_bytes and counted.device_bytes:
        memory = memory_text(counted.memory_bytes, counted.device_bytes)
        text = _("{progress} (uses {memory})").format(progress=text, memory=memory)
    return text
