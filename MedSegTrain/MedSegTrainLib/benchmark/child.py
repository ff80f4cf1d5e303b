"""python -m MedSegTrainLib.benchmark.child: the process of one run.

Its task comes as the first line of its input. Its input then stays open, and its end is the end of this process: it
does not outlive the one that started it, however that ended, and so never works beside a successor. Its outcome is the
only line of its output; whatever libraries print goes to the log.
"""

from __future__ import annotations

import json
import sys
import traceback

from MedSegDLLib.errors import CancelledError, MedSegError

from ..data.parent import end_with_input
from ..data.reserved_output import reserved_output
from .runs import DONE, FAILED, RUNNING, WAITING, BusyError, Run
from .task import BUSY, STOPPED, Task


def main() -> int:
    answer = reserved_output()
    task = Task.from_json(sys.stdin.readline())
    end_with_input()
    outcome, reason = work_on(task)
    with answer:
        answer.write(json.dumps({"outcome": outcome, "reason": reason}) + "\n")
    return 0


def work_on(task: Task) -> tuple[str, str]:
    """Do the run in this process: how it ended, and why."""
    run = task.run
    try:
        with run.claimed():
            if run.result() is None:
                _attempt(task, run)
            return DONE, ""
    except BusyError:
        return BUSY, "Another process works on it."
    except CancelledError as error:
        return STOPPED, str(error)
    except MedSegError as error:
        return FAILED, str(error)


def _attempt(task: Task, run: Run) -> None:
    """Raises MedSegError, whatever the reason was; the log has the rest."""
    run.note(RUNNING)
    try:
        run.finish(task.function(task, run))
    except CancelledError as error:  # its training was asked to stop
        run.note(WAITING, str(error))
        raise
    except Exception as error:  # the border of the process: one run's failure must not end the benchmark
        traceback.print_exc()
        failure = error if isinstance(error, MedSegError) else MedSegError(_in_words(error))
        run.note(FAILED, str(failure))
        raise failure from error


def _in_words(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}".rstrip(": ")


if __name__ == "__main__":
    sys.exit(main())
