"""The batch of a step that went wrong, kept as numbers and pictures."""

import numpy as np
import tiny_run
from PIL import Image

from object_detection.training import inspection


def test_all_numbers_and_a_picture_of_each_image(tmp_path):
    batch = tiny_run.batch_number(3)
    batch.truth.boxes[0, 1] = np.nan
    batch.images.pixels[1, 0, 0] = np.inf

    folder = inspection.keep_batches(tmp_path / "kept", [batch, tiny_run.batch_number(4)])

    assert folder == tmp_path / "kept"
    names = sorted(path.name for path in folder.iterdir())
    assert names[:3] == ["batch0.npz", "batch0_image0.png", "batch0_image1.png"]
    assert len(names) == 6
    with np.load(folder / "batch0.npz") as stored:
        np.testing.assert_array_equal(stored["truth.boxes"], batch.truth.boxes)
        assert stored["image_id"].tolist() == [b"image3_0", b"image3_1"]
    with Image.open(folder / "batch0_image0.png") as picture:
        assert picture.size == (8, 6)


def test_a_folder_that_cannot_be_written_is_no_second_failure(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    assert inspection.keep_batches(tmp_path / "file" / "kept", []) is None
    assert "could not be kept" in caplog.text
