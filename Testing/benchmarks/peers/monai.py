"""MONAI as its bundles infer: transforms, sliding window, the transforms inverted on the logits, argmax.

The interpolation is linear, as in the bundles; weights and overlap of the windows are those of the other peers. MONAI
lays its grid from the first voxel's centre, the others between the image's edges: half a voxel apart at most.
"""

from __future__ import annotations

import torch
from monai.inferers import SlidingWindowInferer
from monai.transforms import (
    AsDiscreted,
    Compose,
    EnsureChannelFirstd,
    Invertd,
    LoadImaged,
    Orientationd,
    SaveImage,
    ScaleIntensityRanged,
    Spacingd,
)

from case import Case
from measure import Steps, time_forward
from MedSegDLLib.bundle import Specification


def run(case: Case, steps: Steps, threads: int) -> None:
    torch.set_num_threads(threads)
    with steps("load"):
        spec = case.bundle.spec
        network = case.load_network()
        time_forward(network, steps)
        read = Compose([LoadImaged("image"), EnsureChannelFirstd("image")])
        preprocess = _preprocessing(spec)
        inferer = SlidingWindowInferer(spec.patch_kji, overlap=spec.inference.overlap, mode="gaussian")
        restore = Invertd("logits", preprocess, orig_keys="image", nearest_interp=False)
        choose = AsDiscreted("logits", argmax=True)
        write = SaveImage(case.folder, "monai", output_dtype="uint8", resample=False, separate_folder=False)
    with steps("read"):
        data = read({"image": case.image_path})
    with steps("preprocess"):
        data = preprocess(data)
    with steps("sliding window"), torch.inference_mode():
        data["logits"] = inferer(data["image"][None], network)[0]
    with steps("labels"):
        data = choose(restore(data))
    with steps("write"):
        write(data["logits"])


def _preprocessing(spec: Specification) -> Compose:
    """Axes in the order k, j, i of the other peers, so that the same weights see the same image."""
    rule = spec.intensity
    return Compose(
        [
            Orientationd("image", axcodes=spec.orientation[::-1]),
            Spacingd("image", pixdim=spec.spacing_mm[::-1], mode="bilinear"),
            ScaleIntensityRanged(
                "image",
                a_min=rule.low,
                a_max=rule.high,
                b_min=(rule.low - rule.mean) / rule.std,
                b_max=(rule.high - rule.mean) / rule.std,
                clip=True,
            ),
        ]
    )
