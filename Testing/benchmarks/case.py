"""What all peers get: one synthetic image, and one model whose weights are random but always the same."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from MedSegDLLib.bundle import GRAPH, WEIGHTS, Bundle, Inference, Intensity, Network, Specification, write_metadata
from MedSegDLLib.labels import Code, Label, Terminology


class Size(NamedTuple):
    shape: tuple[int, int, int]  # k, j, i
    spacing_mm: tuple[float, float, float]  # i, j, k


VOLUMES = {
    "medium": Size((160, 256, 256), (1.0, 1.0, 2.0)),
    "large": Size((320, 512, 512), (0.8, 0.8, 1.0)),
}
FEATURES = {
    "tiny": (4, 8),
    "small": (8, 16, 32, 64, 128),
    "nnunet": (32, 64, 128, 256, 320, 320),
}
CLASSES = 3

_SEED = 5  # with it, all three networks find all three classes, and few voxels are near a tie
_TISSUE_HU = np.array([-850, -100, 40, 70, 110, 400], dtype=np.float32)  # lung, fat, water, muscle, organ, bone
_AIR_HU, _NOISE_HU = -1000.0, 12.0
_STRUCTURE_MM = 30.0


@dataclass(frozen=True)
class Case:
    """A folder with the image and the model; the peers leave their labels in it."""

    folder: Path

    @property
    def image_path(self) -> Path:
        return self.folder / "image.nii.gz"

    @property
    def model_path(self) -> Path:
        return self.folder / "model"

    @cached_property
    def bundle(self) -> Bundle:
        return Bundle.load(self.model_path)

    def labels_path(self, peer: str) -> Path:
        return self.folder / f"image_{peer}.nii.gz"

    def logits_path(self, peer: str) -> Path:
        """Folder of .npy files, each some layers (classes, n, j, i) on the network's grid, if the peer leaves them."""
        return self.folder / f"logits_{peer}"

    def load_network(self):
        """The torch module with the model's weights, ready to infer."""
        from safetensors.torch import load_file

        from MedSegDLLib.networks import create

        spec = self.bundle.spec.network
        network = create(spec.name, spec.spatial_dims, spec.in_channels, spec.out_channels, **spec.arguments)
        network.load_state_dict(load_file(self.bundle.weights_path))
        return network.eval()


def make_case(folder: Path, volume: str, network: str) -> Case:
    """Draw the image and the weights named by the keys of VOLUMES and FEATURES into an empty folder."""
    case = Case(folder)
    _write_image(case.image_path, VOLUMES[volume])
    _write_model(case.model_path, FEATURES[network])
    return case


def _write_image(path: Path, size: Size) -> None:
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(draw(size))
    image.SetSpacing(size.spacing_mm)
    sitk.WriteImage(image, path, useCompression=True)


def draw(size: Size) -> np.ndarray:
    """A body of smooth tissues in air, with a scanner's blur and noise: int16 HU (k, j, i)."""
    from scipy.ndimage import gaussian_filter, zoom

    random = np.random.default_rng(_SEED)
    extent_mm = np.array(size.shape) * size.spacing_mm[::-1]
    coarse = random.standard_normal(np.ceil(extent_mm / _STRUCTURE_MM).astype(int) + 1, dtype=np.float32)
    field = zoom(coarse, np.array(size.shape) / coarse.shape, order=3, mode="nearest", grid_mode=True)
    image = _TISSUE_HU[np.digitize(field, np.quantile(coarse, (0.2, 0.35, 0.5, 0.7, 0.9)))]
    image[~_body(size.shape)] = _AIR_HU
    image = gaussian_filter(image, sigma=0.7, output=np.float32)
    image += random.standard_normal(image.shape, dtype=np.float32) * _NOISE_HU
    return np.rint(image, out=image).astype(np.int16)


def _body(shape: tuple[int, int, int]) -> np.ndarray:
    """An elliptic cylinder along k."""
    _, j, i = (np.linspace(-1, 1, n, dtype=np.float32) for n in shape)
    slice_ = (j[:, None] / 0.7) ** 2 + (i[None, :] / 0.9) ** 2 < 1
    return np.broadcast_to(slice_, shape)


def _write_model(folder: Path, features: tuple[int, ...]) -> None:
    import torch
    from safetensors.torch import save_file

    from MedSegDLLib.networks import create

    spec = _specification(features)
    torch.manual_seed(_SEED)
    network = create(spec.network.name, 3, 1, CLASSES, **spec.network.arguments)
    _smooth(network)
    (folder / WEIGHTS).parent.mkdir(parents=True)
    save_file(network.state_dict(), folder / WEIGHTS)
    _write_graph(network.eval(), folder / GRAPH, spec.patch_kji)
    write_metadata(folder, {"name": "benchmark", "version": "1.0.0"}, spec)


def _write_graph(network, path: Path, patch_kji: tuple[int, int, int]) -> None:
    """What a CPU runs: the network in OpenVINO's format, for windows of one size."""
    import torch

    from MedSegDLLib.engine.private_openvino import openvino

    window = torch.zeros((1, 1, *patch_kji))
    openvino.save_model(openvino.convert_model(network, example_input=window, input=window.shape), path, False)


def _smooth(network) -> None:
    """Keep the random mixing of channels, but let every kernel blur in space.

    The labels then form regions, as a trained network's do. Plain random kernels give salt and pepper, on which neither
    the agreement of two peers nor the cost of resampling and writing labels says anything about real use.
    """
    import torch

    binomial = torch.tensor([1.0, 2.0, 1.0])
    blur = torch.einsum("k,j,i->kji", binomial, binomial, binomial)
    for parameter in network.parameters():
        if parameter.ndim == 5:
            profile = blur if parameter.shape[2:] == blur.shape else torch.ones(parameter.shape[2:])
            mixing = parameter.data.mean(dim=(2, 3, 4), keepdim=True)
            parameter.data = mixing * profile


def _specification(features: tuple[int, ...]) -> Specification:
    finest_head = f"decoder.heads.{len(features) - 2}.weight"
    return Specification(
        network=Network("nnunet", 3, 1, CLASSES, finest_head, {"features": list(features)}),
        modality=("CT",),
        orientation="LPS",
        spacing_mm=(1.5, 1.5, 1.5),
        patch=(128, 128, 128),
        intensity=Intensity("window", low=-950.0, high=500.0, mean=-80.0, std=300.0),
        labels=tuple(Label(n, f"label {n}", (0, 0, 0), _nothing_known()) for n in range(1, CLASSES)),
        licence="CC0-1.0",
        inference=Inference(overlap=0.5, mirror=False),
    )


def _nothing_known() -> Terminology:
    return Terminology(Code("SCT", "85756007", "Tissue"), Code("SCT", "85756007", "Tissue"))
