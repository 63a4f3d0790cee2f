"""COCODemo's command, on a film and without a screen."""

import argparse

import numpy as np
import pytest
from bright_segmenter import BrightSegmenter

from object_detection.cli import runner
from object_detection.integrations import demo_model, webcam
from object_detection.prediction import video
from object_detection.prediction.predictor import Predictor


@pytest.fixture
def film(tmp_path, monkeypatch):
    pytest.importorskip("cv2", reason="needs OpenCV (extra `video`)")
    file = video.VideoFile(tmp_path / "film.mp4", 8.0)
    for place in range(4):
        frame = np.zeros([64, 96, 3], np.uint8)
        frame[16:40, 8 + place : 60 + place, 0] = 255
        file.add(frame)
    file.close()
    predictor = Predictor(BrightSegmenter(), 0.0, label_map={1: "red"}, warm_up=False)
    opened = demo_model.Opened(predictor, None, 3)
    monkeypatch.setattr(demo_model, "open_model", lambda source, size: opened)
    monkeypatch.setattr(demo_model, "read_cfg", lambda c, w=None: demo_model.Source("x"))
    return tmp_path / "film.mp4"


def flags(*more):
    return webcam.parser().parse_args(["--config-file", "x", *map(str, more)])


def test_a_film_is_drawn_into_another(film, tmp_path, capsys):
    output = tmp_path / "new" / "drawn.mp4"

    webcam.show(flags("--video", film, "--output", output, "--max-frames", 3))

    printed = capsys.readouterr().out.splitlines()
    assert [line.startswith("Time: ") and line.endswith(" s / img") for line in printed[:3]] == [
        True
    ] * 3
    assert printed[3] == f"3 frames in {output}"
    frames = list(video.frames(output))
    before = list(video.frames(film))
    assert len(frames) == 3 and frames[0].shape == (64, 96, 3)
    assert np.abs(frames[0].astype(int) - before[0]).max() > 100  # something is drawn
    assert frames[0][28, 30, 0] > 180 > 90 > frames[0][28, 30, 2]  # and red is still red


def test_the_flags_are_those_of_maskrcnn_benchmark():
    given = flags("--confidence-threshold", 0.5, "--show-mask-heatmaps", "MODEL.DEVICE", "cpu")

    assert given.confidence_threshold == 0.5 and given.show_mask_heatmaps
    assert given.masks_per_dim == 2 and given.min_image_size is None and given.video == "0"
    assert given.opts == ["MODEL.DEVICE", "cpu"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--output", "drawn.avi"], "drawn.avi: the name must end in .mp4"),
        (["--video", "a.mp4", "--output", "a.mp4"], "would overwrite the video itself"),
        (["--max-frames", "0", "--output", "a.mp4"], "--max-frames must be at least 1, got 0"),
        (["--video", "none.mp4", "--output", "a.mp4"], "there is no video none.mp4"),
    ],
)
def test_flags_that_cannot_be(film, tmp_path, monkeypatch, more, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        webcam.show(flags(*more))


def test_without_a_screen_the_other_way_is_named(film, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match="no screen for a window.*--output=drawn.mp4"):
        webcam.show(flags("--video", film))


def test_faults_are_one_sentence_and_a_code(film, monkeypatch, capsys):
    monkeypatch.setattr(webcam, "show", lambda given: (_ for _ in ()).throw(ValueError("no")))
    assert runner.attempt(lambda: webcam.main(["--config-file", "."])) == 1
    assert "error: no" in capsys.readouterr().err


class Screen:
    """As much of OpenCV as a window needs; Esc is pressed at the third frame."""

    def __init__(self):
        self.shown = []

    def imshow(self, name, image):
        self.shown.append(image)

    def waitKey(self, milliseconds):
        return 27 if len(self.shown) == 3 else -1

    def destroyAllWindows(self):
        self.closed = True


def test_escape_ends_a_window(monkeypatch):
    screen = Screen()
    monkeypatch.setattr(video, "opencv", lambda: screen)
    demo = argparse.Namespace(run_on_opencv_image=lambda image: image + 1)
    frames = iter([np.full([2, 2, 3], [k, 0, 0], np.uint8) for k in range(9)])

    assert webcam.draw_frames(demo, frames, None) == 3

    assert screen.closed and screen.shown[2][0, 0].tolist() == [1, 1, 3]  # blue first
