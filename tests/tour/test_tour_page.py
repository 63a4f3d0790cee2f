"""The page: of its numbers alone, in the repository as they say, with every picture."""

import json
import re
from pathlib import Path

import made_tour
import numpy as np
import pytest
from PIL import Image

from object_detection.builders import model_builder
from object_detection.config import pipeline_file
from object_detection.tour import inputs, inside, page, pictures

DOCS = Path(__file__).parents[2] / "docs"
STORED = DOCS / page.FOLDER / page.NUMBERS


@pytest.fixture(scope="module")
def stored():
    return json.loads(STORED.read_text())


def test_the_page_in_docs_is_that_of_its_numbers(stored):
    fresh = page.render(stored)
    assert (DOCS / page.NAME).read_text() == fresh, "make tour-docs writes it anew"


def test_the_pages_anchors_are_those_of_the_tours_config(stored):
    assert stored["photograph"]["resized"] == [320, 480]
    # 80 x 120 cells of 4 pixels, 40 x 60, 20 x 30, 10 x 15 and, rounded up, 5 x 8; 3 shapes each.
    assert stored["anchors"]["per_level"] == {
        "P2": 28800,
        "P3": 7200,
        "P4": 1800,
        "P5": 450,
        "P6": 120,
    }
    config = pipeline_file.load(inputs.CONFIG)
    rpn = model_builder.build_network(config.model, is_training=False).rpn
    shapes = [tuple(shape[:2]) for shape in stored["levels"].values()]
    assert len(rpn.anchor_generator.generate(shapes)) == stored["anchors"]["total"] == 38370


def test_the_pages_levels_are_those_of_equation_one(stored):
    squares = stored["level_assignment"]["squares"]
    assert squares == {str(side): inside.paper_level(side) for side in inside.SQUARES}
    assert squares["224"] == 4


def test_the_pages_losses_add_up(stored):
    losses = dict(stored["losses"])
    total = losses.pop("Loss/total_loss")
    assert total == pytest.approx(sum(losses.values()), rel=1e-5)
    assert losses.keys() | {"Loss/total_loss"} == page.LOSSES.keys()


def test_every_picture_of_the_page_is_there_and_small():
    named = set(re.findall(rf"\({page.FOLDER}/(\w+)\.jpg\)", (DOCS / page.NAME).read_text()))
    there = {path.stem for path in (DOCS / page.FOLDER).glob("*.jpg")}
    assert named == there == {draw.__name__ for draw in pictures.ALL}
    assert sum(path.stat().st_size for path in (DOCS / page.FOLDER).iterdir()) < 1_500_000


def test_every_picture_is_drawn_of_a_small_network(tmp_path):
    network, _, seen = made_tour.network_and_look()
    paths = pictures.write(seen, made_tour.NAMES, tmp_path)
    assert [path.stem for path in paths] == [draw.__name__ for draw in pictures.ALL]
    for path in paths:
        pixels = np.asarray(Image.open(path))
        assert pixels.shape[1] >= 300 and pixels.std() > 10, path.name
    heads = json.loads(json.dumps(inside.to_numbers(seen, made_tour.NAMES, network, image="a.jpg")))
    text = page.render(heads)
    assert "`a.jpg`, with 2 annotated objects" in text
    assert "1152 + 288 + 72 + 18 = 1530" in text
    assert "$" not in text


def test_without_annotations_the_page_has_no_losses(tmp_path):
    network, _, seen = made_tour.network_and_look(with_objects=False)
    paths = pictures.write(seen, made_tour.NAMES, tmp_path)
    assert "losses" not in [path.stem for path in paths]
    text = page.render(inside.to_numbers(seen, made_tour.NAMES, network))
    assert "This photograph has no annotations" in text
    assert "losses.jpg" not in text
