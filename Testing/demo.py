"""The main job in one command: a DICOM series in; segments, DICOM SEG, volumes and a picture out.

Without --input it draws a thorax phantom, writes it as a DICOM series, segments it with the model that was trained on
such phantoms, and compares the result with the truth.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from MedSegDLLib.atomic import replacing
from MedSegDLLib.batch import Batch
from MedSegDLLib.bundle import Bundle
from MedSegDLLib.errors import InputError, MedSegError, ModelError
from MedSegDLLib.files import read_volume
from MedSegDLLib.models import find_model, installed_models
from MedSegDLLib.outputs import FAILED, LABELS, CaseResult, read_record
from MedSegDLLib.scene.picture import draw_overview
from MedSegDLLib.scene.run import Segmenter
from MedSegDLLib.studies import Candidate
from MedSegDLLib.volume import Volume

PHANTOM_MODEL = "thorax-phantom"
PHANTOM_SEED = 2_000_000  # neither trained on nor judged on
PHANTOM_SPACING_MM = (1.6, 1.6, 2.5)
OVERVIEW, REPORT = "overview.png", "report.md"


def main(arguments: list[str] | None = None) -> int:
    """Run the demo. Returns 0 if all went well, 1 if some series failed, 2 if nothing could be done."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except MedSegError as error:
        _complain(str(error))
        return 2


def _complain(text: str) -> None:
    print(f"demo: {text}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="Testing/run.py demo", description=__doc__, formatter_class=layout)
    parser.add_argument("--input", type=Path, help="your own study: a DICOM folder or an image file")
    parser.add_argument("--model", help=f"name or folder of a model (default without --input: {PHANTOM_MODEL})")
    parser.add_argument(
        "--output", type=Path, default=Path("medsegdl-demo"), help="folder for the results (default: %(default)s)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, ...")
    return parser


@dataclass
class Timings:
    """Seconds of each step, in the order they were taken."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str):
        print(f"{name} ...", flush=True)
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start


def _run(options: argparse.Namespace) -> int:
    bundle = find_model(_model_name(options))
    timings = Timings()
    with tempfile.TemporaryDirectory(prefix="medsegdl-demo-") as temporary, Segmenter() as segmenter:
        study, truth = options.input, None
        if study is None:
            with timings.step("Draw a phantom and write it as DICOM"):
                study, truth = _phantom_series(Path(temporary))
        batch = Batch(bundle, options.output, segmenter, options.device)
        with timings.step("Look for series and images"):
            cases, others = batch.find([study])
        for other in others:
            _complain(f"{other.name}: {other.message}")
        if not cases:
            return 2
        with timings.step("Start the worker and load the model"):
            segmenter.load(bundle, options.device)
        results = []
        for case, result in zip(cases, batch.run(cases, others)):
            _finish(options.output / case.name, case, result, bundle, truth, timings)
            results.append(result)
    failed = [result.status == FAILED for result in results]
    return 2 if all(failed) else int(any(failed))


def _model_name(options: argparse.Namespace) -> str:
    if options.input and not options.model:
        raise ModelError("A study of your own needs --model.", f"Installed: {', '.join(installed_models())}.")
    return options.model or PHANTOM_MODEL


def _phantom_series(folder: Path) -> tuple[Path, Volume]:
    """A DICOM series of a phantom, and the truth on its grid."""
    from MedSegTrainLib.data.phantom import draw_thorax
    from MedSegTrainLib.data.phantom_dicom import write_ct_series

    phantom = draw_thorax(PHANTOM_SEED, PHANTOM_SPACING_MM)
    write_ct_series(phantom.image, folder)
    return folder, phantom.truth


def _finish(folder: Path, case: Candidate, result: CaseResult, bundle: Bundle, truth: Volume | None, timings) -> None:
    """Add the picture and the report to a case's folder."""
    if result.status == FAILED:
        _complain(f"{result.name}: {result.message}")
        return
    labels = read_volume(folder / LABELS)
    own = Timings(dict(timings.seconds))
    with own.step(f"Draw the overview of {result.name}"):
        footer = f"{bundle.metadata['title']} on {result.device}"
        draw_overview(folder / OVERVIEW, case.load(), labels, bundle.spec.labels, result.name, footer)
    dice = _dice(labels, truth, bundle) if truth else {}
    text = _report(result, read_record(folder)["report"], bundle, dice, own.seconds)
    with replacing(folder / REPORT) as partial:
        partial.write_text(text, encoding="utf-8")
    print(f"\n{text}\nEverything is in {folder.resolve()}")


def _dice(labels: Volume, truth: Volume, bundle: Bundle) -> dict[str, float]:
    """Dice of each structure. The series may be stored in another orientation than the phantom was drawn in."""
    turned = truth.reoriented(labels.grid.orientation())
    if not turned.grid.agrees_with(labels.grid, tolerance_mm=0.1):
        raise InputError("The series came back on another grid than the phantom's.", "Report this as an error.")
    return {
        label.name: _overlap(labels.array == label.value, turned.array == label.value) for label in bundle.spec.labels
    }


def _overlap(found: np.ndarray, true: np.ndarray) -> float:
    total = found.sum() + true.sum()
    return float(2 * (found & true).sum() / total) if total else float("nan")


def _report(result: CaseResult, run: dict, bundle: Bundle, dice: dict[str, float], seconds: dict[str, float]) -> str:
    parts = [
        f"# {result.name}",
        f"![Three planes and the surfaces]({OVERVIEW})",
        "\n".join(f"- {line}" for line in _facts(result, run, bundle)),
        _table(("step", "seconds"), _steps(run, seconds)),
        _table(("structure", "volume (ml)", "Dice"), _structures(result, dice)),
    ]
    if dice:
        parts.append(f"Mean Dice against the phantom's truth: {np.nanmean(list(dice.values())):.3f}")
    return "\n\n".join(parts) + "\n"


def _facts(result: CaseResult, run: dict, bundle: Bundle) -> list[str]:
    facts = [
        f"Model: {bundle.name} {bundle.version}. {bundle.metadata['description']}",
        f"Use: {bundle.metadata['intended_use']}",
        f"Device: {run['device']}; network in {run['precision']}",
        f"Windows: {run['windows']}, of which {run['windows_skipped']} were air",
        f"Memory: {run['peak_memory_bytes'] / 1e9:.2f} GB at most, in the worker",
    ]
    return [*facts, f"Note: {result.message}"] if result.message else facts


def _steps(run: dict, seconds: dict[str, float]) -> list[tuple[str, str]]:
    """The demo's own steps and those of the case, as the batch and the predictor took them."""
    case = run["case_seconds"]
    rows = [*seconds.items()]
    rows[-1:-1] = [
        ("Read the image", case["read"]),
        ("Segment", case["segment"]),
        *((f"of it, {name}", value) for name, value in run["seconds"].items()),
        ("Write the results", case["write"]),
    ]
    return [(name, f"{value:.2f}") for name, value in rows]


def _structures(result: CaseResult, dice: dict[str, float]) -> list[tuple[str, ...]]:
    return [
        (name, f"{volume:.2f}", f"{dice[name]:.3f}" if dice else "no truth to compare with")
        for name, volume in result.volumes_ml.items()
    ]


def _table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """In Markdown, numbers to the right."""
    rule = ("---", *("---:" for _ in columns[1:]))
    return "\n".join(f"| {' | '.join(row)} |" for row in (columns, rule, *rows))


if __name__ == "__main__":
    sys.exit(main())
