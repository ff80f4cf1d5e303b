"""What all tests share: one thread a library, no window, and the real images."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest

# Read by the libraries when they are first imported; a test's child processes inherit them.
for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
    os.environ.setdefault(_threads, "1")
os.environ["MPLBACKEND"] = "Agg"
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="medseg-test-cache-")  # compiled graphs of a thousand toy models
atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the public data sets; skips where they are not at hand."""
    folder = Path(os.environ.get("MEDSEG_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"needs the test data sets: set MEDSEG_TEST_DATA to their folder (looked in {folder})")
    return folder
