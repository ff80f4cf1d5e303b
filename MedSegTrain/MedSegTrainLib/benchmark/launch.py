"""Starts the process of a run, waits for it, and says how it ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import MedSegDLLib
from MedSegDLLib.atomic import output_errors
from MedSegDLLib.errors import OutputError

from .task import FAILED, OUTCOMES, Outcome, Task

_PACKAGES = [str(Path(__file__).resolve().parents[2]), str(Path(MedSegDLLib.__file__).resolve().parents[1])]


def launch(task: Task, environment: dict[str, str] | None = None) -> Outcome:
    """Do a run in a process of its own: torch's state and memory end with it, and so does what it breaks.

    Args:
        environment: variables beside this process's own.
    """
    run, start = task.run, time.monotonic()
    try:
        code, answer = _process(task, environment or {})
    except OutputError as error:
        return Outcome(run.name, FAILED, str(error))
    if answer is None:
        reason = _silent_end(code)
        try:
            run.note_if_unclaimed(FAILED, reason)
        except OutputError as error:
            reason = f"{reason} {error}"
        answer = FAILED, reason
    return Outcome(run.name, *answer, time.monotonic() - start)


def _process(task: Task, environment: dict[str, str]) -> tuple[int, tuple[str, str] | None]:
    """Exit code, and the outcome and its reason if the process told one."""
    log = task.run.log
    with output_errors(log):
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "ab") as file, _started(task, file, environment) as process:
            with suppress(BrokenPipeError):  # it ended at once; its exit code says so
                process.stdin.write(f"{task.to_json()}\n".encode())
                process.stdin.flush()
            answer = process.stdout.read()  # its input stays open until its output ends: see child.py
            return process.wait(), _parsed(answer)


def _started(task: Task, log, environment: dict[str, str]) -> subprocess.Popen:
    threads = {name: str(task.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")} if task.threads else {}
    path = os.pathsep.join([*_PACKAGES, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    return subprocess.Popen(
        [sys.executable, "-m", f"{__package__}.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        env={**os.environ, "PYTHONPATH": path, **threads, **environment},
        start_new_session=True,  # Ctrl+C reaches this process alone, which closes the other's input
    )


def _parsed(answer: bytes) -> tuple[str, str] | None:
    try:
        told = json.loads(answer)
        return (told["outcome"], told["reason"]) if told["outcome"] in OUTCOMES else None
    except (ValueError, KeyError, TypeError):
        return None


def _silent_end(code: int) -> str:
    if code < 0:
        return f"Its process was ended by signal {-code} (9 is often a lack of memory). The next call goes on there."
    return f"Its process ended with exit code {code} and gave no reason; its log may."
