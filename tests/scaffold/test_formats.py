"""Which format a file or folder is in."""

import pytest
from drawn_sets import image, text

from object_detection.errors import AnnotationError
from object_detection.scaffold import formats

VOC = "<annotation><object><name>a</name><bndbox><xmin>1</xmin></bndbox></object></annotation>"
WEB = "<annotation><object><polygon><pt><x>1</x></pt></polygon></object></annotation>"
COCO = {"images": [{"file_name": "a.jpg"}], "annotations": [], "categories": []}
LVIS = {"images": [{"coco_url": "a", "neg_category_ids": []}], "annotations": []}
VIA = {"a.jpg1": {"filename": "a.jpg", "regions": []}}


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ({"coco_train.record-00000-of-00002": ""}, "records"),
        ({"a.tfrecord": "", "label_map.pbtxt": ""}, "records"),
        ({"meta.json": {}, "set/ann/a.json": {}}, "supervisely"),
        ({"gtFine/train/x/a_gtFine_instanceIds.png": ""}, "cityscapes"),
        ({"annotations/trimaps/a.png": "", "annotations/xmls/a.xml": VOC}, "pets"),
        ({"training/label_2/0.txt": ""}, "kitti"),
        ({"VOC2012/Annotations/a.xml": VOC, "VOC2012/SegmentationObject/a.png": ""}, "voc"),
        ({"a.xml": VOC}, "voc"),
        ({"boxes/a.xml": VOC, "masks/a.png": ""}, "voc_masks"),
        ({"data.yaml": "names: [a]", "train/labels/a.txt": ""}, "yolo"),
        ({"labels/classes.txt": "a"}, "yolo"),
        ({"annotations/instances.json": COCO}, "coco"),
        ({"lvis.json": LVIS}, "lvis"),
        ({"photos/a.json": {"shapes": [], "imagePath": "a.jpg"}}, "labelme"),
        ({"a.xml": WEB}, "labelme"),
        ({"via.json": VIA}, "via"),
        ({"project.json": {"_via_img_metadata": {}, "_via_settings": {}}}, "via"),
        ({"annotations.xml": "<annotations><version>1.1</version></annotations>"}, "cvat"),
        ({"x/images/a.png": "", "x/masks/b.png": ""}, "instance_folders"),
        ({"boxes.csv": "filename,xmin,ymin,xmax,ymax,class\n"}, "csv"),
        ({"via.csv": "#filename,region_shape_attributes\n"}, "via"),
    ],
)
def test_folders_and_their_files(tmp_path, made, expected):
    for name, content in made.items():
        text(tmp_path / name, content)
    assert formats.detect(tmp_path) == expected
    files = [name for name in made if name.endswith((".json", ".csv", ".xml", "record"))]
    if len(made) == 1 and files:
        assert formats.detect(tmp_path / files[0]) == expected


def test_what_is_nothing(tmp_path):
    image(tmp_path / "a.jpg")
    with pytest.raises(AnnotationError, match="in none of the formats that are known .*--format"):
        formats.detect(tmp_path)
    with pytest.raises(AnnotationError, match="there is no file or folder .*absent"):
        formats.detect(tmp_path / "absent")
    text(tmp_path / "boxes.csv", "ImageID,Source,LabelName,XMin\n")
    with pytest.raises(AnnotationError, match="is of Open Images.* create_oid_tf_record"):
        formats.detect(tmp_path)
    text(tmp_path / "cut.json", '{"images": [')
    with pytest.raises(AnnotationError, match="cut.json is not whole JSON"):
        formats.detect(tmp_path / "cut.json")


def test_a_pattern_is_of_records(tmp_path):
    assert formats.detect(tmp_path / "train.record-?????-of-00004") == "records"
