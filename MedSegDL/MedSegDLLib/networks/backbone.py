"""Weights that a user has, of ImageNet say, into the backbone of a network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor, nn

_CLASSIFIER = ("fc.", "classifier.")
"""How the entries of torchvision's classifiers begin, which a segmentation network has no use for."""

_COUNTER = ".num_batches_tracked"
"""A batch norm's count of the batches it saw. Old files lack it, frozen norms too, and nothing here reads it."""


def load_backbone(network: nn.Module, state_dict: Mapping[str, Tensor]) -> None:
    """Load a backbone's weights, named as torchvision names them, into `network.backbone`.

    The classifier's entries are passed over. Where the image has another number of channels than the weights were
    trained with, the first convolution gets for each channel the sum of the trained weights over theirs, divided by the
    number of channels: an image that is the same in all channels has the same response as before.

    Either all weights are loaded or none.

    Raises:
        ValueError: the network has no backbone, or the weights are not its own: the message lists what is missing, what
            is unexpected and what has another shape.
    """
    backbone = getattr(network, "backbone", None)
    if backbone is None:
        raise ValueError(f"{type(network).__name__} has no backbone to load weights into")
    expected = _without_counters(backbone.state_dict())
    weights = {
        name: weight
        for name, weight in _without_counters(state_dict).items()
        if name in expected or not name.startswith(_CLASSIFIER)
    }
    first = next(name for name, weight in expected.items() if weight.ndim > 2)
    if first in weights:
        weights[first] = _with_channels(weights[first], expected[first].shape)

    complaints = [
        _listed("missing", (name for name in expected if name not in weights)),
        _listed("unexpected", (name for name in weights if name not in expected)),
        _listed(
            "of another shape",
            (
                f"{name} {tuple(weights[name].shape)} for {tuple(weight.shape)}"
                for name, weight in expected.items()
                if name in weights and weights[name].shape != weight.shape
            ),
        ),
    ]
    if any(complaints):
        raise ValueError(f"the weights are not this backbone's: {'; '.join(filter(None, complaints))}")
    backbone.load_state_dict(weights, strict=False)  # the counters are all that is left out


def _without_counters(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: weight for name, weight in state_dict.items() if not name.endswith(_COUNTER)}


def _with_channels(weight: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The first convolution's weight for another number of input channels, if its shape differs in nothing else."""
    if weight.shape[:1] + weight.shape[2:] != shape[:1] + shape[2:] or weight.shape == shape:
        return weight
    return (weight.sum(dim=1, keepdim=True) / shape[1]).expand(shape)


def _listed(what: str, names: Iterable[str], most: int = 10) -> str:
    """ "missing: conv1.weight, bn1.weight and 3 more", or nothing where there is nothing to list."""
    names = list(names)
    if not names:
        return ""
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{what}: {', '.join(names[:most])}{rest}"
