"""Every sentence of the panel of runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from MedSegDLLib.interaction.measures import seconds_text

from ..training.run_folder import DONE, FAILED, PAUSED, STOPPED, TRAINING, WAITING
from .runs_reader import AT_WORK, JUDGING, PREPARING, RunView

Translate = Callable[[str], str]


class RunsWording:
    """The texts in the user's language.

    Args:
        translate: Slicer's `tr`, or nothing for English. It is called `_` below, so that Slicer's tools find the texts.
    """

    def __init__(self, translate: Translate = str):
        self._translate = translate

    # The table

    def column(self, fold: int, seed: int, several_seeds: bool) -> str:
        _ = self._translate
        if several_seeds:
            return _("fold {fold}, seed {seed}").format(fold=fold + 1, seed=seed)
        return _("fold {fold}").format(fold=fold + 1)

    def row(self, run: RunView, several_data_sets: bool) -> str:
        return f"{run.data_set}: {run.label}" if several_data_sets else run.label

    def cell(self, run: RunView) -> str:
        _ = self._translate
        epochs = {"epoch": run.epoch, "epochs": run.epochs}
        if run.kind == DONE:
            return _("done {dice}").format(dice=f"{run.dice:.3f}") if run.dice is not None else _("done")
        if run.kind in (TRAINING, PAUSED, STOPPED) and run.epochs:
            text = {
                TRAINING: _("epoch {epoch}/{epochs}"),
                PAUSED: _("paused at {epoch}/{epochs}"),
                STOPPED: _("stopped at {epoch}/{epochs}"),
            }[run.kind]
            return text.format(**epochs)
        return {
            WAITING: _("waiting"),
            PREPARING: _("preparing"),
            TRAINING: _("training"),
            PAUSED: _("paused"),
            JUDGING: _("judging"),
            FAILED: _("failed"),
            STOPPED: _("stopped"),
        }[run.kind]

    def cell_tip(self, run: RunView) -> str:
        _ = self._translate
        if run.kind == FAILED:
            return _("{reason} Go on tries it again.").format(reason=run.reason)
        if run.kind == STOPPED:
            return _("Go on continues from its last checkpoint.")
        if run.kind == DONE and run.dice is not None:
            return _("Mean Dice over the test cases: {dice}").format(dice=f"{run.dice:.4f}")
        if run.remaining_seconds is not None and run.kind in (TRAINING, PAUSED):
            return _("{time} left").format(time=seconds_text(run.remaining_seconds))
        return _("Select it to see its curves.") if run.is_network else ""

    # The status line

    def nothing(self) -> str:
        _ = self._translate
        return _("No benchmark is open. Start one above, or open the folder of an earlier one.")

    def checking(self) -> str:
        _ = self._translate
        return _("Checking the packages that training needs")

    def starting(self, seconds: float) -> str:
        _ = self._translate
        return _("Starting") if seconds < 1 else _("Starting, {seconds} s").format(seconds=round(seconds))

    def standing(self, runs: Sequence[RunView]) -> str:
        """ "12 of 70 done, 1 failed. U-Net, fold 2: epoch 34/200, 12 min left" """
        _ = self._translate
        counts = Counter(run.kind for run in runs)
        text = _("{done} of {total} done").format(done=counts[DONE], total=len(runs))
        if counts[FAILED]:
            text = _("{text}, {count} failed").format(text=text, count=counts[FAILED])
        return " ".join(
            [f"{text}.", *(self._at_work(run) for run in runs if run.kind in (TRAINING, PREPARING, JUDGING))]
        )

    def paused(self, runs: Sequence[RunView]) -> str:
        _ = self._translate
        return _("Paused; the memory stays in use.") + f" {self.standing(runs)}"

    def stopping(self) -> str:
        _ = self._translate
        return _("Stopping after the present step")

    def resting(self, runs: Sequence[RunView]) -> str:
        _ = self._translate
        if not runs:
            return _("Nothing was begun in this folder.")
        if all(run.kind == DONE for run in runs):
            return _("All {count} runs are done.").format(count=len(runs))
        if any(run.kind in AT_WORK for run in runs):
            text = _("{standing} A process that no window has begun does this; Go on does other runs beside it.")
            return text.format(standing=self.standing(runs))
        return _("{standing} Nothing runs now; Go on does the rest.").format(standing=self.standing(runs))

    def _at_work(self, run: RunView) -> str:
        _ = self._translate
        text = _("{name}, fold {fold}: {state}").format(name=run.label, fold=run.fold + 1, state=self.cell(run))
        if run.kind == TRAINING and run.remaining_seconds is not None:
            text = _("{text}, {time} left").format(text=text, time=seconds_text(run.remaining_seconds))
        return f"{text}."

    # Buttons

    def pause(self) -> str:
        _ = self._translate
        return _("Pause")

    def go_on_training(self) -> str:
        _ = self._translate
        return _("Continue")

    def go_on_tip(self) -> str:
        _ = self._translate
        return _("Go on with what is not done; nothing finished is done again.")

    def all_done(self) -> str:
        _ = self._translate
        return _("Every run is done.")

    def running(self) -> str:
        _ = self._translate
        return _("The benchmark is running.")

    def curves_title(self, run: RunView) -> str:
        _ = self._translate
        return _("{name}, fold {fold}").format(name=run.label, fold=run.fold + 1)
