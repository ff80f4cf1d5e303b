"""The same work on many cases, here or in processes of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context
from typing import TypeVar

from MedSegDLLib.errors import CancelledError, InputError, WorkerError

Item = TypeVar("Item")
Result = TypeVar("Result")

_CHECK_SECONDS = 0.2


def each(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int = 0,
    cancelled: Callable[[], bool] | None = None,
) -> Iterator[tuple[Item, Result | InputError]]:
    """Every item and what `work` makes of it, in the order in which they are done.

    An item that `work` refuses with an InputError comes with that error, and the others go on.

    Args:
        work: for processes a function, or `partial`, that can be sent to them.
        workers: processes; 0 does the work here.
        cancelled: asked between items, and while processes work.

    Raises:
        CancelledError: `cancelled` said so.
        WorkerError: a process died, as a rule for lack of memory.
    """
    cancelled = cancelled or (lambda: False)
    if workers == 0:
        for item in items:
            _stop_if(cancelled)
            yield item, _tried(work, item)
        return
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    try:
        yield from _in_processes(pool, work, items, 2 * workers, cancelled)
    except BrokenProcessPool as error:
        raise WorkerError(
            "A process that prepared cases ended unexpectedly; the memory may not have sufficed.",
            "Try again with fewer processes; what is done is kept.",
            repr(error),
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _in_processes(pool, work, items, ahead: int, cancelled) -> Iterator[tuple[Item, Result | InputError]]:
    """No more than `ahead` items are handed out before they are needed, so that cancelling takes little time."""
    waiting = iter(items)
    running = {pool.submit(_tried, work, item): item for item in islice(waiting, ahead)}
    while running:
        _stop_if(cancelled)
        done, _ = wait(running, timeout=_CHECK_SECONDS, return_when=FIRST_COMPLETED)
        for future in done:
            item = running.pop(future)
            for following in islice(waiting, 1):
                running[pool.submit(_tried, work, following)] = following
            yield item, future.result()


def _tried(work: Callable[[Item], Result], item: Item) -> Result | InputError:
    try:
        return work(item)
    except InputError as error:
        return error


def _stop_if(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise CancelledError("Stopped; the cases that are done are kept.")
