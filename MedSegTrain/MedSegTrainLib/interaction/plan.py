"""Networks and recipe in the window: chosen, planned, started; without Qt or slicer.

presenter = PlanPresenter(view, find_python, prepare=packages.prepare, on_start=runs.start)
presenter.choose(PlanChoices(dataset=folder, methods=("unet-2d",)), runs=folder)
presenter.press()           # Plan; when it is planned: Start
presenter.poll()            # every now and then, while presenter.is_busy
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from MedSegDLLib.errors import MedSegError
from MedSegDLLib.worker_process import SubprocessTransport

from .methods import Method, all_methods, chosen_methods
from .packages import PackageCheck, Prepare, nothing_to_prepare
from .plan_ports import BUSY, MethodRow, PlanPanel, PlanState, View
from .plan_wording import PlanWording
from .planning import PlanChoices, plan_of, write_plan
from .python_process import JsonProcess, MakeTransport


class PlanPresenter:
    """Decides what the panel of networks and recipe shows and does.

    Args:
        view: told after each change.
        python: finds the Python that trains.
        prepare: sees to its packages before the first plan.
        on_start: called with the plan's file, the folder of the runs, and whether to train on the processor.
        is_running: whether a benchmark runs at that moment.
        wording: the sentences, in the user's language.
    """

    def __init__(
        self,
        view: View,
        python: Callable[[], str],
        prepare: Prepare = nothing_to_prepare,
        on_start: Callable[[Path, Path, bool], None] = lambda plan, runs, cpu: None,
        is_running: Callable[[], bool] = lambda: False,
        wording: PlanWording | None = None,
        make_transport: MakeTransport = SubprocessTransport,
    ):
        self._view, self._wording = view, wording or PlanWording()
        self._python, self._make_transport = python, make_transport
        self._check, self._on_start, self._is_running = PackageCheck(prepare), on_start, is_running
        self._process: JsonProcess | None = None
        self._found: dict[str, Any] | None = None
        self._line, self._details, self._problem = "", "", False
        self._progress: tuple[int, int] | None = None
        self.state = PlanState.CHOOSING
        self.choices = PlanChoices()
        self.runs: Path | None = None

    # What the user does

    @property
    def is_busy(self) -> bool:
        return self.state in BUSY

    def choose(self, choices: PlanChoices, runs: Path | None) -> None:
        """Take new choices; an estimate of others no longer holds, and one under way is given up."""
        if (choices, runs) == (self.choices, self.runs):
            self.show()
            return
        self.choices, self.runs = choices, runs
        self._leave()
        self._found = None
        self._enter(PlanState.CHOOSING)

    def tick(self, key: str, is_ticked: bool) -> None:
        """Choose a method, or leave it out."""
        ticked = (set(self.choices.methods) | {key}) if is_ticked else (set(self.choices.methods) - {key})
        self.choose(replace(self.choices, methods=_in_order(ticked)), self.runs)

    def reason_not_to_press(self) -> str:
        """A sentence; '' where nothing is in the way."""
        words, choices = self._wording, self.choices
        if choices.dataset is None:
            return words.no_dataset()
        if not choices.dataset.is_dir():
            return words.dataset_is_gone(choices.dataset)
        if not choices.methods:
            return words.no_methods()
        if self.runs is None:
            return words.no_runs()
        if self._is_running():
            return words.running()
        try:
            plan_of(choices, self.runs.name)
        except MedSegError as error:
            return str(error)
        return ""

    def press(self) -> None:
        """The button: Plan, then Start; Cancel while it plans."""
        if self.is_busy:
            self._leave()
            self._enter(PlanState.CHOOSING, self._wording.cancelled())
        elif self.reason_not_to_press():
            self.show()
        elif self.state is PlanState.ESTIMATED:
            self.start()
        else:
            self.estimate()

    def estimate(self) -> None:
        """Find out what it will take; the answer comes with `poll`."""
        self._enter(PlanState.CHECKING, self._wording.checking())
        self._check.begin(not self._needs_no_gpu, self._prepared)

    def start(self) -> None:
        """Write the plan and have it run."""
        try:
            path = write_plan(plan_of(self.choices, self.runs.name), self.runs)
            self._on_start(path, self.runs, self.choices.cpu)
        except MedSegError as error:
            self._fail(error)
        else:
            self._enter(PlanState.CHOOSING, self._line)

    def poll(self) -> None:
        """Take in what the estimate has said; never blocks."""
        if self._process is None:
            return
        alive = self._process.is_alive  # asked first, so that all it said before its end is heard
        for event in self._process.events():
            self._hear(event)
        if not alive and self._process is not None:
            self._fail(_as_error(self._process))

    def close(self) -> None:
        """Give up what is being done, without a word to the view."""
        self._leave()

    # The estimate

    def _prepared(self, reason: str) -> None:
        """What the look at the packages came to."""
        if reason:
            self._fail(MedSegError(reason))
            return
        try:
            self._begin()
        except MedSegError as error:
            self._fail(error)

    def _begin(self) -> None:
        path = write_plan(plan_of(self.choices, self.runs.name), self.runs)
        arguments = ["MedSegTrainLib.watched", "estimate", str(path), "--output", str(self.runs), "--json"]
        arguments += ["--cpu"] if self._needs_no_gpu else []
        self._process = JsonProcess(arguments, self._python, self._make_transport)
        self._enter(PlanState.ESTIMATING, self._wording.estimating(0, 0, ""), (0, 0))

    @property
    def _needs_no_gpu(self) -> bool:
        return self.choices.cpu or not any(method.is_network for method in chosen_methods(self.choices.methods))

    def _hear(self, event: dict) -> None:
        if event.get("event") == "progress":
            done, total, name = event["done"], event["total"], event["name"]
            self._enter(PlanState.ESTIMATING, self._wording.estimating(done, total, name), (done, total))
        elif event.get("event") == "estimate":
            self._leave()
            self._found = event
            line = self._wording.estimate(event) if event["networks"] else self._wording.only_baselines()
            self._enter(PlanState.ESTIMATED, line)
            self._problem = any(one["problem"] for one in event["networks"])
            self.show()

    def _leave(self) -> None:
        self._check.give_up()
        process, self._process = self._process, None
        if process:
            process.close()

    def _fail(self, error: MedSegError) -> None:
        self._leave()
        self._enter(PlanState.CHOOSING, str(error))
        self._details, self._problem = error.details, True
        self.show()

    def _enter(self, state: PlanState, line: str = "", progress: tuple[int, int] | None = None) -> None:
        self.state, self._line, self._progress = state, line, progress
        self._details, self._problem = "", False
        self.show()

    def show(self) -> None:
        """Have the view show how things are."""
        self._view.show(self.panel())

    def panel(self) -> PlanPanel:
        words, reason = self._wording, "" if self.is_busy else self.reason_not_to_press()
        button, tip = {
            PlanState.CHOOSING: (words.plan(), words.plan_tip()),
            PlanState.ESTIMATED: (words.start(), words.start_tip()),
        }.get(self.state, (words.cancel(), words.cancel_tip()))
        return PlanPanel(
            state=self.state,
            methods=self._rows(),
            button=button,
            tip=reason or tip,
            enabled=not reason,
            estimate=self._line,
            progress=self._progress,
            problem=self._problem,
            details=self._details,
        )

    def _rows(self) -> tuple[MethodRow, ...]:
        problems = {one["method"]: one["problem"] for one in (self._found or {}).get("networks", ())}
        return tuple(self._row(method, problems.get(method.key, "")) for method in all_methods())

    def _row(self, method: Method, problem: str) -> MethodRow:
        words = self._wording
        return MethodRow(
            key=method.key,
            title=method.title,
            kind=words.kind(method.dims),
            parameters=words.parameters(method.parameters),
            source=method.source,
            is_ticked=method.key in self.choices.methods,
            problem=problem,
        )


def _in_order(keys: Iterable[str]) -> tuple[str, ...]:
    return tuple(method.key for method in chosen_methods(keys))


def _as_error(process: JsonProcess) -> MedSegError:
    """What the command line said last is why it gave up."""
    end = process.end()
    said = [line for line in end.details.splitlines() if line.startswith("medseg: ")]
    return MedSegError(said[-1].removeprefix("medseg: "), details=end.details) if said else end
