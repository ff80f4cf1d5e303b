"""What training needs of the worker's Python: looked at before the first training, installed if the user agrees."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from MedSegDLLib.dependencies import Findings, Requirement, assess, probe, required
from MedSegDLLib.errors import MedSegError
from MedSegDLLib.interaction.installing import Pip, mend

from .desks import Run

REQUIREMENTS = Path(__file__).resolve().parents[2] / "Resources" / "requirements.txt"

Translate = Callable[[str], str]
Probe = Callable[[str, tuple[Requirement, ...]], dict[str, dict]]
Done = Callable[[str], None]


def required_for_training() -> tuple[Requirement, ...]:
    """MedSegDL's own, with PyTorch, and those of this module."""
    lines = map(str.strip, REQUIREMENTS.read_text(encoding="utf-8").splitlines())
    texts = [line for line in lines if line and not line.startswith("#")]
    ours = [Requirement(*map(str.strip, text.partition(">=")[::2])) for text in texts]
    theirs = required(None, "cuda")
    return (*theirs, *(one for one in ours if one.name not in {other.name for other in theirs}))


class Packages:
    """What was found to be well is not looked at again.

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
        self._look: Any = None

    def prepare(self, gpu: bool, done: Done) -> None:
        """Look at the packages, ask for what is lacking, install it and look again.

        :param gpu: a GPU that is there must not lie idle.
        :param done: called with '', or with the sentence why nothing can be trained; at once or later.
        """
        self._examine(gpu, done, self._offer)

    def close(self) -> None:
        """Give up a look that is under way; what it finds is heard no more."""
        if self._look is not None:
            self._look.abandon()
            self._look = None

    def _examine(self, gpu: bool, done: Done, then: Callable[[Findings, bool, Done], None]) -> None:
        requirements = required_for_training()
        try:
            python = self._python()
        except MedSegError as error:
            done(str(error))
            return
        if (python, gpu) in self._approved:
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

        self.close()
        self._look = self._run(lambda report: self._probe(python, requirements), lambda *_: None, judge)

    def _offer(self, found: Findings, gpu: bool, done: Done) -> None:
        reason = f"{found.sentence} {found.remedy}".strip()
        if not found.can_install or not self._confirm(reason, found.details):
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
