"""The checkpoints in a training's folder: whole, replaced only by whole ones, and read only if they are whole.

last.ckpt       where the training goes on
previous.ckpt   the one before, for the case that the last one is damaged
best.ckpt       of the highest mean Dice in validation
"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from pickle import UnpicklingError

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from MedSegDLLib.atomic import replacing
from MedSegDLLib.errors import ModelError

LAST, PREVIOUS, BEST = "last.ckpt", "previous.ckpt", "best.ckpt"
_OF_A_SCHEDULER = "hpc_ckpt_*.ckpt"  # written by Lightning when SLURM takes the computer away


class WholeFiles(TorchCheckpointIO):
    """Writes beside the file and then takes its place; of the last checkpoint the one before stays, too."""

    def save_checkpoint(self, checkpoint: dict, path, storage_options=None) -> None:
        """Raises OutputError, and leaves what was there, where the disk does not take it."""
        path = Path(path)
        with replacing(path) as partial:
            _write(checkpoint, partial)
            if path.name == LAST and path.exists():
                os.replace(path, path.with_name(PREVIOUS))


def _write(checkpoint: dict, path: Path) -> None:
    with open(path, "wb") as file:  # a file of Python's: torch's own does not say why it cannot write
        try:
            torch.save(checkpoint, file)
        except RuntimeError as error:  # what torch makes of it when it closes its archive
            if isinstance(error.__context__, OSError):
                raise error.__context__ from error
            raise
        file.flush()
        os.fsync(file.fileno())


def newest_whole(folder: Path) -> tuple[Path | None, list[Path]]:
    """The newest checkpoint to go on from, None if there is none; and newer ones that are damaged.

    Raises ModelError where all are damaged.
    """
    found = [path for name in (LAST, PREVIOUS, _OF_A_SCHEDULER) for path in folder.glob(name)]
    newest_first = sorted(found, key=lambda path: path.stat().st_mtime_ns, reverse=True)
    damaged = []
    for path in newest_first:
        if is_whole(path):
            return path, damaged
        damaged.append(path)
    if damaged:
        raise ModelError(
            f"All checkpoints in '{folder}' are damaged: {', '.join(path.name for path in damaged)}.",
            "Delete them to start anew, or copy them back from where they were saved.",
        )
    return None, []


def is_whole(path: Path) -> bool:
    """Whether nothing is missing and every checksum in it holds."""
    try:
        with zipfile.ZipFile(path) as file:
            return file.testzip() is None
    except (OSError, zipfile.BadZipFile, EOFError, ValueError):
        return False


def read_checkpoint(path: Path) -> dict:
    """Raises ModelError for what is no checkpoint."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, UnpicklingError, EOFError) as error:
        remedy = "Delete it, or copy it back from where it was saved."
        raise ModelError(f"'{path}' is no checkpoint, or is damaged.", remedy, str(error)) from error


def step_of(path: Path, module: torch.nn.Module) -> int:
    """The last step before a checkpoint of this module. Raises ModelError for that of another one."""
    checkpoint = read_checkpoint(path)
    kept, expected = ({n: t.shape for n, t in x.items()} for x in (checkpoint["state_dict"], module.state_dict()))
    if kept != expected:
        other = next(name for name in {**kept, **expected} if kept.get(name) != expected.get(name))
        raise ModelError(
            f"'{path}' is a checkpoint of another network: its '{other}' does not fit.",
            "Choose another folder to train in.",
        )
    return checkpoint["global_step"]


def trained_weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    """The network's weights in a training's checkpoint: their average, where the training averaged."""
    state = read_checkpoint(checkpoint)["state_dict"]
    return {name.removeprefix("network."): value for name, value in state.items() if name.startswith("network.")}
