"""Small data sets for tests, in the forms in which people have them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset

from dicom_makers import make_rtstruct, save
from MedSegDLLib.dicom.segmentation import write_dicom_seg
from MedSegDLLib.dicom.series import find_series
from MedSegDLLib.files import write_volume
from MedSegDLLib.labels import Code, Label, Terminology
from MedSegDLLib.volume import LPS_TO_RAS, Volume
from MedSegTrainLib.data.phantom_dicom import write_ct_series

SHAPE = (8, 10, 12)
MATRIX = np.array([[-1.5, 0, 0, 20], [0, -1.5, 0, -30], [0, 0, 3.0, 40], [0, 0, 0, 1]])
_ANATOMY = Code("SCT", "123037004", "Anatomical Structure")
LIVER = Label(1, "Leber", (200, 100, 50), Terminology(_ANATOMY, Code("SCT", "10200004", "Liver")))
KIDNEYS = tuple(
    Label(
        value,
        name,
        (180, 90, 80),
        Terminology(_ANATOMY, Code("SCT", "64033007", "Kidney"), Code("SCT", code, side)),
    )
    for value, name, code, side in ((2, "Niere 1", "7771000", "Left"), (3, "Niere 2", "24028007", "Right"))
)
Box = tuple[slice, slice, slice]


def box(k: tuple[int, int], j: tuple[int, int], i: tuple[int, int]) -> Box:
    return slice(*k), slice(*j), slice(*i)


def image(seed: int, shape=SHAPE, matrix=MATRIX) -> Volume:
    array = np.random.default_rng(seed).integers(-100, 100, shape).astype(np.int16)
    return Volume(array, matrix, "CT", f"scan {seed}")


def labels_of(boxes: dict[int, Box], shape=SHAPE, matrix=MATRIX) -> Volume:
    array = np.zeros(shape, np.uint8)
    for value, region in boxes.items():
        array[region] = value
    return Volume(array, matrix)


FIRST, SECOND = box((1, 4), (2, 6), (3, 8)), box((4, 7), (6, 9), (1, 5))


def write_pair(folder: Path, name: str, seed: int, boxes=None, suffix=".nii.gz", names=("images", "labels")) -> None:
    """Image and labels, by default with the values 1 and 2."""
    for part, volume in zip(names, (image(seed), labels_of(boxes or {1: FIRST, 2: SECOND}))):
        (folder / part).mkdir(parents=True, exist_ok=True)
        write_volume(volume, folder / part / f"{name}{suffix}")


def write_pairs(folder: Path, count: int) -> Path:
    for n in range(count):
        write_pair(folder, f"case_{n}", seed=n)
    return folder


def write_microscopy(folder: Path, name: str, objects: list[tuple[slice, slice]], colors: int = 4) -> np.ndarray:
    """A picture of 20 x 16 pixels and a mask for each object; the picture's pixels (j, i, colors)."""
    place = folder / name
    pixels = np.random.default_rng(len(name)).integers(0, 255, (16, 20, colors)).astype(np.uint8)
    (place / "images").mkdir(parents=True)
    (place / "masks").mkdir()
    sitk.WriteImage(sitk.GetImageFromArray(pixels, isVector=True), str(place / "images" / f"{name}.png"))
    for n, region in enumerate(objects):
        mask = np.zeros((16, 20), np.uint8)
        mask[region] = 255
        sitk.WriteImage(sitk.GetImageFromArray(mask), str(place / "masks" / f"{n}.png"))
    return pixels


def write_patient(
    folder: Path, patient: str, regions: dict[str, Box], seed: int = 0, dated: str = "20200101"
) -> Volume:
    """A CT series in folder/image and an RTSTRUCT that names it in folder/mask; returns the image."""
    volume = image(seed)
    write_ct_series(volume, folder / "image", patient)
    write_rtstruct(folder / "mask" / "struct.dcm", folder / "image", volume, regions, dated)
    return volume


def write_rtstruct(path: Path, series_folder: Path, volume: Volume, regions: dict[str, Box], dated="20200101") -> Path:
    """Boxes as contours along the edges of their voxels, on the slices of the series."""
    (series,) = find_series(series_folder)
    dataset = make_rtstruct([(name, _contours(volume, region)) for name, region in regions.items()])
    header = series.headers[0]
    dataset.PatientID, dataset.StudyInstanceUID = header.PatientID, header.StudyInstanceUID
    dataset.FrameOfReferenceUID = header.FrameOfReferenceUID
    dataset.StructureSetDate = dated
    named, study, frame = Dataset(), Dataset(), Dataset()
    named.SeriesInstanceUID = series.uid
    study.RTReferencedSeriesSequence = [named]
    frame.FrameOfReferenceUID = header.FrameOfReferenceUID
    frame.RTReferencedStudySequence = [study]
    dataset.ReferencedFrameOfReferenceSequence = [frame]
    path.parent.mkdir(parents=True, exist_ok=True)
    return save(dataset, path)


def write_seg(path: Path, series_folder: Path, volume: Volume, labels: tuple[Label, ...], labelmap: np.ndarray) -> None:
    """A DICOM SEG on the series that `volume` was written to."""
    (series,) = find_series(series_folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_dicom_seg(path, labelmap, labels, series, volume, "drawn", "1")


def edit_table(path: Path, **changes: dict[str, str]) -> None:
    """Change cells of a structure table as a user would: changes[name in data][column] = text."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row.update(changes.get(row["name in data"], {}))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def _contours(volume: Volume, region: Box) -> list[np.ndarray]:
    k, j, i = region
    corners = [(i.start, j.start), (i.stop, j.start), (i.stop, j.stop), (i.start, j.stop)]
    planes = range(k.start, k.stop)
    return [volume.grid.ras([(x - 0.5, y - 0.5, plane) for x, y in corners]) @ LPS_TO_RAS[:3, :3] for plane in planes]
