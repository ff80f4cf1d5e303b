"""What the effect's panel says, from how things are."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import MedSegError, WorkerError
from .effect_ports import Panel
from .effect_run import EffectRun, Run
from .progress_wording import Counted
from .prompting import Prompting
from .states import State
from .warm_worker import Warming, WarmWorker
from .wording import EffectWording


class PanelWriter:
    """Puts the panel together.

    Args:
        words: the sentences, in the user's language.
        reason_not_to_run: a sentence, '' where a model can run; asked only while none does.
        clock: seconds.
    """

    def __init__(
        self,
        words: EffectWording,
        worker: WarmWorker,
        prompting: Prompting,
        run: EffectRun,
        reason_not_to_run: Callable[[], str],
        clock: Callable[[], float],
    ):
        self._words = words
        self._worker = worker
        self._prompting = prompting
        self._run = run
        self._reason_not_to_run = reason_not_to_run
        self._clock = clock

    def panel(self, state: State, notice: str, error: MedSegError | None) -> Panel:
        """The panel.

        Args:
            notice: a sentence on what was just done; '' for what is being done.
            error: of the last attempt.
        """
        words, prompts, run = self._words, self._prompting.prompts, self._run.current
        reason = "" if run else words.hint_stopping() if self._run.is_stopping else self._reason_not_to_run()
        return Panel(
            state=state,
            hint=self._hint(error),
            status=self._status(state, notice, error),
            counts=words.counts(len(prompts.included), len(prompts.excluded)),
            can_keep=self._prompting.preview is not None or self._prompting.is_waiting,
            can_discard=bool(prompts),
            can_undo=bool(prompts),
            run_button=words.cancel() if run else words.run(),
            can_run=not reason,
            run_tip=words.cancel_tip() if run else reason or words.run_tip(),
            progress=(run.clock.done, run.clock.total) if run and run.clock.total else None,
            details=error.details if error else "",
            devices=self._worker.devices,
        )

    def _hint(self, error: MedSegError | None) -> str:
        words, prompts = self._words, self._prompting.prompts
        if isinstance(error, WorkerError) and not self._worker.is_running:
            return words.hint_restart()
        if self._run.current:
            return words.hint_running()
        if self._run.is_stopping:
            return words.hint_stopping()
        if not prompts:
            return words.hint_click()
        return words.hint_refine() if prompts.included else words.hint_include()

    def _status(self, state: State, notice: str, error: MedSegError | None) -> str:
        words = self._words
        if error:
            return words.failure(error)
        if self._run.current:
            return self._run_status(self._run.current)
        if notice:
            return notice
        if self._prompting.is_waiting:
            say = words.looking if self._worker.is_looking else words.segmenting
            return say(self._prompting.seconds_waiting)
        if state is State.STARTING and self._worker.warming:
            return self._warming_status(self._worker.warming)
        return words.ready(self._worker.describe(self._prompting.device), self._prompting.click_seconds)

    def _warming_status(self, warming: Warming) -> str:
        words = self._words
        say = {
            Warming.STARTING: words.starting,
            Warming.LOADING: words.loading_prompter,
            Warming.LOOKING: words.looking,
        }[warming]
        return say(self._worker.seconds_warming)

    def _run_status(self, run: Run) -> str:
        words, now = self._words, self._clock()
        if run.load is None:
            return words.checking_installation()
        loaded = run.load.done and not run.load.error
        if run.clock.total:
            device = run.load.result()["device"] if loaded else ""
            return words.windows(Counted.of(run.clock, now, run.request, self._worker.describe(device)))
        if loaded:
            return words.looking(now - run.started)
        return words.loading(run.bundle.name, now - run.started)
