"""Four small real images in two and three dimensions, and how each network is taught them by heart.

In two dimensions cells under the microscope: nuclei are bright in two images and dark in two, so that no grey value
tells them. In three dimensions the front and the back of the hippocampus, which no grey value tells either.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
import torch.nn.functional as F
from monai.losses import DiceCELoss
from torch import Tensor, nn

from MedSegDLLib.files import read_volume
from MedSegDLLib.networks.blocks import resize

ENOUGH = 0.95
"""Mean Dice in evaluation at which a training ends; a network that does not come so far has not learned."""
STEPS_PER_CHECK = 10

NUCLEI = {
    "1023509cf8d4c155467800f89508690be9513431992f470594281cd37dbd020d": (100, 100),
    "9facc652efe19f634639585d692a53dd6c2a8e2f0c9baebdfd85b9b41ec58851": (100, 100),
    "45f059cf21d85ecfce0eb93260516f1e2443d210e9a52f9ae2271d604aa3fcc5": (64, 96),
    "a7f767ca9770b160f234780e172aeb35a50830ba10dc49c526f4712451abe1d2": (64, 96),
}
"""Case and first pixel of its window of 128 pixels, which is taken at half its resolution."""
HIPPOCAMPI = ("001", "003", "004", "007")
HIPPOCAMPUS_SIZE = (20, 32, 20)


@dataclass(frozen=True)
class Learning:
    """How long and how fast a network learns.

    Attributes:
        steps: at most, each with all four images.
        rate: of Adam.
        arguments: of the network.
        enlarged: the middle of each image (half of it along each axis) is shown so many times larger. 1 is the whole
            image as it is. For networks whose logits are coarse: an eighth of the size, interpolated to it, cannot draw
            a hippocampus of 20 voxels. The best such logits have a Dice of 0.80, and 0.97 enlarged four times.
    """

    steps: int = 200
    rate: float = 3e-3
    arguments: dict = field(default_factory=dict)
    enlarged: int = 1


_UNET = {"features": [8, 16, 32]}
_DILATED = {"backbone": "resnet18", "width": 8, "head_features": 16}
_DETECTOR = {
    **{"backbone": "resnet18", "width": 8, "head_features": 16, "fc_features": 64},
    **{"rois_sampled": 64, "proposals": [200, 200], "detections": 20},
}
_UNETR = {"width": 8, "hidden": 48, "mlp": 96, "heads": 4}

NARROW = {
    ("fcn-32s", 2): Learning(200, 3e-3, {"width": 4, "fc_features": 64}, enlarged=4),
    ("fcn-16s", 2): Learning(150, 3e-3, {"width": 4, "fc_features": 64}, enlarged=2),
    ("fcn-8s", 2): Learning(100, 3e-3, {"width": 4, "fc_features": 32}, enlarged=2),
    ("fcn-resnet", 2): Learning(80, 3e-3, {"backbone": "resnet18", "width": 8}, enlarged=4),
    ("fcn-resnet", 3): Learning(200, 1e-2, {"backbone": "resnet18", "width": 8}, enlarged=4),
    ("fcnn", 2): Learning(200, 3e-3, {"features": [8, 16, 32, 64], "fc_features": 64}),
    ("fcnn", 3): Learning(200, 1e-2, _UNET | {"fc_features": 64, "dropout": 0.1}),
    ("unet", 2): Learning(200, 5e-3, {"features": [8, 16, 32, 64]}),
    ("unet", 3): Learning(200, 3e-3, _UNET | {"dropout": 0.0}),
    ("unet-valid", 2): Learning(250, 3e-3, _UNET),
    ("unet-valid", 3): Learning(300, 3e-3, {"features": [16, 32], "dropout": 0.0}),
    ("unet-3d", 2): Learning(80, 1e-2, _UNET),
    ("unet-3d", 3): Learning(200, 1e-2, _UNET),
    ("unet-plus-plus", 2): Learning(200, 3e-3, _UNET),
    ("unet-plus-plus", 3): Learning(200, 3e-3, _UNET),
    ("attention-unet", 2): Learning(100, 3e-3, _UNET),
    ("attention-unet", 3): Learning(200, 3e-3, _UNET),
    ("segnet", 2): Learning(150, 1e-2, {"width": 8}),
    ("segnet", 3): Learning(300, 1e-2, {"width": 4}),
    ("deeplabv3", 2): Learning(80, 3e-3, _DILATED, enlarged=4),
    ("deeplabv3", 3): Learning(250, 5e-3, _DILATED, enlarged=4),
    ("deeplabv3-plus", 2): Learning(80, 3e-3, _DILATED, enlarged=4),
    ("deeplabv3-plus", 3): Learning(200, 5e-3, _DILATED, enlarged=2),
    ("pspnet", 2): Learning(80, 3e-3, _DILATED, enlarged=4),
    ("pspnet", 3): Learning(200, 5e-3, _DILATED, enlarged=4),
    ("mask-rcnn", 2): Learning(250, 3e-3, _DETECTOR),
    ("mask-rcnn", 3): Learning(400, 3e-3, _DETECTOR, enlarged=2),
    ("dual-attention", 2): Learning(150, 3e-3, _UNET | {"reduction": 4}),
    ("dual-attention", 3): Learning(200, 1e-2, {"features": [4, 8, 16], "reduction": 2}),
    ("transunet", 2): Learning(
        80,
        3e-3,
        {
            **{"width": 16, "hidden": 48, "layers": 2, "heads": 4, "mlp": 96},
            **{"features": [64, 32, 16, 16, 8], "image_size": 64},
        },
    ),
    ("u-transformer", 2): Learning(150, 3e-3, _UNET | {"heads": 2}),
    ("doubleu-net", 2): Learning(150, 3e-3, {"width": 8}),
    ("nnunet", 2): Learning(80, 3e-3, {"features": [8, 16, 32, 64]}),
    ("nnunet", 3): Learning(120, 1e-2, _UNET),
    ("nnunet-residual", 2): Learning(80, 3e-3, {"features": [8, 16, 32, 64], "blocks": [1, 1, 2, 2]}),
    ("nnunet-residual", 3): Learning(120, 1e-2, _UNET | {"blocks": [1, 1, 1]}),
    ("segresnet", 2): Learning(160, 3e-3, {"width": 8}),
    ("segresnet", 3): Learning(200, 1e-2, {"width": 8, "blocks": [1, 1, 1]}),
    ("swin-unetr", 2): Learning(80, 3e-3, {"width": 12}),
    ("swin-unetr", 3): Learning(100, 3e-3, {"width": 12}),
    ("unetr", 2): Learning(80, 3e-3, _UNETR | {"image_size": 64}),
    ("unetr", 3): Learning(100, 1e-2, _UNETR | {"image_size": 32}),
    ("vnet", 2): Learning(250, 3e-3, {"width": 4}),
    ("vnet", 3): Learning(150, 1e-2, {"width": 2, "dropout": 0.0}),
    ("mednext-s", 2): Learning(60, 3e-3, {"width": 8}),
    ("mednext-s", 3): Learning(100, 1e-2, {"width": 4}),
    ("mednext-b", 2): Learning(60, 3e-3, {"width": 8}),
    ("mednext-b", 3): Learning(120, 1e-2, {"width": 4}),
    ("mednext-m", 2): Learning(80, 3e-3, {"width": 4}),
    ("mednext-m", 3): Learning(120, 1e-2, {"width": 4}),
    ("mednext-l", 2): Learning(80, 3e-3, {"width": 4}),
    ("mednext-l", 3): Learning(120, 1e-2, {"width": 4}),
}
"""Networks in a few channels, by name and dimensions. They need about half of the steps."""

NARROW_BUT_SLOW = {
    ("mask-rcnn", 3),
    ("dual-attention", 3),
    ("segnet", 3),
    ("swin-unetr", 3),
    ("unet-valid", 3),
    ("vnet", 3),
    ("mednext-b", 3),
    ("mednext-m", 3),
    ("mednext-l", 3),
}
"""Those that take more than 15 seconds all the same. They are tested with the networks of the published sizes."""

_PUBLISHED_RATES = {
    **dict.fromkeys(("fcn-32s", "fcn-16s", "fcn-8s"), 1e-4),
    **dict.fromkeys(("unet", "unet-valid", "unet-plus-plus", "transunet", "u-transformer", "unetr", "mask-rcnn"), 3e-4),
    **dict.fromkeys(("swin-unetr", "mednext-l"), 5e-4),
}


def published(name: str, dims: int) -> Learning:
    """For the network as its authors made it: large networks want smaller steps, and fewer."""
    return replace(NARROW[name, dims], steps=300, rate=_PUBLISHED_RATES.get(name, 1e-3), arguments={})


@dataclass(frozen=True)
class Images:
    """Four images with their truth.

    Attributes:
        image: (4, 1, *spatial), mean 0 and deviation 1 each.
        labels: (4, *spatial), classes.
        instances: (4, *spatial), the number of the nucleus, or of the class where that is one structure.
    """

    image: Tensor
    labels: Tensor
    instances: Tensor

    @property
    def classes(self) -> int:
        return int(self.labels.max()) + 1

    def middle(self, enlarged: int) -> Images:
        """The middle of each image, so many times larger."""
        spatial = self.labels.shape[1:]
        window = (..., *(slice(size // 4, size // 4 + size // 2) for size in spatial))
        larger = tuple(size // 2 * enlarged for size in spatial)
        labels, instances = (_resized(each[window], larger) for each in (self.labels, self.instances))
        return Images(_standardised(resize(self.image[window], larger)), labels, instances)


@cache
def images(data: Path, dims: int, enlarged: int = 1) -> Images:
    if enlarged > 1:
        return images(data, dims).middle(enlarged)
    read = [_nuclei(data / "nuclei-microscopy" / name, *first) for name, first in NUCLEI.items()]
    if dims == 3:
        read = [_hippocampus(data / "hippocampus-mr", name) for name in HIPPOCAMPI]
    image, labels, instances = (torch.from_numpy(np.stack(each)) for each in zip(*read))
    return Images(_standardised(image[:, None].float()), labels.long(), instances.long())


def learn(network: nn.Module, images: Images, plan: Learning) -> list[tuple[int, float]]:
    """Train until the Dice in evaluation is `ENOUGH` or the steps are over: steps and Dice at each check."""
    torch.manual_seed(0)
    criterion = DiceCELoss(softmax=True, to_onehot_y=True, include_background=False, batch=True)
    optimizer = torch.optim.Adam(network.parameters(), plan.rate)
    curve = []
    for step in range(1, plan.steps + 1):
        network.train()
        if hasattr(network, "training_loss"):
            loss = network.training_loss(images.image, images.labels, images.instances)
        else:
            loss = criterion(network(images.image), images.labels[:, None])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % STEPS_PER_CHECK == 0 or step == plan.steps:
            curve.append((step, dice_of(network, images)))
            if curve[-1][1] >= ENOUGH:
                break
    return curve


def dice_of(network: nn.Module, images: Images) -> float:
    """Mean Dice of what the network finds in evaluation."""
    network.eval()
    with torch.inference_mode():
        return mean_dice(network(images.image).argmax(dim=1), images.labels)


def mean_dice(found: Tensor, truth: Tensor) -> float:
    """Mean over the structures of each image; both (B, *spatial), classes."""
    scores = []
    for ours, theirs in zip(found, truth):
        for structure in theirs.unique()[1:]:
            both = ((ours == structure) & (theirs == structure)).sum()
            scores.append(2 * both / ((ours == structure).sum() + (theirs == structure).sum()))
    return float(torch.stack(scores).mean())


def _resized(numbers: Tensor, spatial: tuple[int, ...]) -> Tensor:
    """Classes or instances at another size, with borders as smooth as the image's own."""
    return resize(F.one_hot(numbers).movedim(-1, 1).float(), spatial).argmax(dim=1)


def _nuclei(case: Path, row: int, column: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Grey values, classes and numbers of the nuclei, 64 x 64."""
    (path,) = (case / "images").glob("*.png")
    window = (slice(row, row + 128), slice(column, column + 128))
    grey = _pixels(path)[window].reshape(64, 2, 64, 2).mean((1, 3))
    instances = np.zeros((64, 64), np.int64)
    for number, mask in enumerate(sorted((case / "masks").glob("*.png")), start=1):
        instances[_pixels(mask)[window][::2, ::2] > 0] = number
    return grey, instances > 0, instances


def _pixels(path: Path) -> np.ndarray:
    """Grey values (rows, columns) of a picture with or without colours."""
    pixels = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    return pixels if pixels.ndim == 2 else pixels[..., :3].mean(axis=2)


def _hippocampus(data: Path, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Grey values and classes around the hippocampus; each class is one structure."""
    grey, labels = (read_volume(data / part / f"hippocampus_{name}.nii.gz").array for part in ("images", "labels"))
    inside = np.argwhere(labels)
    middle = (inside.min(0) + inside.max(0) + 1) // 2
    starts = np.clip(middle - np.array(HIPPOCAMPUS_SIZE) // 2, 0, np.array(labels.shape) - HIPPOCAMPUS_SIZE)
    window = tuple(slice(start, start + size) for start, size in zip(starts, HIPPOCAMPUS_SIZE))
    return grey[window], labels[window], labels[window]


def _standardised(image: Tensor) -> Tensor:
    """Each image of a batch with mean 0 and deviation 1."""
    axes = tuple(range(1, image.ndim))
    return (image - image.mean(axes, keepdim=True)) / image.std(axes, keepdim=True)
