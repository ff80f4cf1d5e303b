"""What the effect's presenter is given, and what it shows."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ..bundle import Bundle
from ..client import Islands
from ..connection import Request
from ..labels import Label
from ..prompts import Prompts
from ..volume import Volume
from . import ports
from .states import State

Region = tuple[slice, slice, slice]


@dataclass(frozen=True)
class PromptOptions:
    """How prompts become a structure; see `client.Worker.begin_prompt`.

    Args:
        model: folder of a prompting model; None for the prompter that needs no training.
        islands: "clicked" keeps only the pieces that were clicked.
    """

    model: Path | None = None
    smoothing_mm: float = 0.0
    islands: Islands = "all"


@dataclass(frozen=True)
class Choices:
    """What is set below "Segment everything" and under Advanced, and which model prompts go to.

    Args:
        model: name of an installed model, or its folder.
        left_out: structures of the model that are not wanted.
        where: "whole", "view", "roi" or "segments".
        device: "auto", "cpu", "cuda", ...
        options: overlap, mirror, ...; see `Predictor`.
    """

    model: str = ""
    left_out: frozenset[str] = frozenset()
    where: str = "whole"
    device: str = "auto"
    options: dict = field(default_factory=dict)
    prompting: PromptOptions = PromptOptions()


@dataclass(frozen=True)
class Panel:
    """What the view shows.

    Args:
        hint: the first line, what the mouse does now.
        status: the last line; `details` are for whoever is asked for help.
        counts: of prompts that include and exclude.
        run_button: the text of the button that segments everything, which is Cancel while it runs.
        run_tip: why that button is grey, or what it does.
        progress: windows done and their number; None where there is nothing to count.
        devices: what the worker has told of, as in its greeting; none before.
    """

    state: State
    hint: str
    status: str
    counts: str
    can_keep: bool
    can_discard: bool
    can_undo: bool
    run_button: str
    can_run: bool
    run_tip: str
    progress: tuple[int, int] | None = None
    details: str = ""
    devices: tuple[dict, ...] = ()


class View(ports.View[Panel], Protocol):
    def draw(self, preview: Volume | None, prompts: Prompts) -> None:
        """Draw these in place of what was drawn before; called only when they change."""

    def poll_while(self, wanted: bool) -> None:
        """Call the presenter's `poll` every now and then, or no longer."""


class Worker(Protocol):
    """The part of `client.Worker` that is needed."""

    @property
    def is_running(self) -> bool: ...

    def begin_restart(self) -> list[Request]: ...

    def begin_hello(self, on_done: Callable[[Request], None]) -> Request: ...

    def begin_image(self, volume: Volume) -> Request: ...

    def begin_warm(self, model: Path | None) -> Request: ...

    def begin_prompt(
        self,
        prompts: Prompts,
        model: Path | None,
        on_done: Callable[[Request], None],
        smoothing_mm: float,
        islands: Islands,
    ) -> Request: ...

    def cancel(self, request: Request) -> None: ...

    def poll(self) -> None: ...


class Runner(Protocol):
    """What `scene.run.Segmenter` offers for whole models, in the same worker."""

    def begin_load(self, model: Bundle, device: str, **options) -> Request: ...

    def begin_label(
        self,
        volume: Volume,
        model: Bundle,
        device: str,
        region: Region | None,
        on_progress: Callable[[int, int, str], None],
        on_done: Callable[[Request], None],
        **options,
    ) -> Request: ...


class Scene(Protocol):
    """See `scene.edited.EditedScene`."""

    def key(self) -> Hashable | None: ...

    def image(self) -> Volume: ...

    def forget(self) -> None: ...

    def region(self, where: str) -> Region | None: ...

    def write(self, mask: Volume, mode: str) -> int: ...

    def write_structures(self, labelmap: Volume, labels: tuple[Label, ...], mode: str) -> None: ...
