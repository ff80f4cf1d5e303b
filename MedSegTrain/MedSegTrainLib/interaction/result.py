"""What came out of a benchmark in the window: ranking, report, and the winner as a model; without Qt or slicer.

presenter = ResultPresenter(view, find_python, run=Background)
presenter.take(runs_folder, runs)
presenter.make_report()
presenter.poll()            # every now and then, while presenter.is_busy
presenter.use()
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from MedSegDLLib.errors import MedSegError, WorkerError
from MedSegDLLib.interaction.ports import Run
from MedSegDLLib.model_store import ModelStore, StagedModel
from MedSegDLLib.worker_process import SubprocessTransport

from ..training.run_folder import DONE
from .packages import PackageCheck, Prepare, nothing_to_prepare
from .python_process import JsonProcess, MakeTransport
from .ranking_table import best_bundle, read_ranking
from .result_ports import ResultPanel, ResultRow, View
from .result_wording import ResultWording
from .runs_reader import REPORT, RunView


class ResultPresenter:
    """Decides what the panel of the result shows and does.

    Args:
        view: told after each change, and asked.
        python: finds the Python that writes the report.
        run: runs a function beside the window, as `gui.background.Background` does.
        prepare: sees to that Python's packages before a report.
        store: the models of MedSegDL.
        on_used: called with the name of a model that was installed.
        wording: the sentences, in the user's language.
    """

    def __init__(
        self,
        view: View,
        python: Callable[[], str],
        run: Run,
        store: ModelStore | None = None,
        on_used: Callable[[str], None] = lambda name: None,
        wording: ResultWording | None = None,
        prepare: Prepare = nothing_to_prepare,
        make_transport: MakeTransport = SubprocessTransport,
    ):
        self._view, self._wording = view, wording or ResultWording()
        self._python, self._make_transport = python, make_transport
        self._run, self._store, self._on_used = run, store or ModelStore(), on_used
        self._folder: Path | None = None
        self._runs: Sequence[RunView] = ()
        self._rows: tuple[ResultRow, ...] = ()
        self._selected = ""  # title of a row; until somebody chooses, the best that has a model
        self._check = PackageCheck(prepare)
        self._process: JsonProcess | None = None
        self._job: Any = None
        self._status, self._details, self._problem = "", "", False

    @property
    def is_busy(self) -> bool:
        return self._check.is_awaited or self._process is not None or self._job is not None

    @property
    def report(self) -> Path | None:
        """The report, None where there is none yet."""
        path = self._folder and self._folder / REPORT / "report.html"
        return path if path and path.is_file() else None

    # What the user does

    def take(self, folder: Path | None, runs: Sequence[RunView]) -> None:
        """Show what is known of a benchmark."""
        if folder != self._folder:
            self._folder, self._selected = folder, ""
            self._say("")
        self._runs = runs
        self._read()

    def reason_not_to_report(self) -> str:
        if self.is_busy:
            return self._wording.busy()
        return "" if any(run.kind == DONE for run in self._runs) else self._wording.nothing()

    def make_report(self) -> None:
        """Write tables and figures of what is done; the ranking comes with `poll`."""
        if self.reason_not_to_report():
            self.show()
            return
        folder = self._folder
        self._check.begin(False, lambda reason: self._prepared(folder, reason))
        if self._check.is_awaited:
            self._say(self._wording.checking())

    def open_report(self) -> None:
        if self.report:
            self._view.open(self.report)

    def select(self, row: int) -> None:
        """Choose the method whose model is used."""
        if 0 <= row < len(self._rows):
            self._selected = self._rows[row].title
            self._read()

    def reason_not_to_use(self) -> str:
        if self.is_busy:
            return self._wording.busy()
        if not self._rows:
            return self._wording.make_report() if self._runs else self._wording.nothing()
        row = self._chosen
        return "" if row.bundle else self._wording.no_bundle(row.title)

    def use(self) -> None:
        """Install the selected method's model; it is copied and checked beside the window."""
        if self.reason_not_to_use():
            self.show()
            return
        bundle = self._chosen.bundle
        self._job = self._run(lambda report: self._store.stage(bundle), lambda *_: None, self._staged)
        self._say(self._wording.copying())

    def poll(self) -> None:
        """Notice that the report is written; never blocks."""
        if self._process is None or self._process.is_alive:
            return
        process, self._process = self._process, None
        error = process.end() if process.returncode else None
        process.close()
        if error:
            self._fail(error)
        else:
            self._say("")
            self._read()

    def close(self) -> None:
        """Give up what is being done."""
        self._check.give_up()
        if self._process:
            self._process.close()
            self._process = None
        if self._job is not None:
            self._job.abandon()
            self._job = None

    # Steps

    def _prepared(self, folder: Path, reason: str) -> None:
        """What the look at the packages came to."""
        if reason:
            self._fail(WorkerError(reason))
            return
        arguments = ["MedSegTrainLib.watched", "report", str(folder), "--output", str(folder / REPORT)]
        try:
            self._process = JsonProcess(arguments, self._python, self._make_transport)
        except MedSegError as error:
            self._fail(error)
        else:
            self._say(self._wording.reporting())

    def _staged(self, staged: StagedModel | None, error: Exception | None) -> None:
        self._job = None
        if error is not None:
            self._fail(error if isinstance(error, MedSegError) else MedSegError(repr(error)))
            return
        with staged:
            clash, name = staged.clash, staged.name
            if clash and not self._view.confirms(self._wording.confirm_replacement(name)):
                self._say(self._wording.not_replaced(name))
                return
            try:
                staged.install(replace=clash is not None)
            except MedSegError as refused:
                self._fail(refused)
                return
        self._say(self._wording.used(name))
        self._on_used(name)

    def _read(self) -> None:
        data_sets = list(dict.fromkeys(run.data_set for run in self._runs))
        ranked = read_ranking(self._folder, data_sets) if self._folder else []
        rows = [
            ResultRow(
                rank=one.rank,
                title=f"{one.data_set}: {one.label}" if len(data_sets) > 1 else one.label,
                dice=one.dice,
                interval=one.interval,
                bundle=best_bundle(self._runs, one.data_set, one.label),
            )
            for one in ranked
        ]
        titles, usable = [row.title for row in rows], [row.title for row in rows if row.bundle]
        chosen = self._selected if self._selected in titles else next(iter(usable + titles), "")
        self._rows = tuple(replace(row, is_selected=row.title == chosen) for row in rows)
        self.show()

    @property
    def _chosen(self) -> ResultRow:
        return next(row for row in self._rows if row.is_selected)

    def _fail(self, error: MedSegError) -> None:
        self._say(str(error), error.details, problem=True)

    def _say(self, status: str, details: str = "", problem: bool = False) -> None:
        self._status, self._details, self._problem = status, details, problem
        self.show()

    def show(self) -> None:
        """Have the view show how things are."""
        self._view.show(self.panel())

    def panel(self) -> ResultPanel:
        words, no_report, no_use = self._wording, self.reason_not_to_report(), self.reason_not_to_use()
        known = words.ranked(len(self._rows)) if self._rows else words.make_report()
        return ResultPanel(
            rows=self._rows,
            status=self._status or (words.nothing() if no_report == words.nothing() else known),
            can_report=not no_report,
            report_tip=no_report or words.report_tip(),
            can_open=self.report is not None,
            can_use=not no_use,
            use_tip=no_use or words.use_tip(self._chosen.title),
            is_busy=self.is_busy,
            problem=self._problem,
            details=self._details,
        )
