"""The command, its files and their names."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fake_detector import bright_rectangle
from PIL import Image
from pycocotools import mask as rle_codec

from object_detection.export import serving
from object_detection.ops import image as resizers
from object_detection.prediction import command, image_files, results

REPOSITORY = Path(__file__).parents[2]


def picture(box=(10, 12, 30, 42)):
    image = np.full([40, 60, 3], 50, np.uint8)
    image[box[0] : box[2], box[1] : box[3]] = 255
    return image


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    (folder / "label_map.pbtxt").write_text("item { id: 2 name: 'bright' }")
    module = serving.module_for("image_tensor")(
        bright_rectangle(), resizers.Identity(), label_map=folder / "label_map.pbtxt"
    )
    serving.save(module, folder / "saved_model")
    return folder


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "object_detection.predict", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
    )


def test_the_command(model, tmp_path):
    photos = tmp_path / "photos"
    (photos / "more").mkdir(parents=True)
    Image.fromarray(picture()).save(photos / "a.png")
    Image.fromarray(picture((0, 0, 10, 10))).save(photos / "more" / "a.jpg", quality=98)
    (photos / "broken.png").write_bytes(b"none")

    done = run(
        "--saved_model", model, "--images", photos / "**" / "*.*", "--output", tmp_path / "out"
    )  # fmt: skip

    assert done.returncode == 1, done.stderr  # one cannot be read; the others are done
    assert "2 images, 2 objects" in done.stdout
    assert "1 images could not be read" in done.stderr and "broken.png" in done.stderr
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["a.jpg.json", "a.jpg.png", "a.png.json", "a.png.png"]
    result = json.loads((tmp_path / "out" / "a.png.json").read_text())
    assert result["image"] == str(photos / "a.png")
    np.testing.assert_allclose(result["boxes"], [[10, 12, 30, 42]], atol=1e-3)
    assert (result["scores"], result["classes"], result["names"]) == ([0.75], [2], ["bright"])
    mask = rle_codec.decode(result["masks"][0])
    assert mask.shape == (40, 60) == (result["height"], result["width"])
    assert mask[12:28, 14:40].all() and not mask[:9].any()
    drawn = np.array(Image.open(tmp_path / "out" / "a.png.png"))
    assert drawn.shape == (40 * 12, 60 * 12, 3)  # enlarged: 512 // 40 = 12
    assert drawn[20 * 12, 27 * 12].tolist() != [255, 255, 255]  # the mask tints the white


def test_what_goes_wrong_is_said_without_a_traceback(tmp_path):
    done = run("--saved_model=/nowhere", f"--images={__file__}", f"--output={tmp_path / 'out'}")

    assert done.returncode == 1
    assert "/nowhere': there is no such file, folder or checkpoint" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_file_can_be_run_itself():
    """TFOD's documentation runs its commands so, from anywhere."""
    command = [sys.executable, str(REPOSITORY / "object_detection" / "predict.py"), "--helpshort"]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/")

    assert "--saved_model" in done.stdout and "Traceback" not in done.stderr


def test_images_are_found_once(tmp_path):
    for name in ("b.png", "a.JPG", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")

    folder = image_files.find([str(tmp_path)]).images
    assert [file.name for file in folder] == ["a.JPG", "b.png"]
    both = image_files.find([str(tmp_path / "*.png"), str(tmp_path / "b.png")]).images
    assert [file.name for file in both] == ["b.png"]
    with pytest.raises(ValueError, match="pattern matches no file"):
        image_files.find([str(tmp_path / "*.gif")])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="folder has no images"):
        image_files.find([str(tmp_path / "empty")])


def test_of_a_folder_hidden_files_are_passed_over_and_the_rest_is_named(tmp_path):
    names = "._a.jpg .DS_Store a.jfif b.ppm c.JPG notes.txt x.heic sub/d.png sub/._d.png"
    for name in names.split():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")

    found = image_files.find([str(tmp_path)])

    assert [file.name for file in found.images] == ["a.jfif", "b.ppm", "c.JPG"]
    assert found.left_out == {
        "files that are not images": ["notes.txt"],
        "images in folders below (--recursive reads them)": ["sub/ (1)"],
        "images of formats that are not read": ["x.heic"],
    }
    lines = image_files.describe_left_out(found.left_out)
    assert "left out, files that are not images: 1 (notes.txt)" in lines
    below = image_files.find([str(tmp_path)], recursive=True)
    assert [file.name for file in below.images] == ["a.jfif", "b.ppm", "c.JPG", "d.png"]
    assert len(below.left_out) == 2
    (tmp_path / "sub" / "d.png").rename(tmp_path / "sub" / "d.heic")
    with pytest.raises(ValueError, match="no images. images of formats that are not read: d.heic"):
        image_files.find([str(tmp_path / "sub")])


def test_an_image_is_never_overwritten(tmp_path):
    Image.fromarray(picture()).save(tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()

    with pytest.raises(ValueError, match=r"a\.png would overwrite an image"):
        command.check_output([tmp_path / "a.png"], tmp_path, ["png"])
    assert (tmp_path / "a.png").read_bytes() == before


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["p/a.png", "p/b.png"], ["a", "b"]),
        (["p/a.jpg", "p/a.png", "p/b.png"], ["a.jpg", "a.png", "b"]),
        (["p/a.jpg", "q/a.jpg"], ["p__a.jpg", "q__a.jpg"]),
        (["p/A.jpg", "q/a.jpg"], ["p__A.jpg", "q__a.jpg"]),
        (["p/a.jpg", "p/a.png", "p/a.png.tif"], ["p__a.jpg", "p__a.png", "a.png"]),
        (["/a.jpg", "a.jpg"], ["a.jpg__1", "a.jpg__2"]),
    ],
)
def test_names_of_the_files(files, names):
    assert results.output_names(files) == names
