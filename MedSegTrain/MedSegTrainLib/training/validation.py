"""What a training looks at between its epochs: cases it does not learn from, whole or in patches."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from monai.inferers import sliding_window_inference
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from ..data.case import IGNORE
from ..data.samples import Sample
from .patches import Patches
from .recipe_fields import Recipe

_SEED = 1_000_003  # of the patches to look at: others than those to learn from


class WholeCases(Dataset):
    """Whole samples, as `Patches` gives parts of them."""

    def __init__(self, samples: Sequence[Callable[[], Sample]]):
        self._samples = samples

    def __getitem__(self, n: int) -> dict[str, Tensor]:
        sample = self._samples[n]()
        return {
            "image": torch.from_numpy(sample.image.astype("float32")),
            "label": torch.from_numpy(sample.classes[None].astype("int64")),
            "annotated": torch.from_numpy(sample.annotated.copy()),
        }


class Shared(Dataset):
    """The part of one process. All parts are equally long; what repeats is marked by "counts"."""

    def __init__(self, items: Dataset, count: int, rank: int, world: int):
        self._items, self._count, self._rank, self._world = items, count, rank, world

    def __len__(self) -> int:
        return -(-self._count // self._world)

    def __getitem__(self, n: int) -> dict[str, Tensor]:
        number = n * self._world + self._rank
        return self._items[number % self._count] | {"counts": torch.tensor(number < self._count)}


def validation_loader(
    samples: Sequence[Callable[[], Sample]], recipe: Recipe, batch: int, rank: int = 0, world: int = 1
) -> DataLoader:
    """Batches of `batch` patches, or one case at a time, as the recipe says."""
    if recipe.validation.on == "cases":
        return DataLoader(Shared(WholeCases(samples), len(samples), rank, world), batch_size=1)
    share = recipe.optimisation.foreground_share
    patches = Patches(samples, recipe.spec, None, batch=batch, foreground_share=share, seed=_SEED)
    return DataLoader(Shared(patches, recipe.validation.patches, rank, world), batch_size=batch)


def logits_of_case(network: nn.Module, image: Tensor, recipe: Recipe, batch: int) -> Tensor:
    """(1, C, k, j, i) -> (1, K, k, j, i) on the CPU, window by window, or slice by slice for a network of slices."""
    dims = recipe.spec.network.spatial_dims
    stack = image if dims == 3 else image[0].movedim(1, 0)
    window = recipe.spec.patch_kji[-dims:]
    overlap = recipe.validation.overlap
    logits = sliding_window_inference(stack, window, batch, network, overlap, mode="gaussian", device="cpu")
    return logits if dims == 3 else logits.movedim(0, 1)[None]


class Scores:
    """Dice and intersection over union of each structure, collected over an epoch.

    Of patches the voxels are counted together, as a structure may fill little of one; whole cases are scored one by
    one. Voxels that nobody annotated and structures that nobody contoured are left out.

    Args:
        structures: their number, without the background.
        each_counts: whether every image is scored by itself.
    """

    def __init__(self, structures: int, each_counts: bool):
        self._each_counts = each_counts
        self._sums = torch.zeros(4 if each_counts else 3, structures, dtype=torch.float64)
        self._loss = torch.zeros(2, dtype=torch.float64)

    def add(self, logits: Tensor, label: Tensor, annotated: Tensor, loss: Tensor) -> None:
        """Of a batch: (B, K, *spatial), (B, 1, *spatial), (B, K), and its loss."""
        self._loss += torch.tensor([float(loss) * len(label), len(label)], dtype=torch.float64)
        counts = overlaps(logits.argmax(1), label[:, 0], annotated).double().cpu()
        self._sums += torch.stack([_scores(image) for image in counts]).sum(0) if self._each_counts else counts.sum(0)

    def result(self, sum_up: Callable[[Tensor], Tensor]) -> dict[str, list[float] | float]:
        """ "loss", and "dice" and "miou" of each structure; not a number where it was nowhere to be found.

        Args:
            sum_up: adds up a tensor over all processes.
        """
        sums, loss = sum_up(self._sums), sum_up(self._loss)
        if self._each_counts:
            dice, miou = sums[0] / sums[1], sums[2] / sums[3]
        else:
            dice, miou = _ratios(sums)
        return {"loss": float(loss[0] / loss[1]), "dice": dice.tolist(), "miou": miou.tolist()}


def overlaps(found: Tensor, label: Tensor, annotated: Tensor) -> Tensor:
    """(B, 3, K - 1): voxels of each structure in both, in what was found, in the label. (B, *), (B, *), (B, K)."""
    valid = label != IGNORE
    counts = []
    for number in range(1, annotated.shape[1]):
        ours, true = (found == number) & valid, label == number
        counts.append(torch.stack([x.flatten(1).sum(1) for x in (ours & true, ours, true)]))
    return (torch.stack(counts, -1) * annotated[:, 1:].T[None].movedim(-1, 1)).movedim(1, 0)


def _ratios(counts: Tensor) -> tuple[Tensor, Tensor]:
    """Dice and intersection over union of (3, K - 1)."""
    both, ours, true = counts
    return 2 * both / (ours + true), both / (ours + true - both)


def _scores(counts: Tensor) -> Tensor:
    """Rows that can be added up: Dice, whether it counts, intersection over union, whether it counts."""
    rows = []
    for ratio in _ratios(counts):
        known = ratio.isfinite()
        rows += [ratio.where(known, 0), known.double()]
    return torch.stack(rows)
