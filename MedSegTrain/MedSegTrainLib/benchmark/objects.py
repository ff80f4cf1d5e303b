"""How well a method finds single objects, where the data number them: average precision of the test cases."""

from __future__ import annotations

from collections.abc import Sequence

from MedSegDLLib.errors import ModelError

from ..data.case import Case
from ..evaluation.evaluate import Segmenter
from ..evaluation.instance_finders import InstanceFinder, InstancesOf, PiecesOf, match_cases
from ..evaluation.instances import Precision, bowl_precision, coco_precision

BOWL, COCO = "bowl", "coco"


def object_precision(segmenter: Segmenter, cases: Sequence[Case], device: str) -> dict:
    """The Data Science Bowl's and COCO's, as JSON holds them; empty where the objects of some case have no numbers.

    Args:
        device: for a network that finds instances; the others use the segmenter, on its own.
    """
    if any(case.instances is None for case in cases):
        return {}
    matches = match_cases(_finder(segmenter, device), cases)
    return {BOWL: _told(bowl_precision(matches)), COCO: _told(coco_precision(matches))}


def _finder(segmenter: Segmenter, device: str) -> InstanceFinder:
    """The network's own instances if it finds any, else the connected pieces of its labels."""
    bundle = getattr(segmenter, "bundle", None)
    if bundle is None:
        return PiecesOf(segmenter)
    try:
        return InstancesOf(bundle, device)
    except ModelError:  # it finds none; that it can be loaded was shown when the segmenter was made
        return PiecesOf(segmenter)


def _told(precision: Precision) -> dict[str, float | None]:
    return {"mean": precision.mean, "ap50": precision.ap50, "ap75": precision.ap75}
