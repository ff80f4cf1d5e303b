"""What the papers published, for the tables in which our figures stand beside theirs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """A figure of a published table.

    Attributes:
        head: with its unit.
        measure: what it is called here: a measure of `evaluation.definitions`, or "parameters_m", "inference_ms".
        scale: ours times this is in the paper's unit.
        digits: after the point.
    """

    head: str
    measure: str
    scale: float = 1.0
    digits: int = 1


@dataclass(frozen=True)
class Entry:
    """A row of a published table: the network's name there, in our registry, and its figures."""

    label: str
    network: str
    figures: tuple[float, ...]


@dataclass(frozen=True)
class Published:
    """A table of a paper.

    Attributes:
        name: short, for files.
        paper: its title.
        data: what its figures were measured on.
        winner: of its table, by the registry's name.
    """

    name: str
    paper: str
    data: str
    columns: tuple[Column, ...]
    entries: tuple[Entry, ...]
    winner: str


_DICE = Column("Dice, %", "dice", 100)

FCNN = Published(
    name="fcnn-paper",
    paper="Medical image semantic segmentation based on FCNN",
    data="thoracic CT of the AAPM challenge of 2017",
    columns=(Column("mIoU, %", "iou", 100), _DICE),
    entries=(
        Entry("U-Net", "unet", (78.3, 80.1)),
        Entry("SegNet", "segnet", (76.5, 78.9)),
        Entry("DeepLabV3", "deeplabv3", (80.7, 82.3)),
        Entry("PSPNet", "pspnet", (81.2, 83.0)),
        Entry("Mask R-CNN", "mask-rcnn", (82.1, 83.7)),
        Entry("FCNN", "fcnn", (84.5, 86.2)),
    ),
    winner="fcnn",
)

DUAL_ATTENTION = Published(
    name="dual-attention-paper",
    paper="Optimization of deep learning-based medical image segmentation algorithms",
    data="the authors' images",
    columns=(
        _DICE,
        Column("Hausdorff, mm", "hd_mm", digits=2),
        Column("parameters, M", "parameters_m"),
        Column("inference, ms", "inference_ms", digits=0),
    ),
    entries=(
        Entry("U-Net", "unet", (85.3, 8.42, 12.5, 156)),
        Entry("Attention U-Net", "attention-unet", (87.6, 7.13, 14.2, 182)),
        Entry("DeepLabV3+", "deeplabv3-plus", (86.9, 7.89, 15.8, 195)),
        Entry("Dual attention (proposed)", "dual-attention", (90.2, 6.45, 13.7, 175)),
    ),
    winner="dual-attention",
)

PUBLISHED = (FCNN, DUAL_ATTENTION)
