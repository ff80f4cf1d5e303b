"""Lightning's advice on what is meant as it is, kept from the user."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_NEEDLESS = (
    "your dataloader is not resumable",  # the patches are: see `patches`
    "does not have many workers",
    "no `val_dataloader`",
    "treespec, LeafSpec",
    "sync_dist=True",  # the scores are summed up over all processes before they are logged
)


@contextmanager
def without_needless_words() -> Iterator[None]:
    with warnings.catch_warnings():
        for words in _NEEDLESS:
            warnings.filterwarnings("ignore", message=f".*{words}.*")
        logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
        yield
