"""How the effect is: its state, what was said last, and what went wrong; shown after each change."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import MedSegError
from .effect_panel import PanelWriter
from .effect_ports import View
from .effect_run import EffectRun
from .prompting import Prompting
from .states import State
from .warm_worker import WarmWorker


class Situation:
    """What the parts of the effect's presenter share.

    Args:
        view: shows the panel.
        panels: puts it together.
    """

    def __init__(self, view: View, panels: PanelWriter, worker: WarmWorker, prompting: Prompting, run: EffectRun):
        self._view = view
        self._panels = panels
        self._worker = worker
        self._prompting = prompting
        self._run = run
        self.state = State.IDLE
        self.notice = ""
        self.error: MedSegError | None = None  # of the last attempt
        self.is_active = False

    @property
    def is_busy(self) -> bool:
        """Whether the worker still owes something that was asked for; its warming up does not count."""
        return self._prompting.is_waiting or self._run.is_busy

    @property
    def at_rest(self) -> State:
        """The state that follows when nothing is the matter."""
        if self._run.current:
            return State.RUNNING
        if self._run.is_stopping:
            return State.CANCELLING
        return State.PREVIEWING if self._prompting.prompts else State.IDLE

    def attempt(self, step: Callable[[], None]) -> bool:
        """Take a step; one that fails is told, and is False."""
        try:
            step()
        except MedSegError as error:
            self.fail(error)
            return False
        return True

    def refuse(self, sentence: str) -> bool:
        """Say why something is not done; False."""
        self.notice = sentence
        self.show()
        return False

    def fail(self, error: MedSegError) -> None:
        self.error = error
        self.enter(State.FAILED)

    def begin_anew(self) -> None:
        """Forget what was said, and the last failure."""
        self.notice, self.error = "", None
        if self.state is State.FAILED:
            self.state = self.at_rest

    def rest(self) -> None:
        self.enter(self.at_rest)

    def enter(self, state: State) -> None:
        self.state = state
        self.show()

    def show(self) -> None:
        self._view.show(self._panels.panel(self.state, self.notice, self.error))
        self._view.poll_while(self.is_active and (self.is_busy or self._worker.warming is not None))
