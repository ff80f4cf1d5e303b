"""What training needs of the worker's Python: looked at before the first training, installed if the user agrees."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from MedSegDLLib.dependencies import Findings, Requirement, assess, probe, required
from MedSegDLLib.errors import MedSegError
from MedSegDLLib.interaction.installing import Pip, mend
from MedSegDLLib.interaction.ports import Run

REQUIREMENTS = Path(__file__).resolve().parents[2] / "Resources" / "requirements.txt"

Translate = Callable[[str], str]
Probe = Callable[[str, tuple[Requirement, ...]], dict[str, dict]]
Done = Callable[[str], None]
Prepare = Callable[[bool, Done, Callable[[], bool]], None]
"""Sees to the worker's packages; see `Packages.prepare`."""


def nothing_to_prepare(_gpu: bool, done: Done, _is_wanted: Callable[[], bool]) -> None:
    """A `Prepare` for a worker that has all it needs."""
    done("")


def required_for_training() -> tuple[Requirement, ...]:
    """MedSegDL's own, with PyTorch, and those of this module."""
    lines = map(str.strip, REQUIREMENTS.read_text(encoding="utf-8").splitlines())
    texts = [line for line in lines if line and not line.startswith("#")]
    ours = [Requirement(*map(str.strip, text.partition(">=")[::2])) for text in texts]
    theirs = required(None, "cuda")
    return (*theirs, *(one for one in ours if one.name not in {other.name for other in theirs}))


class PackageCheck:
    """What a presenter awaits before it starts a process; it may give it up.

    Args:
        prepare: see `Packages.prepare`.
    """

    def __init__(self, prepare: Prepare):
        self._prepare = prepare
        self._awaited: object | None = None

    @property
    def is_awaited(self) -> bool:
        return self._awaited is not None

    def begin(self, gpu: bool, then: Done) -> None:
        """`then` is called as `Packages.prepare` says, unless this is given up or begun anew before."""
        check = self._awaited = object()

        def done(reason: str) -> None:
            if check is self._awaited:
                self._awaited = None
                then(reason)

        self._prepare(gpu, done, lambda: check is self._awaited)

    def give_up(self) -> None:
        self._awaited = None


class Packages:
    """Looks for one asker after the other; what was found to be well is not looked at again.

    Args:
        python: finds the Python that trains.
        run: runs a function beside the window, as `gui.background.Background` does.
        pip: Slicer's ways to install.
        confirm: asks the user; given a sentence and the details.
    """

    def __init__(
        self,
        python: Callable[[], str],
        run: Run,
        pip: Pip,
        confirm: Callable[[str, str], bool],
        translate: Translate = str,
        probe: Probe = probe,
    ):
        self._python, self._run, self._pip, self._confirm = python, run, pip, confirm
        self._translate, self._probe = translate, probe
        self._approved: set[tuple[str, bool]] = set()
        self._askers: deque[tuple[bool, Done, Callable[[], bool]]] = deque()
        self._look: Any = None

    def prepare(self, gpu: bool, done: Done, is_wanted: Callable[[], bool] = lambda: True) -> None:
        """Look at the packages, ask for what is lacking, install it and look again.

        :param gpu: a GPU that is there must not lie idle.
        :param done: called with '', or with the sentence why nothing can be trained; at once or later.
        :param is_wanted: whether somebody still waits; who has given up is not asked to install anything.
        """
        self._askers.append((gpu, done, is_wanted))
        if len(self._askers) == 1:
            self._serve()

    def close(self) -> None:
        """Give up a look that is under way; what it finds is heard no more."""
        self._askers.clear()
        if self._look is not None:
            self._look.abandon()
            self._look = None

    def _serve(self) -> None:
        gpu, _done, _is_wanted = self._askers[0]
        self._examine(gpu, self._answer, self._offer)

    def _answer(self, reason: str) -> None:
        if not self._askers:  # the window was closed while the user was asked
            return
        _gpu, done, _is_wanted = self._askers.popleft()
        if self._askers:
            self._serve()
        done(reason)

    def _examine(self, gpu: bool, done: Done, then: Callable[[Findings, bool, Done], None]) -> None:
        requirements = required_for_training()
        try:
            python = self._python()
        except MedSegError as error:
            done(str(error))
            return
        if {(python, gpu), (python, True)} & self._approved:
            done("")
            return

        def judge(reports: dict | None, error: Exception | None) -> None:
            self._look = None
            if error is not None:
                done(str(error))
                return
            found = assess(requirements, reports, python, gpu, self._translate)
            if found.ok:
                self._approved.add((python, gpu))
                done("")
            else:
                then(found, gpu, done)

        self._look = self._run(lambda report: self._probe(python, requirements), lambda *_: None, judge)

    def _offer(self, found: Findings, gpu: bool, done: Done) -> None:
        reason = f"{found.sentence} {found.remedy}".strip()
        _gpu, _done, is_wanted = self._askers[0]
        if not (found.can_install and is_wanted() and self._confirm(reason, found.details)):
            done(reason)
            return
        try:
            mend(found, self._pip, self._translate)
        except MedSegError as error:
            done(str(error))
        else:
            self._examine(gpu, done, self._give_up)

    def _give_up(self, found: Findings, gpu: bool, done: Done) -> None:
        """What was installed and still does not work will not work the third time either."""
        _ = self._translate
        done(_("It was installed, but still does not work. {problem}").format(problem=found.sentence))
