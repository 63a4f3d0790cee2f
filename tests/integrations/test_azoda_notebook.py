"""The notebook that tests a deployment, executed as it stands."""

import io
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "test_deployment.ipynb"


@pytest.mark.slow
def test_the_notebook_starts_a_service_asks_it_unmolds_and_draws():
    nbformat = pytest.importorskip("nbformat", reason="of the extra `notebooks`")
    nbclient = pytest.importorskip("nbclient", reason="of the extra `notebooks`")
    pytest.importorskip("ipykernel", reason="of the extra `notebooks`")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)

    client = nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3")
    client.execute(cwd=str(NOTEBOOK.parent))

    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    message = "".join(output.get("text", "") for output in outputs)
    assert "serving sample_mask at http://127.0.0.1:" in message
    assert [message.count(f"  {name} ") for name in ("disc", "tile", "kite")] == [2, 2, 2]
    assert "filename,xmin,ymin,xmax,ymax,segmentation,class\na.png,170" in message
    assert "the service ended with 0" in message
    before, _, after, _ = (
        np.array(Image.open(io.BytesIO(b64decode(output["data"]["image/png"]))).convert("RGB"))
        for output in outputs
        if "image/png" in output.get("data", {})
    )
    changed = (before != after).any(axis=2)
    assert changed[80, 110] and changed[60, 220] and changed[160, 180]  # disc, tile, kite
    assert not changed[80, 80] and not changed[200, 50]  # the disc's hole, the ground
