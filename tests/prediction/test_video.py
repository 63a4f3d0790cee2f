"""Videos: frames in, predictions and a drawn video out."""

import numpy as np
import pytest
from bright_segmenter import BrightSegmenter

from object_detection.prediction import video
from object_detection.prediction.predictor import Predictor


@pytest.fixture
def film(tmp_path):
    pytest.importorskip("cv2", reason="needs OpenCV (extra `video`)")
    path = tmp_path / "film.mp4"
    file = video.VideoFile(path, 10.0)
    for place in range(5):
        frame = np.zeros([64, 96, 3], np.uint8)
        frame[16:32, 8 * place : 8 * place + 24, 0] = 255
        file.add(frame)
    file.close()
    return path


def test_frames_and_predictions(film):
    frames = video.frames(film)
    assert (frames.rate, frames.count, frames.is_live) == (10.0, 5, False)

    seen = list(Predictor(BrightSegmenter(), 0.5, batch_size=2).predict_video(film))

    assert len(seen) == 5
    for place, (frame, prediction) in enumerate(seen):
        assert frame.shape == (64, 96, 3)
        best = prediction.boxes[np.argmax(prediction.boxes[:, 3] - prediction.boxes[:, 1])]
        np.testing.assert_allclose(best, [16, 8 * place, 32, 8 * place + 24], atol=3)
        assert prediction.classes[0] == 1  # red stays red: OpenCV has blue first


def test_the_number_of_frames_can_be_bounded(film):
    assert len(list(video.frames(film, 2))) == 2


def test_what_is_no_video(tmp_path):
    pytest.importorskip("cv2", reason="needs OpenCV (extra `video`)")
    with pytest.raises(ValueError, match="there is no video"):
        video.frames(tmp_path / "none.mp4")
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(ValueError, match="OpenCV cannot open .*text.mp4 as a video"):
        video.frames(tmp_path / "text.mp4")


def test_without_opencv_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    with pytest.raises(
        ValueError,
        match=r"need OpenCV, which is not installed.*pip install --editable '\.\[video\]'",
    ):
        video.frames("film.mp4")


def test_webcams_are_numbers():
    assert video.is_webcam(0) and video.is_webcam("1")
    assert not video.is_webcam("film.mp4") and not video.is_webcam("rtsp://host/1")
