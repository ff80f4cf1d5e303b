"""Testing/run.py: a fresh machine, a second start, an interrupted one, and no network, with a package of our own."""

from __future__ import annotations

import ast
import functools
import http.server
import os
import sys
import threading
import zipfile
from pathlib import Path

import pytest

import run

CLOSED_PORT = "http://127.0.0.1:9"


def make_wheel(folder: Path, version: str) -> None:
    information = f"tiny-{version}.dist-info"
    files = {
        "tiny.py": f"VERSION = '{version}'\n",
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in [*files, f"{information}/RECORD"])
    with zipfile.ZipFile(folder / f"tiny-{version}-py3-none-any.whl", "w") as wheel:
        for name, text in (files | {f"{information}/RECORD": record}).items():
            wheel.writestr(name, text)


def tiny_step(folder: Path, version: str = "1.0") -> run.Step:
    requirements = folder / "requirements.txt"
    requirements.write_text(f"tiny=={version}\n")
    return run.Step("tiny", ("--requirement", str(requirements)), (requirements,))


def installed_version(environment: Path) -> str:
    (module,) = environment.glob("**/site-packages/tiny.py")
    return module.read_text().split("'")[1]


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("project") / ".venv"
    run.create(folder)
    return folder


@pytest.fixture
def step(tmp_path, monkeypatch) -> run.Step:
    """A step that pip can do from a folder, without a network."""
    for version in ("1.0", "2.0"):
        make_wheel(tmp_path, version)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    return tiny_step(tmp_path)


def refuse(*_):
    raise AssertionError("this start had nothing to do")


def test_a_second_start_does_nothing(environment, step, monkeypatch):
    run.prepare(environment, (step,))
    assert installed_version(environment) == "1.0"
    monkeypatch.setattr(run, "create", refuse)
    monkeypatch.setattr(run, "install", refuse)
    run.prepare(environment, (step,))


def test_changed_requirements_are_installed(environment, step, tmp_path):
    run.prepare(environment, (step,))
    run.prepare(environment, (tiny_step(tmp_path, "2.0"),))
    assert installed_version(environment) == "2.0"


def test_an_interrupted_install_is_repaired(environment, step):
    run.prepare(environment, (step,))
    (information,) = environment.glob("**/site-packages/tiny-*.dist-info")
    (information / "RECORD").unlink()
    (information.parent / "tiny.py").unlink()
    (environment / "installed-tiny").unlink()
    run.prepare(environment, (step,))
    assert installed_version(environment) == "1.0"


def test_an_environment_without_pip_is_made_again(tmp_path, monkeypatch):
    python = run.python_of(tmp_path / ".venv")
    python.parent.mkdir(parents=True)
    python.write_text("not a program")
    made = []
    monkeypatch.setattr(run, "create", made.append)
    run.prepare(tmp_path / ".venv", ())
    assert made == [tmp_path / ".venv"]


def test_another_python_means_another_fingerprint(step):
    assert run.fingerprint(step, "3.11") != run.fingerprint(step, "3.12")


def test_a_package_that_does_not_exist_is_named(environment, step, tmp_path):
    with pytest.raises(run.SetupError, match="tiny==3.0") as failure:
        run.prepare(environment, (tiny_step(tmp_path, "3.0"),))
    assert "start again" in str(failure.value)
    assert not (environment / "installed-tiny").exists()


def test_without_a_network_one_sentence_says_so(environment, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", f"{CLOSED_PORT}/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    for variable in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    with pytest.raises(run.SetupError, match="no connection to the package index"):
        run.prepare(environment, (tiny_step(tmp_path, "3.0"),))


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(run.SetupError, match="cannot be made"):
        run.create(tmp_path / "file" / ".venv")


@pytest.fixture
def index(tmp_path):
    """A web server that has builds of torch."""
    (tmp_path / "torch").mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_cpu_builds_are_preferred_where_their_index_answers(index):
    assert run.cpu_index_options(index) == ["--extra-index-url", index]


def test_without_their_index_the_user_is_told_what_may_come(capsys):
    assert run.cpu_index_options(CLOSED_PORT) == []
    assert "gigabytes" in capsys.readouterr().out


@pytest.mark.parametrize("version", [(3, 9), (3, 10), (3, 14)])
def test_other_pythons_are_refused(version):
    with pytest.raises(run.SetupError, match=rf"This is Python {version[0]}\.{version[1]}"):
        run.check_python(version)


def test_this_python_is_taken():
    run.check_python(sys.version_info[:2])


@pytest.fixture
def prepared(monkeypatch):
    """As if the environment were ready, and this Python its own."""
    monkeypatch.setattr(run, "prepare", lambda *_: None)
    monkeypatch.setattr(run, "python_of", lambda _: sys.executable)


def test_exit_code_and_arguments_of_pytest_pass_through(prepared):
    assert run.main(["test", "--version"]) == 0
    assert run.main(["test", "--no-such-option"]) == 4


def test_demo_gets_its_arguments_our_packages_and_the_folder_of_the_user(prepared, tmp_path, monkeypatch):
    demo = "import os, sys, MedSegDLLib, MedSegTrainLib; sys.exit(7 if sys.argv[1:] == ['--input', '.'] and {} else 1)"
    (tmp_path / "demo.py").write_text(demo.format(f"os.getcwd() == {str(tmp_path)!r}"))
    monkeypatch.setattr(run, "TESTING", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert run.main(["demo", "--input", "."]) == 7


def test_a_failed_setup_ends_with_its_sentence(monkeypatch, capsys):
    def fail(*_):
        raise run.SetupError("No room left.")

    monkeypatch.setattr(run, "prepare", fail)
    assert run.main(["test"]) == 2
    assert capsys.readouterr().err == "No room left.\n"


@pytest.mark.parametrize(("arguments", "code"), [([], 2), (["--help"], 0), (["tests"], 2)])
def test_usage(arguments, code, capsys):
    assert run.main(arguments) == code
    assert "run.py demo" in capsys.readouterr().out


def test_only_the_standard_library_is_needed():
    nodes = list(ast.walk(ast.parse(Path(run.__file__).read_text())))
    modules = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    modules += [node.module for node in nodes if isinstance(node, ast.ImportFrom)]
    assert {module.split(".")[0] for module in modules} <= sys.stdlib_module_names
