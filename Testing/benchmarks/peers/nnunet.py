"""nnU-Net as its predictor runs one case: its own reader, preprocessing, sliding window, export and writer.

All in this process. What `nnUNetv2_predict` adds, worker processes that import torch and nnU-Net again, is left out.
"""

from __future__ import annotations

import torch
from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from case import CLASSES, Case
from measure import Steps, time_forward
from MedSegDLLib.bundle import Specification


def run(case: Case, steps: Steps, threads: int) -> None:
    torch.set_num_threads(threads)
    with steps("load"):
        predictor = _predictor(case)
        time_forward(predictor.network, steps)
        plans, configuration = predictor.plans_manager, predictor.configuration_manager
        preprocessor = configuration.preprocessor_class(verbose=False)
        files = plans.image_reader_writer_class()
    with steps("read"):
        image, properties = files.read_images([str(case.image_path)])
    with steps("preprocess"):
        data, _, properties = preprocessor.run_case_npy(
            image, None, properties, plans, configuration, predictor.dataset_json
        )
        del image
    with steps("sliding window"):
        logits = predictor.predict_logits_from_preprocessed_data(torch.from_numpy(data))
        del data
    with steps("labels"):
        labels = convert_predicted_logits_to_segmentation_with_correct_shape(
            logits,
            plans,
            configuration,
            predictor.label_manager,
            properties,
            num_threads_torch=threads,
        )
        del logits
    with steps("write"):
        files.write_seg(labels, str(case.labels_path("nnunet")), properties)


def _predictor(case: Case) -> nnUNetPredictor:
    network, spec = case.load_network(), case.bundle.spec
    plans = PlansManager(_plans(spec))
    predictor = nnUNetPredictor(
        tile_step_size=1 - spec.inference.overlap,
        use_gaussian=True,
        use_mirroring=spec.inference.mirror,
        device=torch.device("cpu"),
        allow_tqdm=False,
    )
    predictor.manual_initialization(
        network,
        plans,
        plans.get_configuration("3d_fullres"),
        [network.state_dict()],
        _dataset(),
        "nnUNetTrainer",
        inference_allowed_mirroring_axes=None,
    )
    return predictor


def _dataset() -> dict:
    labels = {"background": 0} | {f"label {n}": n for n in range(1, CLASSES)}
    return {"channel_names": {"0": "CT"}, "labels": labels, "numTraining": 1, "file_ending": ".nii.gz"}


def _plans(spec: Specification) -> dict:
    """What nnU-Net's planner would write: its default preprocessor, its default resampling of image and logits."""
    rule = spec.intensity
    return {
        "dataset_name": "Dataset001_Benchmark",
        "plans_name": "nnUNetPlans",
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {
            "0": {"mean": rule.mean, "std": rule.std, "percentile_00_5": rule.low, "percentile_99_5": rule.high}
        },
        "configurations": {
            "3d_fullres": {
                "data_identifier": "nnUNetPlans_3d_fullres",
                "preprocessor_name": "DefaultPreprocessor",
                "batch_size": 1,
                "patch_size": list(spec.patch_kji),
                "spacing": list(spec.spacing_mm[::-1]),
                "normalization_schemes": ["CTNormalization"],
                "use_mask_for_norm": [False],
                "architecture": {},  # read by trainers only; the network is handed over
                **_default_resampling("data", is_seg=False, order=3),
                **_default_resampling("seg", is_seg=True, order=1),
                **_default_resampling("probabilities", is_seg=False, order=1),
            }
        },
    }


def _default_resampling(what: str, is_seg: bool, order: int) -> dict:
    return {
        f"resampling_fn_{what}": "resample_data_or_seg_to_shape",
        f"resampling_fn_{what}_kwargs": {"is_seg": is_seg, "order": order, "order_z": 0, "force_separate_z": None},
    }
