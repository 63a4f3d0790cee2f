"""The tour's command: learns a photograph, then looks into a network that is there already."""

import json
import subprocess
import sys
from pathlib import Path

import made_tour
import pytest
import tiny_models

ROOT = Path(__file__).parents[2]
TRAINING = """
train_config {
  batch_size: 1
  num_steps: 2
  optimizer { adam_optimizer {
    learning_rate { constant_learning_rate { learning_rate: 0.001 } } } use_moving_average: false }
}
train_input_reader {
  label_map_path: "PATH_TO_BE_CONFIGURED"
  tf_record_input_reader { input_path: "PATH_TO_BE_CONFIGURED" }
  load_instance_masks: true
  mask_type: PNG_MASKS
}
"""


def _tour(*flags):
    return subprocess.run(
        [sys.executable, "-m", "object_detection.tour", *flags],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tour")
    (folder / "small.config").write_text(f"model {{ {tiny_models.PYRAMID} }} {TRAINING}")
    return *made_tour.write_photograph(folder), folder


@pytest.fixture(scope="module")
def learned(photo):
    image, annotations, folder = photo
    done = _tour(
        f"--image={image}",
        f"--annotations_file={annotations}",
        f"--pipeline_config_path={folder / 'small.config'}",
        f"--output={folder / 'tour'}",
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder / "tour"


@pytest.mark.slow
def test_the_command_trains_and_writes_the_page(learned):
    numbers = json.loads((learned / "how_it_works" / "numbers.json").read_text())
    assert numbers["anchors"]["total"] == 1530  # of 64 x 96 pixels
    assert numbers["photograph"]["objects"] == ["cup", "saucer"]
    assert numbers["losses"]["Loss/total_loss"] > 0
    assert len(list((learned / "how_it_works").glob("*.jpg"))) == 12
    assert (
        "2 steps of training on this photograph only" in (learned / "how_it_works.md").read_text()
    )


@pytest.mark.slow
def test_the_command_looks_into_a_trained_network(learned, photo):
    image, _, folder = photo
    done = _tour(
        f"--image={image}", f"--model_dir={learned / 'model'}", f"--output={folder / 'again'}"
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "11 pictures" in done.stdout
    numbers = json.loads((folder / "again" / "how_it_works" / "numbers.json").read_text())
    assert numbers["losses"] is None
    assert numbers["model"]["weights"] == "those of model"


@pytest.mark.slow
def test_the_command_says_what_is_missing(photo):
    image, _, folder = photo
    done = _tour(f"--image={image}", f"--output={folder / 'none'}")
    assert done.returncode == 1
    assert "there is nothing to train on" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_the_notebook_runs(learned, photo):
    nbformat = pytest.importorskip("nbformat", reason="of the extra `notebooks`")
    nbclient = pytest.importorskip("nbclient", reason="of the extra `notebooks`")
    pytest.importorskip("ipykernel", reason="of the extra `notebooks`")
    image, annotations, _ = photo
    notebook = nbformat.read(ROOT / "notebooks" / "inspect_model.ipynb", as_version=4)
    (parameters,) = [
        cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ())
    ]
    parameters.source = (
        f"IMAGE, ANNOTATIONS = {str(image)!r}, {str(annotations)!r}\n"
        f"MODEL_DIR = {str(learned / 'model')!r}\n"
        f"LABEL_MAP = {str(learned / 'data' / 'label_map.pbtxt')!r}"
    )
    client = nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3")
    client.execute(cwd=str(ROOT / "notebooks"))
    shown = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "image/png" in output.get("data", {})
    ]
    assert len(shown) == 14
