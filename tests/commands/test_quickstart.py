"""The way of the README's first command, with two steps of training instead of all."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEEDED = ("object_detection", "dataset_tools", "samples", "scripts")


@pytest.mark.slow
def test_every_command_of_the_quickstart_follows_from_the_one_before(tmp_path):
    for folder in NEEDED:
        shutil.copytree(ROOT / folder, tmp_path / folder)
    environment = os.environ | {"PYTHON": sys.executable, "PYTHONPATH": str(tmp_path)}

    done = subprocess.run(
        ["scripts/quickstart.sh", "--num_train_steps=2"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "after 2 steps:\n  mask mAP (COCO AP@[.5:.95]): 0." in done.stdout
    out = tmp_path / "quickstart_run"
    assert len(list((out / "predictions").glob("*.png"))) == 48
    assert len(list((out / "predictions").glob("*.json"))) == 48
    assert (out / "exported" / "saved_model" / "saved_model.pb").is_file()
