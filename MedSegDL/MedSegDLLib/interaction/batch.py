"""The batch in its window: the command line as a child process, a row for each case; without Qt or slicer.

    presenter = BatchPresenter(view)
    presenter.choose(BatchChoices(inputs=(folder,), output=results, model="hippocampus-mr"))
    presenter.start()
    presenter.poll()            # every now and then, while presenter.is_active

A child process of its own keeps the window free while images are read and written, and outlives no crash of either:
what is done lies complete on the disk, and starting again goes on with the rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ..errors import MedSegError
from ..worker_process import SubprocessTransport, Transport, find_python
from .batch_ports import BatchChoices, BatchPanel, BatchState, View
from .batch_process import BatchProcess
from .batch_progress import BatchProgress
from .batch_wording import BatchWording

_SECONDS_TO_CANCEL = 0.8  # a library that reads or writes a large file does not listen
_ACTIVE = (BatchState.SEARCHING, BatchState.RUNNING, BatchState.PAUSING, BatchState.CANCELLING)
_TELLING = (BatchState.SEARCHING, BatchState.RUNNING)  # else the status line says what the user asked for


class BatchPresenter:
    """Starts, pauses, resumes and cancels the child process, and says what the view shows.

    Args:
        view: told after each change.
        wording: the sentences, in the user's language.
        make_transport: a pipe to a program; a test puts another in its place.
        python: finds the Python that runs the command line.
        clock: seconds, for tests.
    """

    def __init__(
        self,
        view: View,
        wording: BatchWording | None = None,
        make_transport: Callable[[], Transport] = SubprocessTransport,
        python: Callable[[], str] = find_python,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._view = view
        self._words = wording or BatchWording()
        self._make_transport = make_transport
        self._python = python
        self._clock = clock
        self._process: BatchProcess | None = None
        self._progress = BatchProgress(self._words)
        self._kill_at = 0.0
        self._status = ""
        self._details = ""
        self.state = BatchState.IDLE
        self.choices = BatchChoices()

    # What the user does

    @property
    def is_active(self) -> bool:
        return self.state in _ACTIVE

    def choose(self, choices: BatchChoices) -> None:
        """Take new choices; a batch that was paused with others cannot be resumed any more."""
        if self.state is BatchState.PAUSED and choices != self.choices:
            self.state = BatchState.IDLE
        self.choices = choices
        self._show()

    def reason_not_to_start(self) -> str:
        """'' where all is chosen."""
        if self.is_active:
            return self._words.already_running()
        if not (self.choices.inputs or self.choices.files):
            return self._words.choose_images()
        if not self.choices.model:
            return self._words.choose_model()
        return "" if self.choices.output else self._words.choose_output()

    def start(self) -> None:
        """Begin, or go on with what was paused or interrupted."""
        if self.reason_not_to_start():
            return
        known = self._progress if self.state is BatchState.PAUSED else BatchProgress(self._words)
        self._progress = BatchProgress(self._words, self._clock(), known.cases, known.others)
        try:
            self._process = BatchProcess(self.choices, self._python, self._make_transport, self._words)
        except MedSegError as error:
            self._end(BatchState.FAILED, str(error), error.details)
        else:
            self._enter(BatchState.SEARCHING, self._words.searching())

    def pause(self) -> None:
        """Stop after the present case."""
        if self.state in _TELLING:
            self._process.pause()
            self._enter(BatchState.PAUSING, self._words.pausing())

    def cancel(self) -> None:
        """Stop within a second; what is done stays done."""
        if self.is_active and self.state is not BatchState.CANCELLING:
            self._process.cancel()
            self._kill_at = self._clock() + _SECONDS_TO_CANCEL
            self._enter(BatchState.CANCELLING, self._words.cancelling())

    def close(self) -> None:
        """End the process at once, when the window closes."""
        if self._process:
            self._process.kill()
        self._leave()
        self.state = BatchState.IDLE

    def poll(self) -> None:
        """Take in what the process has said, and notice its end; never blocks."""
        if not self.is_active:
            return
        alive = self._process.is_alive  # asked first, so that all it wrote before its end is taken in
        heard = self._process.lines()
        for line in heard:
            self._hear(line)
        if not alive:
            self._conclude()
        elif self.state is BatchState.CANCELLING and self._clock() > self._kill_at:
            self._process.kill()
            self._conclude()
        elif heard:
            self._show()

    # Steps

    def _hear(self, line: bytes) -> None:
        self._progress.hear(line, self._clock())
        if self.state in _TELLING and self._progress.found:
            self.state, self._status = BatchState.RUNNING, self._progress.status

    def _conclude(self) -> None:
        progress, words = self._progress, self._words
        progress.put_back()
        if progress.finished:
            self._finish()
        elif self.state is BatchState.CANCELLING:
            self._end(BatchState.IDLE, words.cancelled())
        elif progress.failure:
            self._end(BatchState.FAILED, str(progress.failure), progress.failure.details)
        elif progress.found and not progress.cases:
            self._end(BatchState.IDLE, words.nothing(bool(progress.rows)))
        else:
            self._end(BatchState.FAILED, words.died(self._process.end), self._process.log_tail)

    def _finish(self) -> None:
        finished, kinds = self._progress.finished, [row.kind for row in self._progress.rows]
        done, failed = kinds.count("done"), kinds.count("failed")
        if finished.complete:
            seconds = self._clock() - self._progress.began
            self._end(BatchState.IDLE, self._words.finished(done, failed, seconds, finished.output))
        else:
            self._end(BatchState.PAUSED, self._words.paused(done, kinds.count("waiting")))

    def _end(self, state: BatchState, status: str, details: str = "") -> None:
        self._leave()
        self._enter(state, status, details)

    def _leave(self) -> None:
        process, self._process = self._process, None
        if process:
            process.close()

    def _enter(self, state: BatchState, status: str, details: str = "") -> None:
        self.state, self._status, self._details = state, status, details
        self._show()

    # Shown

    def _show(self) -> None:
        self._view.show(self.panel())

    def panel(self) -> BatchPanel:
        reason, progress = self.reason_not_to_start(), self._progress
        resuming = self.state is BatchState.PAUSED
        return BatchPanel(
            state=self.state,
            rows=progress.rows,
            status=self._status,
            start_text=self._words.resume() if resuming else self._words.start(),
            start_tip=reason or (self._words.resume_tip() if resuming else self._words.start_tip()),
            can_start=not reason,
            can_pause=self.state in _TELLING,
            can_cancel=self.is_active and self.state is not BatchState.CANCELLING,
            fraction=progress.share,
            details=self._details,
        )
