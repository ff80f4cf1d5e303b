"""A verb that the window started ends with the window, although a launcher stands between them."""

from __future__ import annotations

import subprocess
import sys

from MedSegTrainLib.interaction.python_process import training_environment

SECONDS = 60


def start(*arguments):
    command = [sys.executable, "-m", "MedSegTrainLib.watched", *arguments]
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=training_environment(sys.executable),
    )


def test_a_verb_works_as_on_the_command_line(tmp_path):
    with start("report", str(tmp_path / "nowhere"), "--output", str(tmp_path / "report")) as process:
        errors = process.stderr.read()  # its input stays open
        assert process.wait(SECONDS) == 2 and errors.startswith(b"medseg: ")


def test_a_process_ends_with_its_input():
    code = "import time; from MedSegTrainLib.data.parent import end_with_input as end; end(); print(flush=True);"
    with subprocess.Popen(
        [sys.executable, "-c", f"{code} time.sleep({SECONDS})"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=training_environment(sys.executable),
    ) as process:
        process.stdout.readline()
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(SECONDS / 2) == 1
