"""A night's work: every study of some folders through one model, resumable, whatever happens to a single one."""

from __future__ import annotations

import hashlib
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from .atomic import replacing
from .bundle import METADATA, Bundle, sha256
from .channels import Matching
from .errors import CancelledError, InputError, MedSegError, OtherObjectError
from .labels import volumes_ml
from .outputs import (
    DONE,
    FAILED,
    LEFT_OUT,
    RESULTS,
    CaseResult,
    is_result,
    new_case,
    read_record,
    results_in,
    write_files,
    write_record,
    write_results,
)
from .scene.run import Segmenter
from .studies import Candidate, Findings, LeftOut, find_inputs, find_listed


@dataclass
class Batch:
    """Segments what it finds in the inputs.

        with Segmenter() as segmenter:
            batch = Batch(find_model("hippocampus-mr"), Path("results"), segmenter)
            for result in batch.run(*batch.find([Path("studies")])):
                print(result)

    Args:
        bundle: the model.
        output: a folder; each case gets a folder of its own in it, beside results.csv.
        segmenter: runs the model.
        device: see `Predictor`.
        options: the predictor's: overlap, mirror, precision, threads.
        any_modality: also take series whose DICOM modality is not the model's.
        channels: for a model of several channels, patterns that tell its images apart; see `channels.Matching`.
        keep_largest: see `Segmenter.label`.
    """

    bundle: Bundle
    output: Path
    segmenter: Segmenter
    device: str = "auto"
    options: dict = field(default_factory=dict)
    any_modality: bool = False
    channels: dict[str, str] = field(default_factory=dict)
    keep_largest: bool | None = None

    def find(self, inputs: Iterable[Path], listed: Iterable[Path] = ()) -> tuple[list[Candidate], list[CaseResult]]:
        """The cases to segment, and a row for everything that is not one, with the reason.

        What medseg wrote itself is passed over, so that the output may lie in an input.

        Args:
            inputs: folders and files; each is searched by itself.
            listed: files that were chosen one by one, such as those of some series in a database.

        Raises:
            InputError: a pattern is for a channel that the model does not have.
        """
        matching = Matching(self.bundle.spec, self.channels, self.any_modality)
        findings = [_findings(Path(path).absolute()) for path in inputs]
        if listed := list(listed):
            findings.append(_listed_findings(listed))
        candidates = [case for found in findings for case in found.candidates if not is_result(case.source)]
        left_out = [item for found in findings for item in found.left_out if not is_result(item.source)]
        candidates = _without_repeated(candidates)
        several = len(self.bundle.spec.channels) > 1
        taken, unfit = matching.cases(candidates) if several else self._of_modality(candidates)
        return self._told_apart(taken), [_left_out_row(item) for item in [*left_out, *unfit]]

    def run(
        self,
        cases: list[Candidate],
        others: Iterable[CaseResult] = (),
        progress: Callable[[int, float, str], None] = lambda *_: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Iterator[CaseResult]:
        """Segment the cases; each result comes when its files and its row in results.csv are on the disk.

        Results of an earlier run of the same model on the same data come at once. The table also has the rows
        `others`, and those of further cases in the output folder.

        Args:
            progress: called with (cases done, fraction of the present case, its name).
            cancelled: called before each case and twenty times a second while the model works; when it returns True the
                run ends, and the present case is left for the next one.

        Raises:
            CancelledError: `cancelled` said so.
            ModelError, DeviceError: the model cannot be used at all.
            OutputError: results.csv cannot be written.
        """
        results = {case.name: self._earlier(case) for case in cases}
        if None in results.values():
            self.segmenter.load(self.bundle, self.device, cancelled, **self.options)
        elsewhere = [result for result in results_in(self.output) if result.name not in results]
        rest = [*others, *elsewhere]
        self._write_table(results, rest)
        for number, case in enumerate(cases):
            progress(number, 0.0, case.name)
            if results[case.name] is None:
                if cancelled():
                    raise CancelledError("The batch was stopped.", "The same batch goes on from there.")
                results[case.name] = self._attempt(case, _fraction_of_case(progress, number, case.name), cancelled)
                self._write_table(results, rest)
            yield results[case.name]
        progress(len(cases), 0.0, "")

    def _attempt(self, case: Candidate, progress, cancelled) -> CaseResult:
        """Segment one case; what goes wrong with it is its own affair."""
        start = time.perf_counter()
        details_path = self.output / f"{case.name}.error.txt"
        details_path.unlink(missing_ok=True)  # of an earlier run
        try:
            return self._segment(case, progress, cancelled)
        except CancelledError:
            raise
        except MedSegError as error:
            failure = error
        except Exception as error:  # the border of a case: what is wrong with it shall not stop the night's work
            failure = _unforeseen(error)
        message = str(failure)
        if failure.details:
            with replacing(details_path) as path:
                path.write_text(failure.details, encoding="utf-8", errors="backslashreplace")
            message += f" Details: {details_path.name}"
        return CaseResult(case.name, str(case.source), FAILED, message, time.perf_counter() - start)

    def _segment(self, case: Candidate, progress, cancelled) -> CaseResult:
        identity = self._identity(case)
        seconds = {}
        with _timed(seconds, "read"):
            images = case.load_images()
        with _timed(seconds, "segment"):
            segmented = self.segmenter.label(
                images, self.bundle, self.device, progress, cancelled, keep_largest=self.keep_largest, **self.options
            )
        labels, report = segmented.labels, segmented.report
        volumes = volumes_ml(labels.array, self.bundle.spec.labels, labels.grid.voxel_volume_ml)
        message = " ".join([*report["notes"], *_not_found(volumes)])
        with new_case(self.output / case.name) as folder:
            with _timed(seconds, "write"):
                write_files(folder, case, images[0], labels, self.bundle)
            total = sum(seconds.values())
            result = CaseResult(case.name, str(case.source), DONE, message, total, report["device"], volumes)
            write_record(folder, result, identity, report | {"case_seconds": seconds})
        return result

    def _earlier(self, case: Candidate) -> CaseResult | None:
        """The result of an earlier run of the same model on the same data, if it is there and whole."""
        record = read_record(self.output / case.name)
        if not record or record["identity"] != self._identity(case):
            return None
        return CaseResult(**record["result"] | {"reused": True})

    def _identity(self, case: Candidate) -> dict:
        """What a result depends on: the model, its options, and the files it was made from."""
        options = self.options if self.keep_largest is None else {**self.options, "keep_largest": self.keep_largest}
        model = {"name": self.bundle.name, "metadata": sha256(self.bundle.folder / METADATA), "options": options}
        return {"model": model, "input": _fingerprint(case)}

    def _of_modality(self, candidates: list[Candidate]) -> tuple[list[Candidate], list[LeftOut]]:
        """Those that the model is for, and why not the others."""
        judged = [(case, self._other_modality(case)) for case in candidates]
        left_out = [LeftOut(case.name, case.source, reason) for case, reason in judged if reason]
        return [case for case, reason in judged if not reason], left_out

    def _other_modality(self, case: Candidate) -> InputError | None:
        wanted = self.bundle.spec.modality
        if self.any_modality or not case.modality or case.modality in wanted:
            return None
        return OtherObjectError(
            f"The model '{self.bundle.name}' is for {' or '.join(wanted)}, this series is {case.modality}.",
            "Choose another model, or allow it with --any-modality.",
        )

    def _told_apart(self, cases: list[Candidate]) -> list[Candidate]:
        """By names under which no case takes the folder of another one, of this run or an earlier one."""
        counts = Counter(case.name.casefold() for case in cases)
        shared = [counts[case.name.casefold()] > 1 or self._is_taken(case) for case in cases]
        named = [_with_tail(case) if is_shared else case for case, is_shared in zip(cases, shared)]
        return sorted(named, key=lambda case: case.name)

    def _is_taken(self, case: Candidate) -> bool:
        """Whether the output folder has a result of another image under this name."""
        record = read_record(self.output / case.name)
        if not record:
            return False
        earlier, now = record["identity"]["input"], _fingerprint(case)
        same_place = case.series or record["result"]["source"] == str(case.source)
        return earlier != now and not (earlier["key"] == now["key"] and same_place)

    def _write_table(self, results: dict[str, CaseResult | None], rest: list[CaseResult]) -> None:
        structures = [label.name for label in self.bundle.spec.labels]
        write_results(self.output / RESULTS, [*filter(None, results.values()), *rest], structures)


def _findings(path: Path) -> Findings:
    """What an input holds; one that holds nothing is left out as a whole."""
    try:
        return find_inputs(path)
    except InputError as reason:
        return Findings((), (LeftOut(path.name, path, reason),))


def _listed_findings(files: list[Path]) -> Findings:
    try:
        return find_listed(files)
    except InputError as reason:
        return Findings((), (LeftOut(Path(files[0]).parent.name, Path(files[0]).parent, reason),))


def _fingerprint(case: Candidate) -> dict:
    """Which image it is, and the state of its files."""
    try:
        stamps = [path.stat() for path in case.files]
    except OSError:
        stamps = []  # moved away meanwhile: reading it will say so
    return {
        "key": "\n".join(image.key for image in case.images),
        "files": len(stamps),
        "bytes": sum(stamp.st_size for stamp in stamps),
        "newest_ns": max((stamp.st_mtime_ns for stamp in stamps), default=0),
    }


def _without_repeated(cases: list[Candidate]) -> list[Candidate]:
    """The cases, once each, where one input lies in another."""
    return list({case.files[0].resolve(): case for case in cases}.values())


def _with_tail(case: Candidate) -> Candidate:
    """The case under a name that stays its own: a running number would move to another study when one is added."""
    own = case.key if case.series else str(case.source.resolve())
    return replace(case, name=f"{case.name}-{hashlib.sha256(own.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}")


def _left_out_row(item: LeftOut) -> CaseResult:
    """A localiser or a report beside the images is nothing to worry about; an unusable series is a failure."""
    status = LEFT_OUT if isinstance(item.reason, OtherObjectError) else FAILED
    return CaseResult(item.name, str(item.source), status, str(item.reason))


def _not_found(volumes: dict[str, float]) -> list[str]:
    missing = [name for name, volume in volumes.items() if volume == 0]
    return [f"Not found: {', '.join(missing)}. The image may not reach there."] if missing else []


def _unforeseen(error: Exception) -> MedSegError:
    return MedSegError(
        f"An error that nobody foresaw: {type(error).__name__}: {error}.",
        "Report it with the details.",
        "".join(traceback.format_exception(error)),
    )


def _fraction_of_case(progress, number: int, name: str):
    return lambda done, total, _: progress(number, done / max(total, 1), name)


@contextmanager
def _timed(seconds: dict[str, float], step: str):
    start = time.perf_counter()
    yield
    seconds[step] = time.perf_counter() - start
