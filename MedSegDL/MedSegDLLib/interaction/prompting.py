"""What was drawn for one structure, and the preview that the worker makes of it."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from ..client import PromptedMask
from ..connection import Request
from ..prompts import Prompt, Prompts
from .effect_ports import PromptOptions, Scene
from .warm_worker import WarmWorker

Draw = Callable[[PromptedMask | None, Prompts], None]


class Prompting:
    """Asks for one preview at a time: a newer question takes the place of one that is not answered yet.

    Args:
        draw: shows the preview and the prompts; called when they change.
        on_answered: called with the answered request, and how its answer is to be kept at once, '' for not at all.
        clock: seconds.
    """

    def __init__(
        self,
        worker: WarmWorker,
        scene: Scene,
        draw: Draw,
        on_answered: Callable[[Request, str], None],
        clock: Callable[[], float],
    ):
        self._worker = worker
        self._scene = scene
        self._draw = draw
        self._on_answered = on_answered
        self._clock = clock
        self._key: Hashable | None = None  # of the scene when the first prompt was drawn
        self._sent: Request | None = None
        self._sent_at = 0.0
        self._keep_mode = ""
        self.prompts = Prompts()
        self.preview: PromptedMask | None = None
        self.device = "cpu"  # that the last answer came from
        self.click_seconds: float | None = None  # that the last answer took

    @property
    def is_waiting(self) -> bool:
        """Whether a question is not answered yet."""
        return self._sent is not None

    @property
    def seconds_waiting(self) -> float:
        return self._clock() - self._sent_at

    @property
    def is_outdated(self) -> bool:
        """Whether what is drawn is of other nodes than those there now."""
        return bool(self.prompts) and self._scene.key() != self._key

    def add(self, prompt: Prompt, options: PromptOptions) -> None:
        """Draw one more, and ask. Raises MedSegError."""
        if not self.prompts:
            self._key = self._scene.key()
        self.ask(self.prompts.with_prompt(prompt), options)

    def ask(self, prompts: Prompts, options: PromptOptions) -> None:
        """Ask for the preview of these prompts, in place of what was asked before. Raises MedSegError."""
        self.cancel()
        self.prompts = prompts
        if not prompts.included:
            self.preview = None
        self._draw(self.preview, self.prompts)
        if prompts.included:
            self._sent_at = self._clock()
            self._sent = self._worker.ask(self._scene.image(), prompts, options, self._answered)

    def keep_when_there(self, mode: str) -> None:
        """Have the answer that is awaited kept in this mode."""
        self._keep_mode = mode

    def cancel(self) -> None:
        """Give the question up; what is drawn stays."""
        sent, self._sent = self._sent, None  # so that its last word is of no interest
        self._keep_mode = ""
        if sent:
            self._worker.cancel(sent)

    def drop(self) -> None:
        """Give up what is drawn, too."""
        self.cancel()
        if self.prompts or self.preview:
            self.prompts, self.preview = Prompts(), None
            self._draw(None, self.prompts)

    def take(self, mask: PromptedMask) -> bool:
        """Draw the answer; returns whether there is anything in it."""
        self.click_seconds = self.seconds_waiting
        self.device = mask.device or self.device
        self.preview = mask if mask.array.any() else None
        self._draw(self.preview, self.prompts)
        return self.preview is not None

    def _answered(self, request: Request) -> None:
        if request is not self._sent:
            return  # superseded
        self._sent = None
        keep_mode, self._keep_mode = self._keep_mode, ""
        self._on_answered(request, keep_mode)
