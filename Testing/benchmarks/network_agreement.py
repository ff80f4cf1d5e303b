"""Is our network the peer's? The same weights in both, the same image, and their logits side by side.

No names are compared. The modules that hold weights are noted in the order in which a forward call reaches them, and
paired in that order, each with the next of the same shape. Wrong pairs would not agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

_HYPERPARAMETERS = (
    *("kernel_size", "stride", "padding", "output_padding", "dilation", "groups", "padding_mode"),
    *("eps", "momentum", "num_groups"),
)
_MANY = 500  # weights, from which on their standard deviation says how they were drawn
_SAME_SPREAD = 0.1  # relative difference of two standard deviations that chance explains
_COUNTER = "num_batches_tracked"


@dataclass
class Agreement:
    """What the comparison found.

    Attributes:
        difference: the largest absolute difference of the logits, relative to their standard deviation within a class.
        parameters: how many weights the two share.
        notes: other differences, such as of a norm's epsilon or of the initial weights.
    """

    difference: float
    parameters: int
    notes: list[str] = field(default_factory=list)


class CannotPair(Exception):
    """The two networks do not hold the same weights; the text names the first that differs."""


def agreement(ours: nn.Module, theirs: nn.Module, image: Tensor) -> Agreement:
    """Changes the weights of both. Raises CannotPair."""
    pairs = _pairs(ours.eval(), theirs.eval(), image)
    notes = [*_hyperparameters(pairs), *_dropouts(ours, theirs), *_initial_weights(pairs)]
    torch.manual_seed(1)
    _draw_weights(theirs, (their_module for _, their_module in pairs), image)
    for our_module, their_module in pairs:
        _copy(their_module, our_module)
    with torch.inference_mode():
        our_logits, their_logits = ours(image), theirs(image)
    across_image = (0, *range(2, their_logits.ndim))
    scale = (their_logits - their_logits.mean(across_image, keepdim=True)).std()
    difference = (our_logits - their_logits).abs().max() / scale
    shared = sum(p.numel() for module, _ in pairs for p in module.parameters(recurse=False))
    return Agreement(difference.item(), shared, notes)


def together(parts: list[Agreement]) -> Agreement:
    """Of a network that can only be compared part by part."""
    notes = [note for part in parts for note in part.notes]
    return Agreement(max(part.difference for part in parts), sum(part.parameters for part in parts), notes)


def _pairs(ours: nn.Module, theirs: nn.Module, image: Tensor) -> list[tuple[nn.Module, nn.Module]]:
    """Modules that hold the same weights, ours and theirs."""
    our_holders, their_holders = _holders(ours, image), _holders(theirs, image)
    pairs = []
    for name in their_holders.keys() - our_holders.keys():
        reached_otherwise = dict(ours.named_modules()).get(name)
        if reached_otherwise is not None and _shapes(reached_otherwise) == _shapes(their_holders[name]):
            pairs.append((reached_otherwise, their_holders.pop(name)))
    waiting = _units(their_holders)
    for unit in _units(our_holders):
        found = next((each for each in waiting if _described(each) == _described(unit)), None)
        if found is None:
            others = _described(waiting[0]) if waiting else "nothing"
            raise CannotPair(f"ours has {_described(unit)}, the peer {others}")
        waiting.remove(found)
        pairs += zip(unit, found)
    if waiting:
        raise CannotPair(f"only the peer has {_described(waiting[0])}")
    return pairs


def _holders(network: nn.Module, image: Tensor) -> dict[str, nn.Module]:
    """The modules with weights of their own, by name, in the order in which a forward call first reaches them."""
    reached = {}

    def note(name: str, module: nn.Module, _) -> None:
        reached.setdefault(name, module)

    hooks = [
        module.register_forward_pre_hook(partial(note, name))
        for name, module in network.named_modules()
        if _shapes(module)
    ]
    with torch.inference_mode():
        network(image)
    for hook in hooks:
        hook.remove()
    return reached


def _units(holders: dict[str, nn.Module]) -> list[list[nn.Module]]:
    """A norm belongs to what it follows, so that norms of one width are not mistaken for one another."""
    units = []
    for module in holders.values():
        if units and "Norm" in type(module).__name__:
            units[-1].append(module)
        else:
            units.append([module])
    return units


def _described(unit: list[nn.Module]) -> str:
    return " and ".join(", ".join(f"{name} {shape}" for name, shape in _shapes(module)) for module in unit)


def _shapes(module: nn.Module) -> list[tuple[str, tuple[int, ...]]]:
    return [(name, tuple(value.shape)) for name, value in sorted(_weights(module).items())]


def _weights(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers of its own: what one implementation trains, another may keep fixed."""
    found = dict(module.named_parameters(recurse=False)) | dict(module.named_buffers(recurse=False))
    return {name: value for name, value in found.items() if name != _COUNTER}


def _copy(source: nn.Module, target: nn.Module) -> None:
    with torch.no_grad():
        for name, value in _weights(target).items():
            value.copy_(_weights(source)[name])


def _draw_weights(network: nn.Module, modules: Iterable[nn.Module], image: Tensor) -> None:
    """Random weights with which every path through the network counts for the logits, the deepest too.

    As a network starts, biases and the gains of some norms are 0, and batch norms do not know their input yet: what
    comes from the depth fades, and with it what would be wrong there.
    """
    with torch.no_grad():
        for module in modules:
            for name, value in _weights(module).items():
                if not value.is_floating_point():
                    continue
                if value.ndim > 1:
                    value.normal_(std=(2 / value[0].numel()) ** 0.5)
                elif name in ("running_var", "weight"):
                    value.uniform_(0.5, 1.5)
                else:
                    value.normal_(std=0.1)
        _see(network, torch.cat((image, image.flip(-1) / 2)))


def _see(network: nn.Module, images: Tensor) -> None:
    """Set the statistics of the batch norms to those of the images."""
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
        norm.train()
    network(images)
    for norm, momentum in zip(norms, momenta):
        norm.momentum = momentum
        norm.eval()


def _hyperparameters(pairs: list[tuple[nn.Module, nn.Module]]) -> list[str]:
    """What is set otherwise, and in how many modules."""
    found = Counter()
    for ours, theirs in pairs:
        for name in _HYPERPARAMETERS:
            our_value, their_value = getattr(ours, name, None), getattr(theirs, name, None)
            if our_value != their_value and None not in (our_value, their_value):
                found[f"{name} of {type(ours).__name__} {our_value}, the peer's {their_value}"] += 1
    return [f"{text} ({times} times)" for text, times in found.items()]


def _dropouts(ours: nn.Module, theirs: nn.Module) -> list[str]:
    found = [
        [module.p for module in network.modules() if isinstance(module, nn.modules.dropout._DropoutNd) and module.p]
        for network in (ours, theirs)
    ]
    return [] if sorted(found[0]) == sorted(found[1]) else [f"dropouts {found[0]}, the peer's {found[1]}"]


def _initial_weights(pairs: list[tuple[nn.Module, nn.Module]]) -> list[str]:
    """Where the two draw their first weights otherwise: the first case of each kind, and how many there are."""
    found = {}
    for ours, theirs in pairs:
        their_weights = _weights(theirs)
        for name, value in _weights(ours).items():
            if value.is_floating_point() and not _drawn_alike(value, their_weights[name]):
                found.setdefault((type(ours).__name__, name), []).append((value, their_weights[name]))
    return [
        f"initial {name} of {kind}: {_drawn(cases[0][0])}, the peer's {_drawn(cases[0][1])} ({len(cases)} times)"
        for (kind, name), cases in found.items()
    ]


def _drawn_alike(first: Tensor, second: Tensor) -> bool:
    a, b = first.std(correction=0).item(), second.std(correction=0).item()
    if min(a, b) == 0:
        return a == b and torch.equal(first, second)
    return first.numel() < _MANY or abs(a - b) < _SAME_SPREAD * max(a, b)


def _drawn(value: Tensor) -> str:
    mean, spread = value.mean().item(), value.std(correction=0).item()
    return f"spread {spread:.2g}" if spread else f"all {mean:.2g}"
