"""Reads KITTI's object detection set: one text of labels an image.

    DATA_DIR/training/label_2/000007.txt
    DATA_DIR/data_object_image_2/training/image_2/000007.png, or DATA_DIR/training/image_2/...

A line is: class, truncated (0 to 1), occluded, alpha, left, top, right, bottom (pixels from 0), and
seven numbers of the box in space. Classes, boxes, don't-care regions and the choice of the
validation images are treated as in TFOD's script.
"""

import math
from pathlib import Path

from object_detection.datasets.annotations import (
    AnnotatedImage,
    AnnotatedObject,
    AnnotationSet,
    Category,
    Finding,
)
from object_detection.datasets.files import ImageFolder, read_text, relative_name
from object_detection.datasets.report import LEFT_OUT, SKIPPED_IMAGE, SKIPPED_OBJECT
from object_detection.errors import AnnotationError

CLASSES_TO_USE = ("car", "pedestrian", "dontcare")
DONT_CARE = "dontcare"
IDS = {"car": 1, "pedestrian": 2}  # by TFOD's kitti_label_map
LABEL_FOLDERS = ("training/label_2", "data_object_label_2/training/label_2", "label_2")
IMAGE_FOLDERS = (
    "data_object_image_2/training/image_2",
    "training/image_2",
    "data_object_image_2/image_2",
    "image_2",
)
IN_SPACE = ("alpha", *(f"3d_bbox/{name}" for name in "height width length x y z rot_y".split()))
LARGEST = 3e38  # that a record can hold
FEWEST_FIELDS = 8  # as far as the box; results of detectors have 16, labels 15


def read(data_dir, *, classes_to_use=CLASSES_TO_USE, validation_set_size=500):
    """Reads the training images.

    Args:
        data_dir: the folder the archives were unpacked in, or their folder `training`.
        classes_to_use: names, in any case. With 'dontcare' among them, objects that overlap a
            don't-care region are left out.
        validation_set_size: images numbered below it make up the second set; those without a
            number, the first ones in order.

    Returns:
        (train, val): two `AnnotationSet`s with the same classes.

    Raises:
        AnnotationError: the folders are not there.
    """
    data_dir = Path(data_dir)
    labels = _folder(data_dir, LABEL_FOLDERS, "labels")
    images = ImageFolder(_folder(data_dir, IMAGE_FOLDERS, "images"))
    classes = tuple(dict.fromkeys(name.strip().lower() for name in classes_to_use if name.strip()))
    train, val = ([], []), ([], [])
    paths = images.paths()
    for place, path in enumerate(paths):
        number = int(path.stem) if path.stem.isdecimal() else place
        kept, findings = val if number < validation_set_size else train
        image = _image(path, images.root, labels, classes, findings)
        if image is not None:
            kept.append(image)
    missing = {path.stem for path in labels.glob("*.txt")} - {path.stem for path in paths}
    train[1].extend(
        Finding(SKIPPED_IMAGE, "there are labels for it, and no image", name)
        for name in sorted(missing)
    )
    used = [name for name in classes if name != DONT_CARE]
    categories = [Category(name, number) for name, number in IDS.items() if name in used]
    categories += [Category(name) for name in used if name not in IDS]
    return tuple(
        AnnotationSet(str(data_dir), tuple(categories), tuple(kept), tuple(findings))
        for kept, findings in (train, val)
    )


def _folder(data_dir, names, what):
    for name in names:
        if (data_dir / name).is_dir():
            return data_dir / name
    raise AnnotationError(f"{data_dir} has no folder of {what}: looked for {', '.join(names)}")


def _image(path, root, labels, classes, findings):
    """One image with its objects; None where it has no labels."""
    key = relative_name(path, root)
    file = labels / f"{path.stem}.txt"
    if not file.is_file() and path.stem.isdecimal():
        file = labels / f"{int(path.stem):06d}.txt"
    if not file.is_file():
        findings.append(Finding(SKIPPED_IMAGE, "the image has no file of labels", key))
        return None
    try:
        lines = read_text(file).splitlines()
    except AnnotationError as error:
        findings.append(Finding(SKIPPED_IMAGE, str(error), key))
        return None
    objects = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            objects.append(_object(line, f"{file.name}: line {number}"))
        except AnnotationError as reason:
            findings.append(Finding(SKIPPED_OBJECT, str(reason), f"{file.name}: line {number}"))
    kept = _kept(objects, classes, findings)
    return AnnotatedImage(key=key, source_id=key, filename=key, objects=kept, path=path)


def _object(line, key):
    """One line; its class in lower case, as in TFOD's label map."""
    fields = line.split()
    if len(fields) < FEWEST_FIELDS:
        raise AnnotationError(f"{len(fields)} fields instead of 15")
    try:
        truncated, alpha, *box = (float(field) for field in (fields[1], *fields[3:8]))
        space = [float(field) for field in fields[8:15]]
    except ValueError as error:
        raise AnnotationError(f"a field is no number ({error})") from None
    if not math.isfinite(truncated):
        raise AnnotationError("a field is no number (truncated)")
    if any(abs(value) > LARGEST for value in (truncated, alpha, *space)):
        raise AnnotationError("a field is too large a number")
    left, top, right, bottom = box
    return AnnotatedObject(
        key,
        fields[0].lower(),
        (top, left, bottom, right),
        truncated=truncated,
        attributes=tuple(zip(IN_SPACE, (alpha, *space), strict=False)),
    )


def _kept(objects, classes, findings):
    """The objects of the classes wanted, less those that overlap a region nobody looked at."""
    regions = [each for each in objects if each.class_name == DONT_CARE and DONT_CARE in classes]
    kept = []
    for each in objects:
        if each.class_name == DONT_CARE:
            continue
        if each.class_name not in classes:
            reason = f"class '{each.class_name}' is not in --classes_to_use"
        elif any(_overlap(each.box, region.box) for region in regions):
            reason = "the object overlaps a don't-care region"
        else:
            kept.append(each)
            continue
        findings.append(Finding(LEFT_OUT, reason, each.key))
    return tuple(kept)


def _overlap(first, second):
    """Whether two boxes share any area, however little."""
    height = min(first[2], second[2]) - max(first[0], second[0])
    width = min(first[3], second[3]) - max(first[1], second[1])
    return height > 0 and width > 0
