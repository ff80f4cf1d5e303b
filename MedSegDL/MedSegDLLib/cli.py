"""medseg: segment studies, list models, show devices."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from . import __version__
from .errors import MedSegError, ModelError

EXIT_SOME_FAILED, EXIT_ERROR, EXIT_INTERRUPTED = 1, 2, 130

_DESCRIPTION = "Segments CT, MR and PET studies with deep-learning models. No image leaves this computer."
_EPILOG = """\
examples:
  medseg models
  medseg segment /data/study --model hippocampus-mr --output /data/results
  medseg segment /inbox/monday t1.nii.gz --model hippocampus-mr --output /data/results
"""
_SEGMENT_DESCRIPTION = """\
Finds every DICOM series and image file in the inputs, segments those that the model is for, and says why not the
others.
"""
_SEGMENT_EPILOG = """\
results, in the output folder:
  results.csv                     a row for each case: status, seconds, volume of each structure
  CASE/segmentation.seg.nrrd      named and coloured segments for 3D Slicer
  CASE/segmentation.dcm           the same as DICOM SEG, if the input was DICOM
  CASE/labels.nii.gz              a labelmap; its values are those of volumes.csv
  CASE/volumes.csv                volume of each structure in ml, with its code
  CASE/case.json                  how the result came about: model, device, seconds a step
  CASE.error.txt                  details of a failure, to send with a report

The same command, started again, goes on where it was interrupted: what is done is not done again unless the model,
the options or the images changed.

exit codes:
  0  everything went well (localisers, reports and series of other modalities may have been left out)
  1  some cases failed, the others are done
  2  nothing could be segmented, or the command is wrong
  130  interrupted
"""


def main(arguments: list[str] | None = None) -> int:
    """Run a command. Returns 0 if all went well, 1 if some cases failed, 2 if nothing could be done."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # a name that the terminal's encoding lacks shall not stop a run
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except MedSegError as error:
        _complain(str(error))
        return EXIT_ERROR
    except KeyboardInterrupt:
        _complain("Interrupted. The same command goes on where it stopped.")
        return EXIT_INTERRUPTED


def _complain(text: str) -> None:
    print(f"medseg: {text}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="medseg", description=_DESCRIPTION, epilog=_EPILOG, formatter_class=layout)
    parser.add_argument("--version", action="version", version=f"medseg {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    _add_segment(
        commands.add_parser(
            "segment",
            help="segment a study, or every study in a folder",
            description=_SEGMENT_DESCRIPTION,
            epilog=_SEGMENT_EPILOG,
            formatter_class=layout,
        )
    )
    models = commands.add_parser("models", help="list the installed models: modality, structures, measured Dice")
    models.set_defaults(run=_models)
    info = commands.add_parser("info", help="show devices, versions and the folders of models")
    info.set_defaults(run=_info)
    return parser


def _add_segment(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "input",
        nargs="+",
        type=Path,
        help="folder, searched with all folders below it; or a single file: DICOM, NIfTI, NRRD, MetaImage",
    )
    parser.add_argument("--model", required=True, help="name of an installed model (see 'medseg models'), or a folder")
    parser.add_argument("--output", required=True, type=Path, help="folder for the results; made if missing")
    parser.add_argument(
        "--device", default="auto", help="cpu, cuda, cuda:1, ... (see 'medseg info'; default: a GPU if there is one)"
    )
    parser.add_argument("--threads", type=_positive, help="processor cores to use (default: all)")
    mirror_help = "average over mirrored images: steadier, several times slower"
    parser.add_argument("--mirror", action="store_true", default=None, help=mirror_help)
    parser.add_argument("--overlap", type=_share, help="share of a window that the next one covers, 0 to below 1")
    parser.add_argument("--precision", choices=("f32", "bf16"), help="of the network on a CPU (default: the model's)")
    parser.add_argument(
        "--any-modality", action="store_true", help="also take DICOM series of a modality that the model is not for"
    )
    parser.set_defaults(run=_segment)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _share(text: str) -> float:
    number = float(text)
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError("must be from 0 up to below 1")
    return number


def _segment(options: argparse.Namespace) -> int:
    from .batch import Batch
    from .models import find_model
    from .scene.run import Segmenter

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a job that is told to end leaves as tidily as by Ctrl+C
    bundle = find_model(options.model)
    names = ("overlap", "mirror", "precision", "threads")
    chosen = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    with Segmenter() as segmenter:
        batch = Batch(bundle, options.output, segmenter, options.device, chosen, options.any_modality)
        return _run(batch, options.input)


def _run(batch, inputs: list[Path]) -> int:
    from .outputs import FAILED

    cases, others = batch.find(inputs)
    if not cases:
        return _explain_nothing(others)
    for result in others:
        _show(result)
    print(f"{len(cases)} to segment with {batch.bundle.name}: {', '.join(case.name for case in cases)}", flush=True)
    results = []
    with _ProgressBar(len(cases)) as bar:
        for result in batch.run(cases, others, bar.show):
            with bar.hidden():
                _show(result)
            results.append(result)
    print(f"Results are in {batch.output}.")
    if all(result.status == FAILED for result in results):
        return EXIT_ERROR
    return EXIT_SOME_FAILED if any(result.status == FAILED for result in [*results, *others]) else 0


def _explain_nothing(others: list) -> int:
    for result in others:
        _complain(f"{result.name}: {result.message}")
    if not others:
        _complain("The input holds nothing but results of medseg. Name the folder of the images.")
    return EXIT_ERROR


class _ProgressBar:
    """Cases done, with the fraction of the present one; silent where nobody watches."""

    def __init__(self, cases: int):
        from tqdm import tqdm

        layout = "{l_bar}{bar}| {n:.2f}/{total} [{elapsed}<{remaining}]"
        self._bar = tqdm(total=cases, unit="case", disable=None, bar_format=layout)

    def __enter__(self) -> _ProgressBar:
        return self

    def __exit__(self, *_) -> None:
        self._bar.close()

    def hidden(self):
        """A context in which lines can be printed."""
        return self._bar.external_write_mode()

    def show(self, done: int, fraction: float, name: str) -> None:
        self._bar.n = done + fraction
        self._bar.set_description(name)


def _show(result) -> None:
    from .outputs import DONE, FAILED

    if result.status == FAILED:
        _complain(f"{result.name}: {result.message}")
    elif result.status == DONE:
        volumes = ", ".join(f"{name} {volume:.2f} ml" for name, volume in result.volumes_ml.items())
        when = "done before" if result.reused else f"{result.seconds:.1f} s"
        print(f"{result.name}: {volumes} ({when}). {result.message}".rstrip(), flush=True)
    else:
        print(f"{result.name}: {result.status}. {result.message}", flush=True)


def _models(options: argparse.Namespace) -> int:
    from .bundle import Bundle
    from .models import installed_models

    rows, damaged = [("MODEL", "MODALITY", "STRUCTURES", "SPACING", "SIZE", "MEAN DICE", "LICENCE")], []
    for folder in installed_models().values():
        try:
            rows.append(_model_row(Bundle.load(folder)))
        except ModelError as error:
            damaged.append(error)
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    for error in damaged:
        _complain(str(error))
    return EXIT_SOME_FAILED if damaged else 0


def _model_row(bundle) -> tuple[str, ...]:
    spec = bundle.spec
    dice = spec.results.get("mean_dice")
    return (
        bundle.name,
        "/".join(spec.modality),
        _shortened(", ".join(label.name for label in spec.labels)),
        " x ".join(f"{value:g}" for value in spec.spacing_mm) + " mm",
        f"{bundle.size_bytes / 1e6:.1f} MB",
        f"{dice:.3f} ({spec.results['cases']} cases)" if dice else "not measured",
        spec.licence,
    )


def _shortened(text: str, length: int = 60) -> str:
    return text if len(text) <= length else text[: length - 3] + "..."


def _info(options: argparse.Namespace) -> int:
    from .client import Worker
    from .models import model_folders

    with Worker() as worker:
        hello = worker.hello()
    print(f"medseg {__version__}, Python {hello['python']} ({hello['executable']}), {hello['platform']}")
    for name, version in hello["packages"].items():
        print(f"  {name} {version}")
    print("Devices:")
    for device in hello["devices"]:
        memory = f"{device['free_bytes'] / 1e9:.1f} of {device['memory_bytes'] / 1e9:.1f} GB free"
        print(f"  {device['name']}: {device['description']}, {memory}. {device['note']}".rstrip())
    print("Models are looked for in:")
    for folder in model_folders():
        print(f"  {folder}")
    return 0
