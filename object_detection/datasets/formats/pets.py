"""Reads the Oxford-IIIT pets: faces as boxes, or whole bodies with masks.

    DATA_DIR/images/Abyssinian_1.jpg           DATA_DIR/annotations/trainval.txt
    DATA_DIR/annotations/xmls/Abyssinian_1.xml DATA_DIR/annotations/trimaps/Abyssinian_1.png

The choice and order of the images, their split, the classes and boxes are those of TFOD's script.
"""

import random
import re
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from object_detection.datasets import files, mask_images
from object_detection.datasets.annotations import AnnotatedImage, AnnotationSet, Category, Finding
from object_detection.datasets.files import ImageFolder, read_text, relative_name
from object_detection.datasets.formats import voc_xml
from object_detection.datasets.report import NOTED, SKIPPED_IMAGE
from object_detection.errors import AnnotationError
from object_detection.structures.masks import CroppedMask

CLASSES = (  # TFOD's pet_label_map numbers them so, from 1
    "Abyssinian american_bulldog american_pit_bull_terrier basset_hound beagle Bengal Birman "
    "Bombay boxer British_Shorthair chihuahua Egyptian_Mau english_cocker_spaniel english_setter "
    "german_shorthaired great_pyrenees havanese japanese_chin keeshond leonberger Maine_Coon "
    "miniature_pinscher newfoundland Persian pomeranian pug Ragdoll Russian_Blue saint_bernard "
    "samoyed scottish_terrier shiba_inu Siamese Sphynx staffordshire_bull_terrier wheaten_terrier "
    "yorkshire_terrier"
).split()
LISTS = ("trainval.txt", "list.txt")
TRAIN_SHARE, SEED = 0.7, 42  # TFOD's split of the images that have xmls
GROUND = 2  # in a trimap; 1 is the pet, 3 its border: both are the pet, as in TFOD
CLASS_IN_NAME = re.compile(r"([A-Za-z_]+)_[0-9]+(\.\w+)?$")  # great_pyrenees_12.jpg


def read(data_dir, *, faces_only=True):
    """Reads the data set.

    Args:
        data_dir: the folder with `images` and `annotations`.
        faces_only: boxes of the heads, by the xmls; else the boxes and masks of whole bodies, by
            the trimaps.

    Returns:
        (train, val): two `AnnotationSet`s with the same classes.

    Raises:
        AnnotationError: no such folder or no list of images.
    """
    data_dir = Path(data_dir)
    annotations = data_dir / "annotations"
    names = _names(annotations)
    random.Random(SEED).shuffle(names)
    count = int(TRAIN_SHARE * len(names))
    images = ImageFolder(data_dir / "images")
    halves = []
    for part in (names[:count], names[count:]):
        findings = []
        images_of_part = [
            _image(annotations, images, name, faces_only, findings) for name in part if name
        ]
        halves.append((tuple(image for image in images_of_part if image is not None), findings))
    classes = {
        each.class_name
        for images_of_part, _ in halves
        for image in images_of_part
        for each in image.objects
    }
    categories = _categories(classes)
    return tuple(
        AnnotationSet(str(data_dir), categories, images_of_part, tuple(findings))
        for images_of_part, findings in halves
    )


def _names(annotations):
    """The images of the list, empty lines too: the shuffle counts them, as TFOD's does."""
    for name in LISTS:
        if (annotations / name).is_file():
            lines = read_text(annotations / name).splitlines()
            return [line.strip().split(" ")[0] for line in lines if not line.startswith("#")]
    raise AnnotationError(
        f"{annotations} has no {' or '.join(LISTS)}: --data_dir is the folder that holds the "
        "data set's folders images and annotations"
    )


def _categories(classes):
    if classes <= set(CLASSES):
        return tuple(Category(name, number) for number, name in enumerate(CLASSES, start=1))
    return tuple(Category(name) for name in sorted(classes))


def _image(annotations, images, name, faces_only, findings):
    """One image of the list; None where it has no xml that can be used."""
    path = annotations / "xmls" / f"{name}.xml"
    if not files.is_file(path):  # the test images of the original set have none
        reason = "the list names it, and it has no xml"
        findings.append(Finding(SKIPPED_IMAGE, reason, name[: files.LONGEST_NAME]))
        return None
    try:
        annotation = voc_xml.read(path)
    except AnnotationError as fault:
        findings.append(Finding(SKIPPED_IMAGE, str(fault), path.name))
        return None
    filename = annotation.filename or f"{name}.jpg"
    class_of_file = CLASS_IN_NAME.match(filename)
    if not class_of_file:
        reason = "the file's name has no class: CLASS_NUMBER.jpg is expected"
        findings.append(Finding(SKIPPED_IMAGE, reason, filename))
        return None
    findings += annotation.findings
    image_path = images.find(filename, any_suffix=True)
    name_found = relative_name(image_path, images.root) if image_path else filename
    image = AnnotatedImage(
        key=name_found,
        source_id=name_found,
        filename=name_found,
        objects=tuple(each._replace(class_name=class_of_file[1]) for each in annotation.objects),
        path=image_path or images.path(filename),
        stated_size=annotation.size,
    )
    if faces_only:
        return image
    if len(image.objects) > 1:
        reason = "several faces and one trimap: each object gets all of it, as in TFOD"
        findings.append(Finding(NOTED, reason, image.key))
    return image._replace(
        complete=partial(_whole_body, path=annotations / "trimaps" / f"{name}.png")
    )


def _whole_body(image, *, path):
    """The image with mask and box by its trimap (None: without one), and findings."""
    try:
        with Image.open(path) as trimap:
            values = np.asarray(trimap if trimap.mode in ("L", "P") else trimap.convert("L"))
    except FileNotFoundError:
        return _without(image, "the image has no trimap")
    except UnidentifiedImageError:
        return _without(image, "the trimap is not an image of a known format")
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        return _without(image, f"the trimap cannot be decoded: {error}")
    body = values != GROUND
    if not body.any():
        return _without(image, "the trimap is all ground")
    ymin, xmin, ymax, xmax = mask_images.extent_of(body)
    # From the first pixel to the last one, which TFOD leaves out of the box.
    box = (ymin, xmin, ymax - 1, xmax - 1)
    mask = CroppedMask(body)
    return image._replace(
        objects=tuple(each._replace(box=box, mask=mask, mask_fault=None) for each in image.objects)
    ), ()


def _without(image, reason):
    return None, (Finding(SKIPPED_IMAGE, reason, image.key),)
