"""python -m MedSegTrainLib.benchmark.background PLAN --output RUNS: a benchmark that outlives whoever started it.

It is steered and watched through files, as a training is (`training.run_folder`), in RUNS/session: its status says
whether it runs and how it ended, and "pause", "continue" and "stop" are handed on to the trainings that run.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from MedSegDLLib.errors import InputError, MedSegError

from ..training.run_folder import CONTINUE, DONE, PAUSE, PAUSED, STOP, STOPPED, TRAINING, RunFolder
from ..training.run_session import RunSession
from . import folder as folders
from .call import ALL_WELL, Where, benchmark
from .schedulers import visible_gpus

SESSION = "session"

_SECONDS_BETWEEN_LOOKS = 0.5
_SECONDS_TO_STOP = 120.0  # a step and a checkpoint of a large network on a slow disk
_REFUSED = 2


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        with RunSession(options.output / SESSION) as session:
            session.say(TRAINING)
            threading.Thread(target=Steward(session, options.output).watch, daemon=True).start()
            code = benchmark(options.plan, options.output, options.data, where=_where(options.cpu))
            session.say(DONE, "" if code == ALL_WELL else "Some runs failed.")
    except MedSegError as error:
        print(error, error.details, sep="\n", file=sys.stderr)
        return _REFUSED
    return ALL_WELL


class Steward:
    """Hands on what is asked of the session to its trainings.

    Args:
        session: of the benchmark.
        runs: folder of the benchmark.
        end: called when all trainings have stopped; ends this process, and by that those of the runs.
    """

    def __init__(self, session: RunSession, runs: Path, end=lambda: os._exit(0)):
        self._session, self._runs, self._end = session, runs, end
        self._wanted = ""
        self._stop_at = float("inf")

    def watch(self) -> None:
        """For ever."""
        while True:
            time.sleep(_SECONDS_BETWEEN_LOOKS)
            self.look()

    def look(self) -> None:
        """Once: take a request, and see that the trainings heed it. A training that begins later heeds it as well."""
        request = self._session.take_request()
        if request:
            self._take(request)
        trainings = list(self._trainings())
        for training in trainings if self._wanted else ():
            self._steer(training)
        if self._wanted == CONTINUE:
            self._wanted = ""  # one that somebody else has paused later is not ours
        if self._wanted == STOP and (not trainings or time.monotonic() > self._stop_at):
            self._session.say(STOPPED, "Stopped. It goes on where it was when it is started again.")
            self._end()

    def _take(self, request: str) -> None:
        self._wanted = request
        self._session.say(PAUSED if request == PAUSE else TRAINING)
        if request == STOP:
            self._stop_at = time.monotonic() + _SECONDS_TO_STOP

    def _steer(self, training: RunFolder) -> None:
        if self._wanted == PAUSE and training.status().state == PAUSED:
            return
        with suppress(InputError):  # it has ended in this moment
            training.ask(self._wanted)

    def _trainings(self) -> Iterator[RunFolder]:
        """Those at work; one that only prepares its data has nothing to lose."""
        try:
            made = folders.opened(self._runs)
        except InputError:  # it has not begun
            return
        for run in made.runs:
            training = RunFolder(run.training)
            status = training.status()
            if status.state in (TRAINING, PAUSED) and status.has_process:
                yield training


def _where(cpu: bool) -> Where:
    """One run a GPU where there are several."""
    return Where(scheduler="gpus" if not cpu and len(visible_gpus()) > 1 else "serial", cpu=cpu)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m MedSegTrainLib.benchmark.background")
    parser.add_argument("plan", type=Path)
    parser.add_argument("--output", type=Path, required=True, metavar="RUNS")
    parser.add_argument("--data", type=Path, help="folder of data sets whose path is relative")
    parser.add_argument("--cpu", action="store_true", help="train on the processor")
    return parser


if __name__ == "__main__":
    sys.exit(main())
