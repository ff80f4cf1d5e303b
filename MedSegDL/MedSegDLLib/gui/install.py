"""The worker's packages: looked at before the first run, installed with the user's consent. Main thread only."""

from __future__ import annotations

import logging
from collections.abc import Callable
from subprocess import CalledProcessError

import slicer.packaging
from slicer.i18n import tr as _

from ..bundle import Bundle
from ..dependencies import Findings, assess, probe, required
from ..errors import MedSegError
from ..interaction.installing import mend
from .background import Background
from .shared import closeWorker, workerPython

_REQUESTER = "MedSegDL"


class Installation:
    """What the presenters of module and effect ask before each run of a model, as their `prepare`.

    What was found to be well is not looked at again in the session.

    Args:
        python: gives the worker's Python.
        onWorth: told a sentence that is worth knowing, but stops nothing: a GPU that lies idle.
            `repair` with `lastFindings` then does something about it.
        confirm: asks the user; given a sentence and the details.
        isWanted: whether somebody still waits for the answer; who has cancelled is not asked to install anything.
    """

    def __init__(
        self,
        python: Callable[[], str] = workerPython,
        onWorth: Callable[[str], None] = logging.warning,
        confirm: Callable[[str, str], bool] | None = None,
        isWanted: Callable[[], bool] = lambda: True,
    ):
        self._python = python
        self._onWorth = onWorth
        self._confirm = confirm or mayInstall
        self._isWanted = isWanted
        self._approved: set = set()
        self.lastFindings: Findings | None = None
        self._background: Background | None = None

    def close(self) -> None:
        """Give up a look that is under way."""
        if self._background:
            self._background.abandon()

    def prepare(self, bundle: Bundle | None, device: str, done: Callable[[str], None]) -> None:
        """Look at the packages, ask for what is lacking, install it and look again.

        :param bundle: the model; None for the prompter that needs no training.
        :param device: as chosen: "auto", "cpu", "cuda:0", ...
        :param done: called with '', or with the sentence why a run cannot begin; at once or later.
        """
        self._look(bundle, device, done, self._afterFirstLook)

    def repair(self, found: Findings, done: Callable[[str], None]) -> None:
        """Install or replace what was found, PyTorch for the GPU included; `done` as for `prepare`."""
        closeWorker()  # it has the packages open, and would not see the new ones
        try:
            mend(found, SlicerPip(), _)
        except MedSegError as error:
            logging.error("%s\n%s", error, error.details)
            done(str(error))
        else:
            done("")

    def _look(self, bundle, device, done, then) -> None:
        requirements, gpuNeeded = required(bundle, device), device.startswith("cuda")
        try:
            python = self._python()
        except MedSegError as error:
            done(str(error))
            return
        key = (python, requirements, gpuNeeded)
        if key in self._approved:
            done("")
            return

        def judge(reports, error) -> None:
            if not self._isWanted():
                return
            if error is not None:
                done(str(error))
                return
            self.lastFindings = found = assess(requirements, reports, python, gpuNeeded, _)
            if not found.ok:
                then(found, bundle, device, done)
                return
            self._approved.add(key)
            if found.sentence:
                self._onWorth(f"{found.sentence} {found.remedy}")
            done("")

        self.close()  # of a run that was cancelled
        self._background = Background(lambda report: probe(python, requirements), lambda *_: None, judge)

    def _afterFirstLook(self, found: Findings, bundle, device, done) -> None:
        reason = f"{found.sentence} {found.remedy}"
        if not found.can_install or not self._confirm(reason, found.details):
            done(reason)
            return

        def lookAgain(problem: str) -> None:
            if problem:
                done(problem)
            else:
                self._look(bundle, device, done, self._afterSecondLook)

        self.repair(found, lookAgain)

    def _afterSecondLook(self, found: Findings, bundle, device, done) -> None:
        """What was installed and still does not work will not work the third time either."""
        logging.error(found.details)
        done(_("It was installed, but still does not work. {problem}").format(problem=found.sentence))


class SlicerPip:
    """Slicer's own ways to install Python packages; see `interaction.installing.Pip`."""

    def uninstall(self, names: list[str]) -> None:
        slicer.packaging.pip_uninstall(names)

    def install(self, requirements: list[str]) -> None:
        # In --testing this installs nothing, and the second look then says so.
        slicer.packaging.pip_ensure(requirements, prompt_install=False, requester=_REQUESTER)

    def reinstall(self, requirements: list[str]) -> None:
        slicer.packaging.pip_install(["--ignore-installed", *requirements], requester=_REQUESTER)

    def install_torch(self, requirement: str) -> None:
        try:
            import PyTorchUtils
        except ImportError as error:
            raise MedSegError(
                _("PyTorch is installed by the extension 'PyTorch', which is not there."),
                _("Install it in the Extensions Manager, restart Slicer, and try again."),
            ) from error
        try:
            logic = PyTorchUtils.PyTorchUtilsLogic()
            torch = logic.installTorch(askConfirmation=False, torchVersionRequirement=requirement)
        except CalledProcessError:
            raise
        except Exception as error:  # the border of another extension: it changes, and raises what it likes
            raise MedSegError(
                _("The extension 'PyTorch' could not install PyTorch."),
                _("Update that extension, restart Slicer, and install PyTorch in its module 'PyTorch Utils'."),
                repr(error),
            ) from error
        if torch is None:
            raise MedSegError(_("PyTorch was not installed."), _("It is needed for this model or device."))


def mayInstall(sentence: str, details: str, title: str = "MedSegDL") -> bool:
    """Ask whether packages may be installed; the details are there on demand."""
    text = _("{problem}\n\nThis changes the Python packages of Slicer, and loads them from the internet. Continue?")
    arguments = {"detailedText": details} if details else {}
    return slicer.util.confirmOkCancelDisplay(text.format(problem=sentence), title, **arguments)
