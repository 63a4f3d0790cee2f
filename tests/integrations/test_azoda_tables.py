"""azoda's CSVs: the newest ones, classes in its order, records, and faults by file and line."""

import io
import json

import azoda_files
import numpy as np
import pytest
import tensorflow as tf
from azoda_files import HEADER, row_of, write_csv
from PIL import Image

from object_detection.errors import AnnotationError, SettingsError
from object_detection.integrations.azoda import settings, tables
from object_detection.utils import label_map_util


@pytest.fixture
def store(tmp_path):
    """`make_store` with ways to change it, choose and read."""

    class Store:
        root = tmp_path / "data"
        datasets = root / "shapes_mask" / "datasets"
        rows = azoda_files.make_store(root)

        def experiment(self, **changes):
            path = tmp_path / "exp_config.json"
            return settings.read_experiment(
                azoda_files.write_json(path, azoda_files.EXPERIMENT, **changes)
            )

        def select(self, **changes):
            return tables.select(self.experiment(**changes), self.root)

        def csv(self, split, rows, **options):
            return write_csv(
                self.datasets / f"{split}_shapes_mask_211121120000.csv", rows, **options
            )

        def read(self):
            return tables.read(
                self.experiment(), self.select(), self.root / "shapes_mask" / "images"
            )

        def write(self, masks=True):
            return tables.write(self.read(), tmp_path / "label_files", masks=masks)

    return Store()


def examples(records, split):
    """The tf.Examples of a record file: [(id, {key: values})]."""
    result = []
    for each in tf.data.TFRecordDataset([str(records.paths[split])]).as_numpy_iterator():
        features = tf.train.Example.FromString(each).features.feature
        values = {k: list(getattr(v, v.WhichOneof("kind")).value) for k, v in features.items()}
        result.append((values["image/source_id"][0].decode(), values))
    return result


def boxes_of(values, side=64):
    """[[ymin, xmin, ymax, xmax]] of an example, in pixels of a square image."""
    names = [f"image/object/bbox/{name}" for name in ("ymin", "xmin", "ymax", "xmax")]
    return np.array([values[name] for name in names]).T * side


def test_latest_is_the_newest_stamp_that_both_have(store):
    for name in (
        "train_shapes_mask_220101000000.csv",
        "test_shapes_mask_220101000000.csv",
        "train_shapes_mask_230101000000.csv",  # without a partner
        "train_shapes_mask_999999999999.csv",  # no time
        "test_other_240101000000.csv",
        "notes.txt",
    ):
        (store.datasets / name).touch()

    result = store.select()

    assert [path.name for path in result.values()] == [
        "train_shapes_mask_220101000000.csv",
        "test_shapes_mask_220101000000.csv",
    ]


def test_csvs_by_name(store):
    write_csv(store.datasets / "mine.csv", store.rows["train"])

    assert store.select(TRAIN_CSV="mine.csv")["train"].name == "mine.csv"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"TRAIN_CSV": "none.csv"},
            r"exp_config.json line 10: TRAIN_CSV is 'none.csv', but there",
        ),
        ({"TEST_CSV": ""}, r"line 11: TEST_CSV is empty"),
        ({"IMAGE_TYPE": "plates"}, r"line 9: IMAGE_TYPE is 'plates', but there is no folder"),
        ({"TEST_CSV": "train_shapes_mask_211121120000.csv"}, "which is also the TRAIN_CSV"),
    ],
)
def test_a_csv_that_is_not_there_is_reported_by_key(store, changes, words):
    with pytest.raises(SettingsError, match=words):
        store.select(**changes)


def test_no_stamped_csv(store):
    for path in store.datasets.iterdir():
        path.unlink()

    with pytest.raises(SettingsError, match='TRAIN_CSV is "latest", but .* contains no CSV'):
        store.select()


def test_classes_count_in_order_of_appearance_over_train_then_test(store, tmp_path):
    box = (4, 4, 20, 20)
    train = [row_of("b.jpg", box, "zebra"), ("a.jpg", *[""] * 6), row_of("a.jpg", box, "ant")]
    store.csv("train", [*train, row_of("b.jpg", box, "mole")])
    store.csv("test", [row_of("c.jpg", box, "bee"), row_of("c.jpg", box, "ant")])

    records = store.write()

    expected = {"zebra": 1, "ant": 2, "mole": 3, "bee": 4}
    assert json.loads((tmp_path / "label_files" / "class_map.json").read_text()) == expected
    assert label_map_util.get_label_map_dict(str(records.label_map)) == expected
    labels = [values["image/object/class/label"] for _, values in examples(records, "train")]
    assert labels == [[1, 3], [2]]  # of b.jpg, then of a.jpg
    assert list(tables.remarks(store.read())) == [
        "class 'bee' is in test_shapes_mask_211121120000.csv only: it cannot be learned"
    ]


def test_records_hold_boxes_and_masks_of_the_polygons(store):
    records = store.write()

    ((name, values),) = examples(records, "test")
    assert records.paths["test"].name == "test.record"
    assert name == "c.jpg"
    np.testing.assert_allclose(boxes_of(values), [[30, 10, 60, 44]], atol=1e-4)
    expected = np.zeros((64, 64), bool)
    expected[30:60, 10:44] = True
    (png,) = values["image/object/mask"]
    np.testing.assert_array_equal(np.array(Image.open(io.BytesIO(png))) > 0, expected)


def test_the_row_of_azodas_documentation(store):
    folder = store.root / "shapes_mask" / "images"
    Image.new("RGB", (640, 640)).save(folder / "xxx.jpg")
    store.csv("train", [azoda_files.EXAMPLE_ROW])
    store.csv("test", [row_of("c.jpg", (10, 30, 44, 60), "name")])

    ((name, values),) = examples(store.write(), "train")

    assert name == "xxx.jpg"
    np.testing.assert_allclose(boxes_of(values, 640), [[426, 422, 428, 424]], atol=1e-3)
    (png,) = values["image/object/mask"]
    assert np.argwhere(np.array(Image.open(io.BytesIO(png)))).min(axis=0).tolist() == [426, 422]


def test_extra_columns_and_any_order_are_taken(store):
    header = (
        "labeler",
        "class",
        "ymax",
        "xmax",
        "ymin",
        "xmin",
        "segmentation",
        "filename",
        "keep",
    )
    rows = [("me", "tile", 20, 20, 4, 4, "[[4, 4, 20, 4, 20, 20]]", "a.jpg", "yes")]
    store.csv("train", rows, header=header)

    assert examples(store.write(), "train")[0][0] == "a.jpg"


def test_an_image_without_objects_is_a_row_without_a_class(store):
    store.csv("train", [*store.rows["train"], ("c.jpg", *[""] * 6)])

    result = {name: len(boxes_of(values)) for name, values in examples(store.write(), "train")}

    assert result == {"a.jpg": 1, "b.jpg": 1, "c.jpg": 0}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (row_of("a.jpg", (4, 4, 90, 20), "tile"), "the box crosses the border of the image"),
        (row_of("a.jpg", (4, 4, 20, 20), "tile", [[4, 4, 20, 20]]), "polygon"),
        (row_of("a.jpg", (4, 4, 20, 20), "tile", "[[4, 4,"), "segmentation"),
        (row_of("a.jpg", (4, 4, 20, 20), "tile", "__import__('os').abort()"), "segmentation"),
        (row_of("a.jpg", ("x", 4, 20, 20), "tile", ""), "xmin"),
        (row_of("no.jpg", (4, 4, 20, 20), "tile"), "no.jpg"),
    ],
    ids=["beyond the image", "two points", "cut literal", "code", "no number", "no image"],
)
def test_a_bad_row_is_reported_with_file_and_line(store, row, words):
    store.csv("train", [*store.rows["train"], row])

    report = store.write().reports["train"]

    text = report.text()
    assert report.faults() == 1, text
    lines = [line for line in text.splitlines() if "csv line 4" in line or "no.jpg" in line]
    assert any(words in line for line in lines), text
    assert report.written["images"] == 2


@pytest.mark.parametrize(
    ("header", "rows", "words"),
    [
        (HEADER, [("a.jpg", *[""] * 6)], "line 10: TRAIN_CSV: no row of .*train_shapes_mask"),
        (HEADER, [row_of("a.jpg", (4, 4, 20, 20), "moon")], "no class in common: moon and tile"),
        (HEADER[1:], [(4, 4, 20, 20, "[]", "a")], "train_shapes_mask_.*no column for image"),
        (("filename", "xmin", "class"), [("a.jpg", 4, "a")], "no column for ymin"),
        (
            HEADER,
            [("a.jpg", "?", 4, 20, 20, "", "tile")],
            "csv line 2: xmin is '\\?', not a number",
        ),
    ],
)
def test_a_csv_that_cannot_be_used(store, header, rows, words):
    store.csv("train", rows, header=header)

    with pytest.raises(AnnotationError, match=words):
        store.read()


def test_a_csv_of_images_that_are_not_there(store):
    store.csv("train", [row_of("no.jpg", (4, 4, 20, 20), "tile")])

    with pytest.raises(AnnotationError, match="no object of it could be written"):
        store.write()


def test_images_whose_segmentation_is_left_empty_are_left_out(store):
    """Without its boxes an image would teach that nothing is there."""
    box = (4, 4, 20, 20)
    outline = "[[4, 4, 20, 4, 20, 20, 4, 20]]"
    rows = [("a.jpg", *box, outline, "tile"), ("b.jpg", *box, "", "tile")]
    store.csv("train", rows)

    report = store.write().reports["train"]

    assert report.written["images"] == report.written["objects"] == 1
    assert list(report.names["skipped images"].values()) == [["b.jpg"]]

    store.csv("train", rows[1:])
    with pytest.raises(AnnotationError, match="train_.*segmentation is empty.* all 1 objects"):
        store.write()
    assert store.write(masks=False).reports["train"].written["objects"] == 1


def test_images_in_both_csvs_are_reported(store):
    store.csv("test", [*store.rows["test"], *store.rows["train"]])

    assert "2 images are in both CSVs (a.jpg, b.jpg)" in next(tables.remarks(store.read()))


def test_an_image_that_is_missing_is_reported_by_the_row_that_names_it(store):
    store.csv("train", [*store.rows["train"], row_of("no.jpg", (4, 4, 20, 20), "tile")])

    (message,) = tables.remarks(store.read())

    assert "train_shapes_mask_211121120000.csv line 4, filename: there is no image" in message
    assert "no.jpg" in message


def test_the_folder_of_images_is_missing(store):
    with pytest.raises(AnnotationError, match="there is no folder of images .*nowhere"):
        tables.read(store.experiment(), store.select(), store.root / "nowhere")
