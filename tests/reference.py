"""Where the reference data lies, for tests that compare with it; they skip without it."""

import os
from pathlib import Path

import pytest

_CANDIDATE = Path(os.environ.get("OD_SHARED", Path(__file__).parents[2] / "shared"))
REFERENCE = _CANDIDATE if (_CANDIDATE / "reference" / "parity").is_dir() else None

needs_reference = pytest.mark.skipif(
    REFERENCE is None, reason="the reference data is not here (set OD_SHARED to its folder)"
)


def blocks(name):
    """The arrays of parity block `name` as a dict, or None where the reference data is absent."""
    import numpy as np

    if REFERENCE is None:
        return None
    with np.load(REFERENCE / "reference" / "parity" / "blocks" / f"{name}.npz") as arrays:
        return dict(arrays)
