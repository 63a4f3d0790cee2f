"""Records and configs looked at as a whole: figures, pictures, and the model's view."""

import base64
import io

import numpy as np
import pytest
from made_records import record, write
from PIL import Image

from object_detection.config import pipeline_file
from object_detection.data import report
from object_detection.errors import LabelMapError, RecordError
from object_detection.reports import data_browser, findings
from object_detection.reports.data_browser import Reader, Settings
from object_detection.reports.findings import LOOK, Finding, undecodable

BOX = (0.25, 0.2, 0.75, 0.6)
LABEL_MAP = 'item { id: 1 name: "cat" }\nitem { id: 2 name: "dog" }\n'
CONFIG = """
    model {{ faster_rcnn {{ num_classes: 2 image_resizer {{ {resizer} }} }} }}
    train_config {{ batch_size: 2 {augmentation} }}
    train_input_reader {{
      label_map_path: "{label_map}" load_instance_masks: true mask_type: PNG_MASKS shuffle: false
      max_number_of_boxes: 3
      tf_record_input_reader {{ input_path: "{records}" }}
    }}
"""
FLIP = """data_augmentation_options {
    random_horizontal_flip { probability: 1.0 } }"""


@pytest.fixture
def records(tmp_path):
    """Five records of 20 x 40; the second has masks, the last one is broken."""
    (tmp_path / "label_map.pbtxt").write_text(LABEL_MAP)
    made = [
        record([BOX] * (k + 1), size=(20, 40), seed=k, masks=True, label=[1] * (k + 1))
        for k in range(4)
    ]
    return write(tmp_path / "some.record", [*made, b"broken"])


def reader_of(records, tmp_path, *, augmentation="", training=True, resizer=None):
    resizer = resizer or "fixed_shape_resizer { height: 40 width: 80 }"
    text = CONFIG.format(
        resizer=resizer,
        augmentation=augmentation,
        label_map=tmp_path / "label_map.pbtxt",
        records=records,
    )
    config = pipeline_file.parse(text)
    reader = config.train_input_reader
    return Reader("some input", reader, config.model, config.train_config, training, 2)


def table(view, title):
    found = next(each for each in view.tables if each.title == title)
    return {row[0]: row[1] for row in found.rows}


def pixels_of(card):
    encoded = base64.b64decode(card.picture.removeprefix("data:image/jpeg;base64,"))
    return np.array(Image.open(io.BytesIO(encoded)).convert("RGB"))


def test_stored_records(records):
    source = data_browser.source_of_records([records])

    view = data_browser.scan_records(source, Settings())

    assert source.classes.names == {1: "cat", 2: "dog"}  # of the label map beside the records
    totals = table(view, "In all")
    assert (totals["images"], totals["of them not readable"], totals["masks"]) == (5, 1, 10)
    assert table(view, "Objects by class") == {"cat": 10}
    assert table(view, "Findings")[report.NOT_AN_EXAMPLE] == 1
    assert table(view, "Findings")[findings.SAME_BOX_SAME_CLASS] == 6
    assert [card.picture is None for card in view.cards] == [False] * 4 + [True]
    assert "1 classes have no object: dog" in data_browser.to_text(view)


def test_only_so_many_are_drawn_or_read(records):
    source = data_browser.source_of_records([records])

    view = data_browser.scan_records(source, Settings(max_images=2, max_records=3))

    assert table(view, "In all")["images"] == 3
    assert len(view.cards) == 2


def test_none_may_be_drawn(records):
    source = data_browser.source_of_records([records])

    assert data_browser.scan_records(source, Settings(max_images=0)).cards == []


def test_pictures_have_the_objects_drawn_in(records):
    source = data_browser.source_of_records([records])
    settings = Settings(picture_side=64)

    card = data_browser.scan_records(source, settings).cards[0]

    picture = pixels_of(card)
    factor = 512 // 20  # small images are enlarged to be drawn on
    assert picture.shape == (20 * factor, 40 * factor, 3)
    inside = picture[7 * factor : 13 * factor, 10 * factor : 22 * factor].mean(axis=(0, 1))
    outside = picture[7 * factor : 13 * factor, 28 * factor :].mean(axis=(0, 1))
    assert inside[0] > outside[0] + 25  # the mask's orange over noise


def test_large_images_are_shrunk(tmp_path):
    path = write(tmp_path / "a.record", [record([BOX], size=(600, 1200))])
    source = data_browser.source_of_records([path])

    card = data_browser.scan_records(source, Settings(picture_side=640)).cards[0]

    picture = pixels_of(card)
    assert picture.shape == (320, 640, 3)
    red, _, blue = picture[239, 140:370].mean(axis=0)  # the lower side of the box, of one pixel
    assert blue > red + 50
    assert card.facts.size == (600, 1200)
    np.testing.assert_allclose(card.facts.objects.boxes, [[150, 240, 450, 720]])


def test_what_the_model_is_given(records, tmp_path):
    reader = reader_of(records, tmp_path, augmentation=FLIP)
    source = data_browser.source_of_reader(reader)

    view = data_browser.sample_pipeline(reader, source.classes, Settings())

    first = view.cards[0].facts
    assert (first.id, first.size) == ("id-0", (40, 80))
    # Flipped, and doubled.
    np.testing.assert_allclose(first.objects.boxes, [[10, 32, 30, 64]], atol=1e-4)
    assert first.mask_area.tolist() == [640]
    assert findings.MASK_NOT_IN_BOX not in first.reasons
    assert report.TOO_MANY_BOXES in view.cards[3].facts.reasons
    assert table(view, "Image sizes: height x width") == {"40 x 80": len(view.cards)}


def test_the_picture_of_the_model_s_view_is_the_resized_image(records, tmp_path):
    resizer = """keep_aspect_ratio_resizer {
        min_dimension: 600 max_dimension: 600 pad_to_max_dimension: true }"""
    reader = reader_of(records, tmp_path, training=False, resizer=resizer)
    source = data_browser.source_of_reader(reader)

    card = data_browser.sample_pipeline(reader, source.classes, Settings()).cards[0]

    assert card.facts.size == (300, 600)
    picture = pixels_of(card)
    assert picture.shape == (600, 600, 3)
    assert picture[320:].max() < 20  # padding
    orange = picture[90:210, 130:350].mean(axis=(0, 1)) - picture[90:210, 380:].mean(axis=(0, 1))
    assert orange[0] > 25


def test_a_config_whose_records_no_model_can_use(tmp_path):
    (tmp_path / "label_map.pbtxt").write_text(LABEL_MAP)
    path = write(tmp_path / "a.record", [record([BOX], label=[1], mask=[b"no mask"])])
    reader = reader_of(path, tmp_path)
    source = data_browser.source_of_reader(reader)

    with pytest.raises(RecordError, match="no record can be used"):
        data_browser.sample_pipeline(reader, source.classes, Settings())
    assert data_browser.scan_records(source, Settings()).cards[0].picture


@pytest.mark.parametrize("pattern", ["missing-*", "no/such/folder/a.record"])
def test_a_pattern_without_files_is_named(pattern, tmp_path):
    with pytest.raises(RecordError, match="--records: no file matches"):
        data_browser.source_of_records([str(tmp_path / pattern)])


def test_a_label_map_that_is_none(records, tmp_path):
    with pytest.raises(LabelMapError):
        data_browser.source_of_records([records], str(tmp_path / "absent.pbtxt"))


def test_figures_for_programs(records):
    view = data_browser.scan_records(data_browser.source_of_records([records]), Settings())

    figures = data_browser.to_dict(view)

    assert figures["tables"]["Objects by class"]["rows"] == [
        {"name": "cat", "objects": 10, "images": 4, "crowds": 0, "median side": "13", "id": 1}
    ]


def image_facts(number, class_id=1, reason=None):
    facts = undecodable(f"id-{number}", f"record {number}", ())
    findings = (Finding(LOOK, reason),) if reason else ()
    objects = facts.objects._replace(classes=np.int32([class_id]))
    return facts._replace(objects=objects, findings=findings)


def test_few_images_are_all_drawn():
    assert data_browser.choose_images([image_facts(k) for k in range(4)], 4) == [0, 1, 2, 3]


def test_a_rare_class_and_a_rare_finding_are_drawn_whatever_the_seed():
    images = [image_facts(k) for k in range(500)]
    images[77] = image_facts(77, class_id=9)
    images[321] = image_facts(321, reason="odd")

    for seed in range(5):
        assert {77, 321} <= set(data_browser.choose_images(images, 12, seed))


def test_the_seed_decides():
    images = [image_facts(k) for k in range(500)]
    chosen = data_browser.choose_images(images, 20, seed=1)

    assert chosen == sorted(chosen) and len(set(chosen)) == 20
    assert chosen == data_browser.choose_images(images, 20, seed=1)
    assert chosen != data_browser.choose_images(images, 20, seed=2)


def test_some_ids_are_taken_rather_than_others():
    images = [image_facts(k) for k in range(500)]

    chosen = data_browser.choose_images(images, 20, preferred=["id-3", "id-499"])

    assert {3, 499} <= set(chosen)


def test_no_image_is_wanted():
    assert data_browser.choose_images([image_facts(1), image_facts(2)], 0) == []
