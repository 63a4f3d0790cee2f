"""TensorFlow Serving's model config file."""

from pathlib import Path

import pytest

from object_detection.serving import model_config

TEXT = """
# Two models.
model_config_list {
  config {
    name: "shapes" base_path: "/models/shapes" model_platform: "tensorflow"
    model_version_policy { latest { num_versions: 2 } }
    version_labels { key: "stable" value: 3 }
    version_labels { key: "canary" value: 4 }
  }
  config: { name: "cells", base_path: "/models/cells",
            model_version_policy: { specific: { versions: 1 versions: 7 } } }
  config { name: "all" base_path: "a" model_version_policy { all {} } }
  config { name: "plain" base_path: "p" }
}
"""


def read(tmp_path, text):
    path = tmp_path / "models.config"
    path.write_text(text)
    return model_config.load_model_configs(path)


def test_every_field(tmp_path):
    shapes, cells, everything, plain = read(tmp_path, TEXT)

    assert shapes.name == "shapes" and shapes.base_path == Path("/models/shapes")
    assert shapes.latest == 2 and shapes.labels == {"stable": 3, "canary": 4}
    assert cells.specific == (1, 7)
    assert everything.latest is None
    assert plain.latest == 1 and plain.specific == ()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("model_config_list { config { nam: 'x' } }", "nam"),
        ("", "none"),
        ("model_config_list { config { name: 'a' } }", "no base_path"),
        ("model_config_list { config { base_path: 'a' } }", "model name ''"),
        ("model_config_list { config { name: '../x' base_path: 'a' } }", "model name '../x'"),
        (
            "model_config_list { config { name: 'a' base_path: 'a' model_platform: 'pytorch' } }",
            "'pytorch'",
        ),
        (
            "model_config_list { config { name: 'a' base_path: 'a' } "
            "config { name: 'a' base_path: 'b' } }",
            "a, a",
        ),
    ],
)
def test_faults(tmp_path, text, what):
    with pytest.raises(ValueError, match="models.config|model name") as error:
        read(tmp_path, text)
    assert what in str(error.value)


def test_it_is_what_tensorflow_serving_reads(tmp_path):
    pytest.importorskip("tensorflow_serving", reason="tensorflow-serving-api is not installed")
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    theirs = text_format.Parse(TEXT, model_server_config_pb2.ModelServerConfig())

    for ours, config in zip(read(tmp_path, TEXT), theirs.model_config_list.config, strict=True):
        assert (ours.name, str(ours.base_path)) == (config.name, config.base_path)
        assert ours.labels == dict(config.version_labels)
