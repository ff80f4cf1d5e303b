"""The child process of a batch: medseg's command line, told to pause and to cancel through its standard input."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from ..batch_events import CANCEL, PAUSE
from ..errors import WorkerError
from ..worker_process import PYTHON_REMEDY, Transport, describe_end, worker_environment
from .batch_ports import BatchChoices
from .batch_wording import BatchWording

_LOG_TAIL = 4000


class BatchProcess:
    """Started when it is made; `close` it in the end.

    Args:
        choices: what to segment, with what, and where the results go.
        python: finds the Python that runs it.
        make_transport: a pipe to a program.

    Raises:
        WorkerError: there is no such Python, or it cannot be started.
    """

    def __init__(
        self,
        choices: BatchChoices,
        python: Callable[[], str],
        make_transport: Callable[[], Transport],
        words: BatchWording,
    ):
        program = python()
        self._temporary = tempfile.TemporaryDirectory(prefix="medseg-batch-", ignore_cleanup_errors=True)
        self._transport = make_transport()
        try:
            self._transport.start(self._command(program, choices), worker_environment(program), self._log_path)
        except OSError as error:
            self._temporary.cleanup()
            raise WorkerError(words.no_python(program), PYTHON_REMEDY, str(error)) from error

    @property
    def is_alive(self) -> bool:
        return self._transport.is_alive

    @property
    def end(self) -> str:
        """How it ended, in words."""
        return describe_end(self._transport.returncode)

    @property
    def log_tail(self) -> str:
        """The end of what it printed."""
        return self._log_path.read_bytes()[-_LOG_TAIL:].decode("utf-8", errors="replace")

    def lines(self) -> list[bytes]:
        """What it has said since; never blocks."""
        return self._transport.poll(0.0)

    def pause(self) -> None:
        """Let it stop after the present case."""
        self._transport.write(f"{PAUSE}\n".encode())

    def cancel(self) -> None:
        """Ask it to stop."""
        self._transport.write(f"{CANCEL}\n".encode())

    def kill(self) -> None:
        self._transport.kill()

    def close(self) -> None:
        """Remove what it had on the disk for itself."""
        self._temporary.cleanup()

    def _command(self, python: str, choices: BatchChoices) -> list[str]:
        command = [python, "-m", "MedSegDLLib", "segment", *map(str, choices.inputs), "--progress", "json"]
        command += ["--model", choices.model, "--output", str(choices.output), "--device", choices.device]
        if choices.files:  # there may be more of them than a command line takes
            listed = Path(self._temporary.name) / "files.txt"
            listed.write_text("\n".join(map(str, choices.files)), encoding="utf-8")
            command += ["--list", str(listed)]
        return [*command, *choices.arguments]

    @property
    def _log_path(self) -> Path:
        return Path(self._temporary.name) / "batch.log"
