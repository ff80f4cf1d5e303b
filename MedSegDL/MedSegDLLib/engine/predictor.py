"""From a volume to labels on the volume's own grid: what every user of a model runs, and every benchmark measures."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ..bundle import ONE_IMAGE, Bundle, Specification
from ..demand import MemoryPlan
from ..errors import InputError, ModelError
from ..volume import Grid, Volume, as_volumes
from .alignment import covers
from .devices import choose
from .postprocessing import bounding_box
from .postprocessing import keep_largest as keep_largest_pieces
from .preprocessing import check_images, normalise, prepare
from .report import MemoryUse, Report, peak_memory_bytes
from .runtime import make_runtime
from .windows import SlidingWindow

Region = tuple[slice, slice, slice]
Progress = Callable[[int, int, str], None]

_CONTEXT = 0.25  # of a window: how far around a region the network may look


class Predictor:
    """A model, loaded on a device.

    Args:
        bundle: the model.
        device: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", ...
        overlap, mirror, precision: override what the bundle's `inference` says.
        threads: processor cores to use; None for all.
        coarse: finds the bundle that a coarse-to-fine model names; see `Bundle.spec.coarse`.

    After `segment`, `report` says what it took. Raises ModelError or DeviceError.
    """

    def __init__(
        self,
        bundle: Bundle,
        device: str = "auto",
        *,
        overlap: float | None = None,
        mirror: bool | None = None,
        precision: str | None = None,
        threads: int | None = None,
        coarse: Callable[[str], Bundle] | None = None,
    ):
        bundle.verify()
        changes = {"overlap": overlap, "mirror": mirror, "cpu_precision": precision}
        self._inference = replace(
            bundle.spec.inference, **{name: value for name, value in changes.items() if value is not None}
        )
        self.bundle = bundle
        self._device = choose(device)
        self.messages = [self._device.note] if self._device.note and device == "auto" else []
        self._runtime = make_runtime(bundle, self._device, self._inference.cpu_precision, threads)
        self._coarse = self._coarse_predictor(coarse, device, threads)
        self.report = self._new_report()

    @property
    def device(self) -> str:
        """The device in words."""
        return f"{self._device.name}: {self._device.description}"

    def memory_use(self) -> MemoryUse:
        """What this process occupies of the device's memory now."""
        return MemoryUse.of(self._device.name)

    def segment(
        self,
        volumes: Volume | Sequence[Volume],
        region: Region | None = None,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
        keep_largest: bool | None = None,
    ) -> Volume:
        """Label every voxel of a volume, or of a region of it.

        Args:
            volumes: any geometry; for a model of several channels one volume for each, in their order. The labels come
                on the grid of the first, uint8, values of the bundle's labels.
            region: slices (k, j, i) with start and stop; outside it everything is background.
            progress: called with (windows done, windows in all, what is being done).
            cancelled: asked before each window.
            keep_largest: whether only the largest connected piece of each structure stays; None: as the bundle says.

        Raises InputError, DeviceError (memory), CancelledError.
        """
        self.report = self._new_report()
        with self.report.step("check"):
            volumes = as_volumes(volumes)
            check_images(volumes, self.bundle.spec)
            _check_region(volumes[0].grid, region)
        self._note_what_is_not_covered(volumes)
        if region is None and self._coarse:
            region = self._find_region(volumes, progress, cancelled)
        labels = np.zeros(volumes[0].array.shape, dtype=np.uint8)
        if region is None:
            self._label(volumes, labels, progress, cancelled)
        else:
            self._label_region(volumes, region, labels, progress, cancelled)
        if self._inference.largest_only if keep_largest is None else keep_largest:
            with self.report.step("clean up"):
                keep_largest_pieces(labels)
        self.report.peak_memory_bytes = peak_memory_bytes()
        return replace(volumes[0], array=labels)

    def _label(self, volumes: tuple[Volume, ...], labels: np.ndarray, progress, cancelled) -> None:
        """Write the labels of the whole first volume into `labels`, an array of its shape."""
        spec = self.bundle.spec
        first, *others = (volume.grid for volume in volumes)
        if self._device.name == "cpu":
            MemoryPlan.of(first, spec, others).check(self._free_bytes())
        with self.report.step("prepare"):
            prepared = prepare(volumes, spec).array
        turned = first.steps_to(spec.orientation).apply(labels)
        upsampler = self._runtime.upsampler(prepared.shape[1:], turned, spec.class_values)
        windows = SlidingWindow(
            self._runtime, spec.patch_kji, self._inference.overlap, self._inference.mirrored_kji, _air_level(spec)
        )
        start = time.perf_counter()
        for layers in windows.layers(prepared, progress, cancelled):
            self.report.add("windows", time.perf_counter() - start)
            with self.report.step("labels"):
                upsampler.push(layers)
            del layers  # else they would lie in memory beside the next ones
            start = time.perf_counter()
        self.report.windows += windows.windows
        self.report.windows_skipped += windows.skipped

    def _label_region(self, volumes: tuple[Volume, ...], region: Region, labels, progress, cancelled) -> None:
        """Segment the region with some context around it, and keep what lies inside."""
        grid = volumes[0].grid
        margin_mm = _CONTEXT * np.array(self.bundle.spec.patch) * self.bundle.spec.spacing_mm
        seen = _grown(region, grid, float(margin_mm.max()))
        parts = tuple(volume.cropped(seen) if volume.grid.agrees_with(grid) else volume for volume in volumes)
        found = np.zeros(parts[0].array.shape, dtype=np.uint8)
        self._label(parts, found, progress, cancelled)
        inside = tuple(slice(r.start - s.start, r.stop - s.start) for r, s in zip(region, seen))
        labels[region] = found[inside]

    def _find_region(self, volumes: tuple[Volume, ...], progress, cancelled) -> Region | None:
        """The box of what the coarse model found, or the whole volume if it found nothing."""
        coarse, rule = self._coarse, self.bundle.spec.coarse
        with self.report.step("coarse"):
            volumes = volumes[: len(coarse.bundle.spec.channels)]
            found = coarse.segment(volumes, None, progress and _named(progress, "Looking for it"), cancelled).array
            box = bounding_box(np.isin(found, rule.values) if rule.values else found > 0)
        if box is None:
            self.report.notes.append(f"The quick model '{rule.model}' found nothing: the whole volume was segmented.")
            return None
        return _grown(box, volumes[0].grid, rule.margin_mm)

    def _coarse_predictor(self, find, device: str, threads: int | None) -> Predictor | None:
        rule = self.bundle.spec.coarse
        if rule is None:
            return None
        from ..models import find_model

        quick = (find or find_model)(rule.model)
        _check_sees_the_same(quick, self.bundle)
        return Predictor(quick, device, threads=threads)

    def _note_what_is_not_covered(self, volumes: tuple[Volume, ...]) -> None:
        for name, volume in zip(self.bundle.spec.channels[1:], volumes[1:]):
            if not covers(volume.grid, volumes[0].grid):
                self.report.notes.append(
                    f"The image for '{name}' does not reach everywhere: beyond it, it counts as its lowest value."
                )

    def _new_report(self) -> Report:
        report = Report(self.bundle.name, self.device, self._runtime.precision)
        if self._runtime.precision == "f32" and self._inference.cpu_precision == "bf16":
            report.notes.append("This processor has no bf16; the network runs in fp32, which is slower.")
        return report

    def _free_bytes(self) -> int:
        import psutil

        return psutil.virtual_memory().available


def _air_level(spec: Specification) -> float | None:
    """The bundle's air threshold after normalisation, rounded as the image's voxels are."""
    if spec.inference.air_below is None:
        return None
    level = np.array([spec.inference.air_below], dtype=np.float32)
    normalise(level, spec.intensities[0])
    return float(level[0])


def _check_sees_the_same(quick: Bundle, model: Bundle) -> None:
    """The quick model gets the first of the model's images: raise ModelError where it wants others."""
    wanted = quick.spec.channels
    if wanted not in (ONE_IMAGE, model.spec.channels[: len(wanted)]):
        raise ModelError(
            f"The quick model '{quick.name}' sees {', '.join(wanted)}, and '{model.name}' begins with other images: "
            f"{', '.join(model.spec.channels)}.",
            "Install matching versions of both.",
        )


def _check_region(grid: Grid, region: Region | None) -> None:
    if region is None:
        return
    inside = (0 <= bounds.start < bounds.stop <= size for size, bounds in zip(grid.shape, region))
    if len(region) != 3 or not all(inside):
        raise InputError(
            f"The region {[[s.start, s.stop] for s in region]} reaches outside the volume {list(grid.shape)}, "
            "or is empty.",
            "Choose a region inside the volume.",
        )


def _grown(region: Region, grid: Grid, margin_mm: float) -> Region:
    """The region with a margin on every side, as far as the grid reaches."""
    margins = np.ceil(margin_mm / grid.spacing_mm[::-1]).astype(int)
    return tuple(
        slice(max(0, s.start - int(margin)), min(size, s.stop + int(margin)))
        for s, margin, size in zip(region, margins, grid.shape)
    )


def _named(progress: Progress, message: str) -> Progress:
    return lambda done, total, _: progress(done, total, message)
