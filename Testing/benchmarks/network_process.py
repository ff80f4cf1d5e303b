"""A network in a process of its own: built, described, run and measured there, on order."""

from __future__ import annotations

import copy
import ctypes
import gc
import multiprocessing
import resource
import warnings
from dataclasses import dataclass
from importlib import import_module

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from measure import Step, measure_call
from MedSegDLLib.networks import create
from MedSegDLLib.networks.blocks import parameter_count
from MedSegDLLib.networks.catalog import count_flops
from network_agreement import Agreement, agreement, together
from network_peers import PEERS

IN_CHANNELS, OUT_CHANNELS = 1, 2
MEMORY_GIB = 12
_PATIENCE_S = 300.0
_SIGNS_OF_TOO_LITTLE_MEMORY = ("memory", "primitive")  # in what torch and oneDNN say


class Failure(Exception):
    """An order that could not be carried out; the text says why."""

    @property
    def out_of_memory(self) -> bool:
        return any(sign in str(self) for sign in _SIGNS_OF_TOO_LITTLE_MEMORY)


@dataclass(frozen=True)
class Description:
    """`flops` is None before the first run where they depend on what the network sees."""

    parameters: int
    flops: int | None
    bases: tuple[str, ...]  # the names of its class and of those it derives from


class Process:
    """One network, ours or the peer's, and one random image of the given size. Its memory is limited.

    with Process("unet", (96, 96, 96), ours=True, threads=1) as process:
        step = process.forward()

    Every order may raise Failure; one that has run out of memory or time cannot take another.
    """

    def __init__(self, name: str, size: tuple[int, ...], ours: bool, threads: int):
        fresh = multiprocessing.get_context("spawn")
        self._connection, others_end = fresh.Pipe()
        self._process = fresh.Process(target=_serve, args=(others_end, name, size, ours, threads), daemon=True)
        self._process.start()
        others_end.close()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_) -> None:
        self._process.kill()
        self._process.join()

    def describe(self) -> Description:
        return self._order("describe")

    def forward(self) -> Step:
        """What one forward call costs."""
        return self._order("forward")

    def agree(self) -> Agreement:
        """The peer's network beside ours with the same weights. Ask it of the peer's process."""
        return self._order("agree")

    def _order(self, what: str):
        try:
            self._connection.send(what)
            if not self._connection.poll(_PATIENCE_S):
                self._process.kill()
                raise Failure(f"took more than {_PATIENCE_S:.0f} s")
            answer = self._connection.recv()
        except (EOFError, OSError):
            self._process.join()
            raise Failure(f"ended with code {self._process.exitcode}, perhaps for want of memory") from None
        if isinstance(answer, Failure):
            raise answer
        return answer


def _serve(connection, name: str, size: tuple[int, ...], ours: bool, threads: int) -> None:
    """The life of the process: build the network, then carry out orders until it is killed."""
    torch.set_num_threads(threads)
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_GIB * 2**30,) * 2)
    subject = _attempt(lambda: _Subject(name, size, ours))
    while True:
        what = connection.recv()
        connection.send(subject if isinstance(subject, Failure) else _attempt(getattr(subject, what)))


def _attempt(call):
    try:
        return call()
    except Exception as error:
        return Failure(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")


class _Subject:
    """The network and its image, with the methods of `Process`."""

    def __init__(self, name: str, size: tuple[int, ...], ours: bool):
        self.name, self.size = name, size
        torch.manual_seed(0)
        self.network = (_ours if ours else _peers)(name, size).eval()
        self.image = torch.randn(1, IN_CHANNELS, *size)
        self.flops = _count_without_running(self.network, size)

    def describe(self) -> Description:
        bases = tuple(f"{base.__module__}.{base.__qualname__}" for base in type(self.network).__mro__)
        return Description(parameter_count(self.network), self.flops, bases)

    def forward(self) -> Step:
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)  # what the heap still holds from before would pass for the network's
        with torch.inference_mode():
            if self.flops is not None:
                return measure_call(lambda: self.network(self.image))
            with FlopCounterMode(display=False) as counter:
                step = measure_call(lambda: self.network(self.image))
        self.flops = counter.get_total_flops()
        return step

    def agree(self) -> Agreement:
        peer = PEERS[self.name, len(self.size)]
        size = peer.agreement_size(len(self.size))
        image = torch.randn(1, IN_CHANNELS, *size)
        ours, theirs = _ours(self.name, size), _peers(self.name, size, peer.like_ours or peer.factory)
        if not peer.parts:
            return agreement(ours, theirs, image)
        return together([agreement(*part) for part in _function(peer.parts)(ours, theirs, image)])


def _count_without_running(network: nn.Module, size: tuple[int, ...]) -> int | None:
    try:
        return count_flops(copy.deepcopy(network).to("meta"), size, IN_CHANNELS)
    except Exception:  # torch's own kinds, by the operator that needs values
        return None


def _ours(name: str, size: tuple[int, ...]) -> nn.Module:
    return create(name, len(size), IN_CHANNELS, OUT_CHANNELS)


def _peers(name: str, size: tuple[int, ...], factory: str = "") -> nn.Module:
    return _function(factory or PEERS[name, len(size)].factory)(size, IN_CHANNELS, OUT_CHANNELS)


def _function(place: str):
    """The function of a peer's file that "file:function" names."""
    import_module("network_peers.without_cuda")
    file, _, name = place.partition(":")
    return getattr(import_module(f"network_peers.{file}"), name)
