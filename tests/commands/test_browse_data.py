"""browse_data as people type it."""

import json
import os
import subprocess
import sys

import pytest
from made_records import record, write

LABEL_MAP = 'item { id: 1 name: "cat" }\n'


def browse(*flags, cwd):
    return subprocess.run(
        [sys.executable, "-m", "object_detection.browse_data", *flags],
        cwd=cwd,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture
def folder(tmp_path):
    box = (0.25, 0.2, 0.75, 0.6)
    write(tmp_path / "a.record", [record([box], masks=True, seed=k) for k in range(3)])
    (tmp_path / "label_map.pbtxt").write_text(LABEL_MAP)
    (tmp_path / "pipeline.config").write_text(
        """
        model { faster_rcnn { num_classes: 1
          image_resizer { fixed_shape_resizer { height: 32 width: 32 } } } }
        train_config { batch_size: 2 }
        train_input_reader { name: "mine" label_map_path: "label_map.pbtxt"
          load_instance_masks: true mask_type: PNG_MASKS
          tf_record_input_reader { input_path: "a.record" } }
        eval_input_reader { label_map_path: "label_map.pbtxt"
          tf_record_input_reader { input_path: "nowhere.record" } }
        """
    )
    return tmp_path


def test_records_and_config(folder):
    done = browse(
        "--pipeline_config_path=pipeline.config",
        "--output=pages/data.html",
        "--json_output=data.json",
        cwd=folder,
    )

    assert done.returncode == 0, done.stderr
    assert "As stored. 3 records of 1 file(s)" in done.stdout
    assert "As the model sees them" in done.stdout
    assert "cat" in done.stdout
    page = (folder / "pages" / "data.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg") == 6
    figures = json.loads((folder / "data.json").read_text(encoding="utf-8"))
    assert [each["view"] for each in figures] == ["As stored", "As the model sees them"]


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ((), "give either --records or --pipeline_config_path"),
        (("--records=b*",), "--records: no file matches 'b*'"),
        (
            ("--pipeline_config_path=pipeline.config", "--reader=tset"),
            "--reader=tset: pipeline.config has the readers train, mine, eval",
        ),
        (("--pipeline_config_path=pipeline.config", "--reader=eval"), "eval_input_reader.tf_rec"),
    ],
)
def test_errors_are_one_sentence(flags, sentence, folder):
    done = browse(*flags, cwd=folder)

    assert done.returncode == 1
    assert sentence in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
