"""The command's flags, in this process, with a segmenter instead of a model."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from bright_segmenter import BrightSegmenter
from PIL import Image

from object_detection.prediction import command, modes

FORMATS = ["json", "png", "heatmap", "coco", "labelme", "csv", "supervisely"]


@pytest.fixture
def given(tmp_path):
    """Flags as they are when only those that have to be given are."""
    return SimpleNamespace(
        saved_model=BrightSegmenter(exact=False), pipeline_config_path=None, images=None,
        video=None, max_frames=None, output=str(tmp_path / "out"), label_map={1: "red"},
        min_score=0.5, max_detections=None, min_image_size=None, batch_size=8, classes=None,
        class_suffix="", format=["json", "png"], json_masks="rle", polygon_tolerance=0.5,
        masks_per_dim=2, coco_json=None, mode="full_image", roi=None, boxes_file=None,
        boxes_classes=None, padding=["0"], window=["512"], overlap=["128"], recursive=False,
        bit_depth="16",
    )  # fmt: skip


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, left in (("1.png", 10), ("2.png", 50)):
        image = np.zeros([60, 90, 3], np.uint8)
        image[10:40, left : left + 20, 0] = 250
        Image.fromarray(image).save(folder / name)
    return folder


def entry(given, name):
    with open(f"{given.output}/{name}.json") as file:
        return json.load(file)


def test_every_format_at_once(given, photos, capsys):
    given.format = FORMATS
    (photos / "broken.png").write_bytes(b"\x89PNG")

    assert command.predict_images(given, [photos]) == 1
    reported = capsys.readouterr()
    assert "2 images, 2 objects" in reported.out and "broken.png: not an image" in reported.err
    output = photos.parent / "out"
    assert sorted(path.name for path in output.iterdir()) == [
        "1.heat.png", "1.json", "1.png", "2.heat.png", "2.json", "2.png", "coco_results.json",
        "detections.csv", "labelme", "supervisely",
    ]  # fmt: skip
    assert entry(given, "1")["boxes"][0] == pytest.approx([10, 10, 40, 30], abs=1e-3)
    assert entry(given, "2")["names"] == ["red"]


def test_windows_regions_and_suffix_by_flags(given, photos):
    given.mode, given.window, given.overlap = "sliding_window", ["40"], ["10", "12"]
    assert command.mode_of(given) == modes.SlidingWindow(40, 40, 10, 12)
    given.class_suffix = "_net"
    command.predict_images(given, [photos])
    assert entry(given, "2")["boxes"][0] == pytest.approx([10, 50, 40, 70], abs=1.1)
    assert entry(given, "2")["names"] == ["red_net"]

    given.mode, given.roi = "roi", ["50%", "0", "0", "0px"]
    command.predict_images(given, [photos])
    assert [len(entry(given, name)["boxes"]) for name in "12"] == [0, 1]


@pytest.mark.parametrize("form", ["csv", "json"])
def test_boxes_of_a_file(given, photos, form):
    given.mode, given.padding = "bboxes", ["10%"]
    given.boxes_file = str(photos.parent / f"boxes.{form}")
    with open(given.boxes_file, "w") as file:
        if form == "csv":
            file.write("filename,xmin,ymin,xmax,ymax,class\n2.png,50,10,70,40,car\n")
            file.write("2.png,0,0,9,9,tree\n")
        else:
            boxes = [([50, 10, 20, 30], 1), ([0, 0, 9, 9], 2)]
            json.dump({
                "images": [{"id": 4, "file_name": "2.png", "height": 60, "width": 90}],
                "categories": [{"id": 1, "name": "car"}, {"id": 2, "name": "tree"}],
                "annotations": [
                    {"id": k, "image_id": 4, "category_id": c, "bbox": box, "area": 9}
                    for k, (box, c) in enumerate(boxes, start=1)
                ],
            }, file)  # fmt: skip
    command.predict_images(given, [photos])
    assert [len(entry(given, name)["boxes"]) for name in "12"] == [0, 1]
    assert entry(given, "2")["regions"] == [0]
    given.boxes_classes = ["tree"]
    command.predict_images(given, [photos])
    assert entry(given, "2")["boxes"] == []


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"mode": "roi"}, "needs --roi=left,top,right,bottom"),
        ({"mode": "bboxes"}, "needs --boxes_file"),
        ({"mode": "bboxes", "boxes_file": "x.json", "padding": ["1", "2"]}, "takes 1 or 4 values"),
        ({"mode": "sliding_window", "window": ["a"]}, "--window takes one whole number"),
    ],
)
def test_flags_that_do_not_go_together(given, photos, flags, message):
    vars(given).update(flags)
    with pytest.raises(ValueError, match=message):
        command.predict_images(given, [photos])


def test_a_film_by_flags(given, tmp_path):
    pytest.importorskip("cv2", reason="needs OpenCV (extra `video`)")
    from object_detection.prediction import video

    film = video.VideoFile(tmp_path / "film.mp4", 8.0)
    for place in range(3):
        frame = np.zeros([64, 96, 3], np.uint8)
        frame[16:32, 8 + place : 40 + place, 0] = 255
        film.add(frame)
    film.close()
    given.video = str(tmp_path / "film.mp4")

    assert command.predict_video(given) == 0

    lines = (tmp_path / "out" / "film.jsonl").read_text().splitlines()
    assert [json.loads(line)["frame"] for line in lines] == [0, 1, 2]
    assert len(list(video.frames(tmp_path / "out" / "film.mp4"))) == 3
    given.output = str(tmp_path)
    with pytest.raises(ValueError, match="would overwrite the video itself"):
        command.predict_video(given)
    given.format = ["labelme"]
    with pytest.raises(ValueError, match="--format=labelme is for images"):
        command.predict_video(given)
