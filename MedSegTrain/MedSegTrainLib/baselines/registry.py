"""The baselines by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from MedSegDLLib.errors import InputError
from MedSegDLLib.labels import Label

from . import methods
from .classical import ClassicalBaseline


@dataclass(frozen=True)
class Entry:
    """A baseline: what tables call it, where it comes from, and how it is made."""

    title: str
    source: str
    make: Callable


def _classical(method, grid) -> Callable:
    def make(labels: tuple[Label, ...], **parameters):
        return ClassicalBaseline(labels, method, grid, **parameters)

    return make


def _learned(name: str) -> Callable:
    def make(labels: tuple[Label, ...], **parameters):
        from . import learners  # scikit-learn takes a second to import

        return learners.LearnedBaseline(labels, getattr(learners, name), **parameters)

    return make


BASELINES = {
    "threshold": Entry("Thresholding", "", _classical(methods.threshold, methods.THRESHOLD)),
    "region-growing": Entry(
        "Region growing",
        "ITK's confidence-connected filter",
        _classical(methods.region_growing, methods.REGION_GROWING),
    ),
    "watershed": Entry(
        "Watershed on edges",
        "Beucher and Meyer 1993; ITK's MorphologicalWatershedFromMarkers",
        _classical(methods.watershed, methods.WATERSHED),
    ),
    "morphology": Entry("Morphology", "Serra 1982", _classical(methods.morphology, methods.MORPHOLOGY)),
    "geodesic-active-contour": Entry(
        "Geodesic active contour",
        "Caselles et al. 1997, doi:10.1023/A:1007979827043",
        _classical(methods.geodesic_active_contour, methods.GEODESIC),
    ),
    "chan-vese": Entry(
        "Level set on regions",
        "Chan and Vese 2001, doi:10.1109/83.902291, by threshold dynamics",
        _classical(methods.chan_vese, methods.CHAN_VESE),
    ),
    "random-forest": Entry("Random forest", "Breiman 2001, doi:10.1023/A:1010933404324", _learned("random_forest")),
    "svm": Entry("SVM", "Cortes and Vapnik 1995, doi:10.1007/BF00994018", _learned("support_vector_machine")),
}


def create_baseline(name: str, labels: tuple[Label, ...], **parameters) -> ClassicalBaseline:
    """A baseline that is yet to be fitted to training cases.

    Args:
        name: a key of `BASELINES`.
        labels: the structures.
        parameters: `tuning_cases` or `voxels_a_case`, `search_voxels`, and `seed`.

    Raises InputError for an unknown name, TypeError for an unknown parameter.
    """
    if name not in BASELINES:
        raise InputError(f"There is no baseline '{name}'.", f"Choose one of {', '.join(BASELINES)}.")
    return BASELINES[name].make(labels, **parameters)
