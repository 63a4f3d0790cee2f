import subprocess
import sys
from pathlib import Path

import pytest
from made_records import record, write
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
BOX = (0.25, 0.2, 0.75, 0.5)


def sheet(*flags, cwd):
    command = [sys.executable, ROOT / "object_detection" / "augmentation_sheet.py", "--cell=64"]
    return subprocess.run([*command, *flags], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_sheet_of_steps_on_drawn_pictures(tmp_path):
    done = sheet(
        "--step=random_horizontal_flip {}", "--step=copy_paste {}", "--seeds=2", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "augmentation_sheet.png") as picture:
        # Two steps beside each other; a title above three pictures with a margin of 4.
        assert picture.size == (2 * 3 * (64 + 4), 64 + 16)


@pytest.mark.slow
def test_a_sheet_of_a_config_on_records(tmp_path):
    records = [record([BOX], size=(40, 50), seed=seed, masks=True) for seed in range(3)]
    path = write(tmp_path / "a.record", records)
    (tmp_path / "a.config").write_text(
        "train_config { data_augmentation_options { random_vertical_flip { } } "
        "data_augmentation_options { random_scale_crop_and_pad { } } }"
    )
    done = sheet(
        f"--records={path}",
        "--pipeline_config_path=a.config",
        "--columns=1",
        "--output=b.png",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "3 steps on b.png" in done.stdout  # both, and all in turn
    with Image.open(tmp_path / "b.png") as picture:
        assert picture.size == (5 * (64 + 4), 3 * (64 + 16))


@pytest.mark.slow
def test_a_step_that_is_none_is_named(tmp_path):
    done = sheet("--step=random_hat {}", cwd=tmp_path)
    assert done.returncode == 1 and "random_hat" in done.stderr
    assert "Traceback" not in done.stderr
