"""Which DICOM objects are images that can be segmented, and a sentence for those that are not."""

from __future__ import annotations

from pydicom import uid
from pydicom.dataset import Dataset

from ..errors import InputError, OtherObjectError

_CHOOSE = "Choose a series of CT, MR or PET slices."
_NOT_GREY_VALUES = {
    uid.SegmentationStorage: "a segmentation",
    "1.2.840.10008.5.1.4.1.1.66.7": "a segmentation",  # Label Map Segmentation Storage, newer than pydicom's list
    uid.RTDoseStorage: "a dose distribution",
}


def check_is_image(header: Dataset) -> None:
    """Raise InputError for an object that is not a stack of grey-value slices, judged by its header.

    It is an OtherObjectError where the object is not meant to be one. Raises EOFError where it should be an image, but
    its header ends too soon.
    """
    storage_class = uid.UID(header.get("SOPClassUID", ""))
    if storage_class in _NOT_GREY_VALUES:
        raise OtherObjectError(f"The DICOM object is {_NOT_GREY_VALUES[storage_class]}, not an image.", _CHOOSE)
    if not (header.get("Rows") and header.get("Columns")):
        raise _no_image(storage_class)
    if is_localizer(header):
        raise OtherObjectError("The series is a localiser (scout), not a stack of slices.", _CHOOSE)
    if int(header.get("SamplesPerPixel") or 1) > 1 or header.get("PhotometricInterpretation") == "PALETTE COLOR":
        raise OtherObjectError("The series holds colour images; a model needs grey values.", _CHOOSE)
    if header.get("ModalityLUTSequence"):
        raise InputError(
            "The series gives its grey values through a lookup table, which cannot be read.",
            "Export it again with RescaleSlope and RescaleIntercept.",
        )


def _no_image(storage_class: uid.UID) -> Exception:
    kind = storage_class.name.removesuffix(" Storage") or "object"
    if kind.endswith("Image"):
        return EOFError("The header ends before the size of the image.")
    return OtherObjectError(f"The DICOM object ({kind}) holds no image: it has no pixel data.", _CHOOSE)


def is_localizer(header: Dataset) -> bool:
    image_type = header.get("ImageType") or []
    return "LOCALIZER" in ([image_type] if isinstance(image_type, str) else image_type)
