"""Prediction from weights in other forms than a SavedModel."""

import made_weights
import numpy as np
import pytest
from fake_detector import bright_rectangle

from object_detection.checkpoints.variables import checkpoint_of
from object_detection.config import pipeline_file
from object_detection.ops import image
from object_detection.prediction import loaded_model
from object_detection.prediction.predictor import Predictor

CONFIG = """
model { faster_rcnn { image_resizer { identity_resizer { } } } }
train_input_reader { label_map_path: "%s" }
"""


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """An export's folder without a SavedModel, for a detector that finds bright rectangles."""

    def build_network(config, is_training):
        assert not is_training
        network = bright_rectangle()
        network.blocks[0].kernel.assign([[0.5]])
        return network

    monkeypatch.setattr(loaded_model.model_builder, "build_network", build_network)
    (tmp_path / "map.pbtxt").write_text("item { id: 2 name: 'bright' }")
    folder = tmp_path / "export"
    (folder / "checkpoint").mkdir(parents=True)
    checkpoint_of(bright_rectangle()).write(str(folder / "checkpoint" / "ckpt-0"))
    (folder / "pipeline.config").write_text(CONFIG % (tmp_path / "map.pbtxt"))
    return folder


def picture():
    image = np.zeros([40, 60, 3], np.uint8)
    image[10:30, 12:42] = 255
    return image


@pytest.mark.parametrize("form", ["export", "export/checkpoint/ckpt-0", "export.tar.gz"])
def test_weights_with_their_config(weights, tmp_path, form):
    made_weights.write_archive(tmp_path / "export.tar.gz", weights)
    prediction = Predictor(tmp_path / form).predict(picture())
    np.testing.assert_allclose(prediction.boxes, [[10, 12, 30, 42]], atol=1e-4)
    assert prediction.scores.tolist() == [0.75]  # the file's, not the fresh network's .5
    assert prediction.names == ("bright",)


def test_weights_and_their_config_apart(weights, tmp_path):
    config = tmp_path / "my.config"
    (weights / "pipeline.config").rename(config)
    with pytest.raises(ValueError, match="weights without their pipeline.config: give it"):
        Predictor(weights)
    predictor = Predictor(weights, pipeline_config=config, label_map={2: "given"})
    assert predictor.predict(picture()).names == ("given",)


def test_a_config_in_an_archive_is_named_in_its_errors(weights, tmp_path):
    (weights / "pipeline.config").write_text("model { faster_rcn { } }")
    made_weights.write_archive(tmp_path / "export.tar.gz", weights, name="zoo")
    with pytest.raises(ValueError, match=r"export.tar.gz \(zoo/pipeline.config\)"):
        Predictor(tmp_path / "export.tar.gz")
    text = (weights / "pipeline.config").read_text() + "# \u00e4\n"
    (weights / "pipeline.config").write_bytes(text.encode("utf-16")[:-1])
    made_weights.write_archive(tmp_path / "export.tar.gz", weights, name="zoo")
    with pytest.raises(ValueError, match=r"zoo/pipeline.config\):1:28: .* neither whole UTF-16"):
        Predictor(tmp_path / "export.tar.gz")
    assert pipeline_file.NAME == "pipeline.config"


def test_the_shorter_side_can_be_set(weights):
    predictor = Predictor(weights, 0.5, min_image_size=80)  # the picture's is 40
    found = predictor.predict(picture())
    np.testing.assert_allclose(found.boxes, [[10, 12, 30, 42]], atol=0.6)


def test_a_resizer_with_another_shorter_side():
    keep = image.KeepAspectRatio(600, 1024, method=image.BICUBIC)
    other = loaded_model.with_shorter_side(keep, 300)
    assert (other.min_dimension, other.max_dimension) == (300, 512)  # 1024 / 600 * 300
    assert other.method == image.BICUBIC
    free = loaded_model.with_shorter_side(image.Identity(), 200)
    assert (free.min_dimension, free.max_dimension) == (200, 600)
    fixed = loaded_model.with_shorter_side(image.FixedShape(64, 64, image.AREA), 32)
    assert [int(side) for side in fixed.true_shape(100, 50)] == [64, 32]
