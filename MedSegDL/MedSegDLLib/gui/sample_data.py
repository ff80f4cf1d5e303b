"""Our sample in Slicer's module Sample Data."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from ..bundle import sha256
from ..models import SAMPLE

SAMPLE_NAME = "MedSegThoraxPhantom"


def registerSample() -> None:
    """Offer a drawn phantom for the model `thorax-phantom`, which works without a network.

    What the README's other tutorials use, CTChest and MRHead, is in Sample Data already. The address is that of our own
    file: Sample Data copies from it as it downloads from elsewhere, for its button and for scripts alike, whereas what
    it calls a custom downloader serves the button only.
    """
    if not hasattr(slicer.modules, "sampledata"):
        return
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="MedSegDL",
        sampleName=SAMPLE_NAME,
        uris=SAMPLE.as_uri(),
        fileNames=SAMPLE.name,
        nodeNames=_("Thorax phantom"),
        checksums=f"SHA256:{sha256(SAMPLE)}",
    )
