"""What the module's presenter is given, and what it shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..bundle import Bundle
from ..connection import Request
from ..labels import Label
from ..volume import Volume
from . import ports
from .outcome import Outcome
from .states import State

Region = tuple[slice, slice, slice]
KEEP_LARGEST = {"model": None, "yes": True, "no": False}
"""What the parameter node keeps, and what it means."""


@dataclass(frozen=True)
class Choices:
    """What the user set; the same fields as the module's parameter node.

    Args:
        model: name of an installed model.
        left_out: structures of the model that are not wanted.
        where: "whole", "view", "roi" or "segments"; for the last the output segmentation's.
        all_frames: of the sequence that the volume is a frame of.
        overlap, mirror, keep_largest: None for what the model says.
        more_volume_nodes: for a model of several channels those after the first, in their order; None where none is
            chosen. For another model they do not count.
    """

    volume_node: Any = None
    model: str = ""
    left_out: frozenset[str] = frozenset()
    where: str = "whole"
    roi_node: Any = None
    segmentation_node: Any = None
    all_frames: bool = False
    device: str = "auto"
    overlap: float | None = None
    mirror: bool | None = None
    allow_other_modality: bool = False
    keep_largest: bool | None = None
    more_volume_nodes: tuple[Any, ...] = ()

    @property
    def options(self) -> dict:
        """For the predictor."""
        chosen = {"overlap": self.overlap, "mirror": self.mirror}
        return {name: value for name, value in chosen.items() if value is not None}

    @property
    def arguments(self) -> tuple[str, ...]:
        """The same and more for the command line, as in a batch."""
        overlap = () if self.overlap is None else ("--overlap", f"{self.overlap:g}")
        mirror = ("--mirror",) if self.mirror else ()
        any_modality = ("--any-modality",) if self.allow_other_modality else ()
        keep_largest = {None: (), True: ("--keep-largest",), False: ("--no-keep-largest",)}[self.keep_largest]
        return (*overlap, *mirror, *keep_largest, *any_modality)


@dataclass(frozen=True)
class Failure:
    """Args: sentence: what happened and what to do; details: for whoever is asked for help; log_path: the worker's."""

    sentence: str
    details: str = ""
    log_path: str = ""


@dataclass(frozen=True)
class Panel:
    """What the view shows.

    Args:
        button: the text of Apply, which is Cancel while it runs.
        tip: why the button is grey, or what it does.
        progress: windows done and their number; None where there is nothing to count.
    """

    state: State
    button: str
    enabled: bool
    tip: str
    status: str = ""
    progress: tuple[int, int] | None = None
    outcome: Outcome | None = None
    summary: str = ""
    failure: Failure | None = None

    @property
    def is_busy(self) -> bool:
        """Whether `poll` must be called."""
        return self.state in (State.STARTING, State.RUNNING, State.CANCELLING)


class Runner(Protocol):
    """What `scene.run.Segmenter` offers without blocking."""

    log_path: Any

    def begin_load(self, model: Bundle, device: str, **options) -> Request: ...

    def begin_label(
        self,
        volumes: Sequence[Volume],
        model: Bundle,
        device: str,
        region: Region | None,
        on_progress: Callable[[int, int, str], None],
        on_done: Callable[[Request], None],
        keep_largest: bool | None,
        **options,
    ) -> Request: ...

    def begin_hello(self, on_done: Callable[[Request], None]) -> Request: ...

    def cancel(self, request: Request) -> None: ...

    def poll(self) -> None: ...


class Scene(Protocol):
    """What `scene.module_scene.ModuleScene` offers; every method may raise MedSegError."""

    def is_present(self, node: Any) -> bool: ...

    def version(self, node: Any, all_frames: bool) -> Any: ...

    def frames(self, node: Any) -> int: ...

    def read(self, node: Any, frame: int | None = None) -> Volume: ...

    def region(
        self, node: Any, where: str, roi_node: Any, segmentation_node: Any, measured: bool = True
    ) -> Region | None: ...

    def write(
        self, node: Any, labelmaps: list[Volume], labels: tuple[Label, ...], segmentation_node: Any, algorithm: str
    ) -> Any: ...


View = ports.View[Panel]
