"""medseg: segment studies, list models and networks, show devices."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

from . import __version__
from .errors import InputError, MedSegError, ModelError

COMMANDS = "medsegdl.commands"
"""Entry points of other packages: a function that adds its commands to the sub-commands of a parser."""

EXIT_SOME_FAILED, EXIT_ERROR, EXIT_INTERRUPTED, EXIT_UNREAD = 1, 2, 130, 141

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

models that take several images at once (channels; 'medseg models' names them):
  DICOM         the series of one study, matched by modality, or by the channel's name in the series description
  image files   CASE_0000, CASE_0001 as nnU-Net numbers them; CASE_NAME with the channel's name; or CASE/NAME
  --channel     where that does not tell them apart: a pattern for the series description or the file name

The same command, started again, goes on where it was interrupted: what is done is not done again unless the model,
the options or the images changed.

exit codes:
  0  everything went well (localisers, reports and series of other modalities may have been left out)
  1  some cases failed, the others are done
  2  nothing could be segmented, or the command is wrong
  130  interrupted
  141  nobody reads what it says any more, as after '| head'
"""


def main(arguments: list[str] | None = None) -> int:
    """Run a command. Returns 0 if all went well, 1 if some cases failed, 2 if nothing could be done."""
    return obey(_parser(), arguments)


def obey(parser: argparse.ArgumentParser, arguments: list[str] | None) -> int:
    """Do what `run` of the parsed options does, and say in a sentence what went wrong. Returns the exit code."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.reconfigure(errors="backslashreplace")  # a name that the terminal's encoding lacks shall not stop a run
    options = parser.parse_args(arguments)
    try:
        code = options.run(options)
        print(end="", flush=True)  # here, and not after all, where nobody notices that it was not read
        return code
    except MedSegError as error:
        _complain(str(error))
        return EXIT_ERROR
    except KeyboardInterrupt:
        _complain("Interrupted. The same command goes on where it stopped.")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        if _is_read():
            raise
        return EXIT_UNREAD


def _is_read() -> bool:
    """False where nobody reads what is printed any more, as after '| head'; the rest of it is then thrown away."""
    try:
        print(flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True


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
    _add_models(commands.add_parser("models", help="list the installed models; install and remove them"))
    networks = commands.add_parser("networks", help="list the networks that can be trained: paper, parameters, cost")
    networks.add_argument("--markdown", action="store_true", help="as the table of the README")
    networks.set_defaults(run=_networks)
    info = commands.add_parser("info", help="show devices, versions and the folders of models")
    info.set_defaults(run=_info)
    for installed in entry_points(group=COMMANDS):  # MedSegTrain's, which this package does not know
        installed.load()(commands)
    return parser


def _add_segment(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "input",
        nargs="*",
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
    keep_help = "of each structure only the largest connected piece, or all of them (default: as the model says)"
    parser.add_argument("--keep-largest", action=argparse.BooleanOptionalAction, default=None, help=keep_help)
    parser.add_argument("--overlap", type=_share, help="share of a window that the next one covers, 0 to below 1")
    parser.add_argument("--precision", choices=("f32", "bf16"), help="of the network on a CPU (default: the model's)")
    parser.add_argument(
        "--any-modality", action="store_true", help="also take DICOM series of a modality that the model is not for"
    )
    channel_help = (
        "which image is a model's channel, where its name does not say; once for each channel, such as 'T1=*mprage*'"
    )
    parser.add_argument(
        "--channel", type=_channel, metavar="NAME=PATTERN", action="append", default=[], help=channel_help
    )
    parser.add_argument(
        "--list", type=Path, metavar="FILE", help="text file with further image files, one a line, taken as they are"
    )
    progress_help = "how to tell of it: for people, or a JSON object a line (then 'pause' and 'cancel' are read)"
    parser.add_argument("--progress", choices=("text", "json"), default="text", help=progress_help)
    parser.set_defaults(run=_segment)


def _add_models(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_models)
    commands = parser.add_subparsers(metavar="COMMAND", title="commands (without one: list the installed models)")
    install = commands.add_parser("install", help="install a model from its folder, its zip, or the zip's address")
    install.add_argument("source", metavar="PATH_OR_URL")
    install.add_argument("--sha256", default="", help="checksum of the zip")
    install.add_argument("--accept-licence", action="store_true", help="do not ask whether its licence is accepted")
    install.add_argument("--replace", action="store_true", help="replace a model of the same name")
    install.set_defaults(run=_install)
    remove = commands.add_parser("remove", help="delete a model that you installed")
    remove.add_argument("name")
    remove.set_defaults(run=_remove)


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


def _channel(text: str) -> tuple[str, str]:
    name, equals, pattern = text.partition("=")
    if not (name and equals and pattern):
        raise argparse.ArgumentTypeError("must be NAME=PATTERN")
    return name, pattern


def _segment(options: argparse.Namespace) -> int:
    from .scene.standalone import complete_slicer

    complete_slicer()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a job that is told to end leaves as tidily as by Ctrl+C
    if options.progress == "text":
        return _segment_all(options, _Console(), lambda: False)
    from .batch_events import Commands, JsonLines, claimed_streams

    commands, events = claimed_streams()
    report = JsonLines(events)
    try:
        return _segment_all(options, report, Commands(commands).is_pausing)
    except MedSegError as error:
        report.failed(error)
        raise


def _segment_all(options: argparse.Namespace, report, is_pausing: Callable[[], bool]) -> int:
    from .batch import Batch
    from .models import find_model
    from .scene.run import Segmenter

    bundle = find_model(options.model)
    names = ("overlap", "mirror", "precision", "threads")
    chosen = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    with Segmenter() as segmenter:
        batch = Batch(
            bundle,
            options.output,
            segmenter,
            options.device,
            chosen,
            options.any_modality,
            channels=dict(options.channel),
            keep_largest=options.keep_largest,
        )
        return _run(batch, options.input, _listed(options), report, is_pausing)


def _listed(options: argparse.Namespace) -> list[Path]:
    """The files that are named in --list; somebody must name something."""
    try:
        lines = options.list.read_text(encoding="utf-8").splitlines() if options.list else []
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The list {options.list} cannot be read.", "Check the path.", str(error)) from error
    if not lines and not options.input:
        raise InputError("Nothing was named to segment.", "Name a folder or a file.")
    return [Path(line) for line in lines if line.strip()]


def _run(batch, inputs: list[Path], listed: list[Path], report, is_pausing: Callable[[], bool]) -> int:
    from .interruption import Interruption
    from .outputs import FAILED

    cases, others = batch.find(inputs, listed)
    report.found(batch.bundle.name, cases, others)
    if not cases:
        return EXIT_ERROR
    results = []
    with report, Interruption() as interruption:
        for result in batch.run(cases, others, report.progress, interruption.check):
            report.result(result)
            results.append(result)
            if is_pausing():
                break
    report.finished(batch.output, len(results) == len(cases))
    if all(result.status == FAILED for result in results):
        return EXIT_ERROR
    return EXIT_SOME_FAILED if any(result.status == FAILED for result in [*results, *others]) else 0


class _Console:
    """Tells people of a batch: lines, and a bar where somebody watches."""

    def __enter__(self) -> _Console:
        return self

    def __exit__(self, *_) -> None:
        self._bar.close()

    def found(self, model: str, cases: list, others: list) -> None:
        if not cases:
            _explain_nothing(others)
            return
        for result in others:
            _show(result)
        print(f"{len(cases)} to segment with {model}: {', '.join(case.name for case in cases)}", flush=True)
        self._bar = _ProgressBar(len(cases))

    def progress(self, done: int, fraction: float, name: str) -> None:
        self._bar.show(done, fraction, name)

    def result(self, result) -> None:
        with self._bar.hidden():
            _show(result)

    def finished(self, output: Path, complete: bool) -> None:
        print(f"Results are in {output}.")


def _explain_nothing(others: list) -> None:
    for result in others:
        _complain(f"{result.name}: {result.message}")
    if not others:
        _complain("The input holds nothing but results of medseg. Name the folder of the images.")


class _ProgressBar:
    """Cases done, with the fraction of the present one; silent where nobody watches."""

    def __init__(self, cases: int):
        from tqdm import tqdm

        layout = "{l_bar}{bar}| {n:.2f}/{total} [{elapsed}<{remaining}]"
        self._bar = tqdm(total=cases, unit="case", disable=None, bar_format=layout)

    def close(self) -> None:
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
    _print_columns(rows)
    for error in damaged:
        _complain(str(error))
    return EXIT_SOME_FAILED if damaged else 0


def _install(options: argparse.Namespace) -> int:
    from .model_store import ModelStore

    with _ByteBar() as bar:
        staged = ModelStore().stage(options.source, options.sha256, bar.show)
    with staged:
        if not options.accept_licence and not _accepts(staged):
            _complain("Nothing was installed: its licence was not accepted.")
            return EXIT_ERROR
        print(f"Installed {staged.name} in {staged.install(options.replace)}.")
    return 0


class _ByteBar:
    """Bytes copied or downloaded; silent where nobody watches."""

    def __init__(self):
        from tqdm import tqdm

        self._bar = tqdm(unit="B", unit_scale=True, disable=None, leave=False)

    def __enter__(self) -> _ByteBar:
        return self

    def __exit__(self, *_) -> None:
        self._bar.close()

    def show(self, done: int, total: int, what: str) -> None:
        self._bar.total = total or None
        self._bar.set_description(what, refresh=False)
        self._bar.update(done - self._bar.n)


def _accepts(staged) -> bool:
    """Ask where somebody can answer."""
    print(staged.licence_text or f"{staged.name} brings no text of its licence.")
    if not sys.stdin.isatty():
        _complain("If you accept this licence, add --accept-licence.")
        return False
    return input(f"Accept the licence {staged.licence} of {staged.name}? [y/N] ").strip().lower() in ("y", "yes")


def _remove(options: argparse.Namespace) -> int:
    from .model_store import ModelStore

    ModelStore().remove(options.name)
    print(f"Removed {options.name}.")
    return 0


def _print_columns(rows: list[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def _model_row(bundle) -> tuple[str, ...]:
    spec = bundle.spec
    dice = spec.results.get("mean_dice")
    return (
        bundle.name,
        _modalities(spec),
        _shortened(", ".join(label.name for label in spec.labels)),
        " x ".join(f"{value:g}" for value in spec.spacing_mm) + " mm",
        f"{bundle.size_bytes / 1e6:.1f} MB",
        f"{dice:.3f} ({spec.results['cases']} cases)" if dice else "not measured",
        spec.licence,
    )


def _modalities(spec) -> str:
    """Those that the image may have; of a model that takes several images, each with its name."""
    if len(spec.channels) == 1:
        return "/".join(spec.modality)
    named = zip(spec.channels, spec.channel_modalities)
    return " + ".join("/".join(dict.fromkeys((channel, *modalities))) for channel, modalities in named)


def _shortened(text: str, length: int = 60) -> str:
    return text if len(text) <= length else text[: length - 3] + "..."


def _networks(options: argparse.Namespace) -> int:
    try:
        from .networks import catalog
    except ImportError as error:
        raise MedSegError(
            "Networks need PyTorch, which is not installed.", "Install it: pip install torch monai.", str(error)
        ) from error
    if options.markdown:
        print(catalog.markdown())
    else:
        _print_columns(catalog.table())
    return 0


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
