"""Reads Pascal VOC: one XML file an image, lists of images, and instance masks.

    DATA_DIR/VOC2012/Annotations/NAME.xml       DATA_DIR/VOC2012/JPEGImages/NAME.jpg
    DATA_DIR/VOC2012/ImageSets/Main/SET.txt     DATA_DIR/VOC2012/SegmentationObject/NAME.png

Data sets of other people have the same files and more or fewer of the folders: the folder of the
year is optional, and without ImageSets every XML counts.

Without XML files (as labelme and CVAT export) the masks are read: SegmentationObject gives the
pixels of each instance, SegmentationClass its class. Which number or color is which class is in
`class_names.txt` (labelme, one a line from number 0) or `labelmap.txt` (CVAT,
`name:red,green,blue:...`); without either, the numbers are VOC's own.
"""

import re
from collections import Counter
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from object_detection.datasets import mask_images
from object_detection.datasets.annotations import (
    AnnotatedImage,
    AnnotatedObject,
    AnnotationSet,
    Category,
    Finding,
)
from object_detection.datasets.files import (
    ImageFolder,
    name_parts,
    read_text,
    relative_name,
    split_folders,
    split_of,
)
from object_detection.datasets.formats import voc_layout, voc_xml
from object_detection.datasets.report import LEFT_OUT, NOTED, SKIPPED_IMAGE, SKIPPED_OBJECT
from object_detection.errors import AnnotationError
from object_detection.structures.masks import CroppedMask

CLASSES = (  # TFOD's pascal_label_map numbers them so, from 1
    "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike "
    "person pottedplant sheep sofa train tvmonitor"
).split()
MERGED = ("VOC2007", "VOC2012")
YEAR = re.compile(r"VOC\d{4}$", re.IGNORECASE)
IMAGE_FOLDERS = ("JPEGImages", "Images", "Image", "imgs", "img")
INSTANCE_FOLDERS = ("SegmentationObject", "SegmentationObjectPNG")
SEMANTIC_FOLDERS = ("SegmentationClass", "SegmentationClassPNG")
ANNOTATIONS = "Annotations"  # the folder of the xmls, unless another is stated
SPLITS = ("train", "val", "test")
MASK_SUFFIXES = {".png", ".bmp", ".tif", ".tiff"}


class _Root(NamedTuple):
    """A folder with annotations, images and lists of one year."""

    path: Path
    xmls: voc_layout.Files | None  # the xmls
    images: ImageFolder
    instances: voc_layout.Files  # masks
    semantic: voc_layout.Files  # masks of the classes, needed where there are no xmls


def read(
    data_dir,
    *,
    year="VOC2007",
    image_set="train",
    annotations_dir=ANNOTATIONS,
    image_dir="",
    ignore_difficult=False,
    with_masks=False,
):
    """Reads one set of one or two years.

    Args:
        data_dir: the folder with the years' folders, or with the annotations themselves.
        year: 'VOC2007', 'VOC2012' or another folder's name; 'merged': these two.
        image_set: name of the list: 'train', 'val', 'trainval', 'test' or another; '': the only
            one there is, else 'train'. Without lists, folders of such names hold the sets: of
            `data_dir`, or of the folder of the xmls.
        annotations_dir: folder of the xmls, within the year's.
        image_dir: folder of the images; '': found.
        ignore_difficult: leave out objects marked as difficult.
        with_masks: also read instance masks: of SegmentationObject, or polygons in the xml. Then
            the list of the segmentation set holds, if there is one. Without any xmls, masks are
            all there is to read.

    Returns:
        An `AnnotationSet` in the order of the lists. Where the year has a folder and no other
        classes occur, the classes are VOC's twenty under TFOD's numbers.

    Raises:
        AnnotationError: folders or lists that are not there; no masks though they are wanted.
    """
    roots = _roots(Path(data_dir), year, annotations_dir, image_set)
    if image_dir:
        roots = [root._replace(images=ImageFolder(image_dir)) for root in roots]
    if all(root.xmls is None for root in roots):
        return _without_xmls(data_dir, roots, image_set)
    images, findings = [], []
    for root in roots:
        names, notes = voc_layout.names(root.path, root.xmls, image_set, masks=with_masks)
        findings += notes
        read_images = (_image(root, name, ignore_difficult, with_masks, findings) for name in names)
        images += [image for image in read_images if image is not None]
    for path, times in Counter(image.path for image in images).items():
        if times > 1:
            findings.append(Finding(NOTED, "several xmls name this image", path.name))
    if with_masks:
        images = _with_masks(images, roots, findings)
    names = {each.class_name for image in images for each in image.objects}
    in_years = any(YEAR.match(root.path.name) for root in roots if root.path != Path(data_dir))
    return AnnotationSet(
        str(data_dir), _categories(names, as_voc=in_years), tuple(images), tuple(findings)
    )


def splits(
    data_dir: str | Path, *, year: str = "VOC2007", annotations_dir: str = ANNOTATIONS
) -> dict[str, str]:
    """Return the sets of a data set: "train", "val" and "test" -> the `image_set` of `read`.

    A data set of one set has it under "".
    """
    data_dir = Path(data_dir)
    root = subfolder(data_dir, [year]) or data_dir
    names = voc_layout.set_names(root)
    sets = {}
    for name in names:
        split = split_of(name)
        if split and (split not in sets or name == split):
            sets[split] = name
    if "train" not in sets and "trainval" in names:
        sets["train"] = "trainval"
    if names:
        in_order = {split: sets[split] for split in SPLITS if split in sets}
        only = names[0] if len(names) == 1 else "train"
        return in_order if len(in_order) > 1 else {"": next(iter(in_order.values()), only)}
    if _is_root(root, annotations_dir):
        xmls = _xml_folder(root, annotations_dir)
        divided = voc_layout.by_folders(voc_layout.Files(xmls, {".xml"})) if xmls else {}
    else:
        divided = _split_roots(root, annotations_dir)
    return {split: split for split in SPLITS if split in divided} or {"": "train"}


def has_instances(data_dir: str | Path, year: str = "VOC2007") -> bool:
    """Return whether a data set, or a folder of a split in it, has VOC's masks of instances."""
    root = subfolder(Path(data_dir), [year]) or Path(data_dir)
    folders = [root, *(each for paths in split_folders(root).values() for each in paths)]
    return any(subfolder(each, INSTANCE_FOLDERS) for each in folders)


def _split_roots(folder, annotations_dir):
    """The folders of splits that are data sets of their own: split -> folders."""
    roots = {
        split: [each for each in folders if _is_root(each, annotations_dir)]
        for split, folders in split_folders(folder).items()
    }
    return {split: folders for split, folders in roots.items() if folders}


def subfolder(folder, names):
    """The first of the names that a folder has, upper and lower case being the same; or None."""
    try:
        have = {path.name.lower(): path for path in folder.iterdir() if path.is_dir()}
    except OSError:
        return None
    return next((have[name.lower()] for name in names if name.lower() in have), None)


def _roots(data_dir, year, annotations_dir, image_set):
    """The folders of the years asked for."""
    if not data_dir.is_dir():
        raise AnnotationError(f"there is no folder {data_dir}")
    years = MERGED if year == "merged" else (year,)
    folders = [subfolder(data_dir, [each]) for each in years]
    if not all(folders):
        # A data set of one's own mostly has no folder of a year.
        if any(folders) or not _is_root(data_dir, annotations_dir):
            divided = {} if any(folders) else _split_roots(data_dir, annotations_dir)
            if divided.get(split_of(image_set or "train")):
                of_split = divided[split_of(image_set or "train")]
                return [_root(folder, annotations_dir) for folder in of_split]
            missing = [each for each, of_split in zip(years, folders, strict=True) if not of_split]
            if divided:
                raise AnnotationError(
                    f"{data_dir} has folders of the sets {', '.join(divided)}, and none of "
                    f"'{image_set}' (--set)"
                )
            raise AnnotationError(
                f"{data_dir} has neither a folder {' nor '.join(missing)} (--year) "
                f"nor a folder {annotations_dir} of its own (--annotations_dir)"
            )
        folders = [data_dir]
    for folder in folders:
        if not _is_root(folder, annotations_dir):
            raise AnnotationError(f"{folder} has no folder {annotations_dir} (--annotations_dir)")
    roots = [_root(folder, annotations_dir) for folder in folders]
    if len({root.xmls is None for root in roots}) > 1:
        raise AnnotationError(f"only one of {' and '.join(years)} has a folder {annotations_dir}")
    return roots


def _is_root(folder, annotations_dir):
    """Whether a folder has xmls, or at least masks of instances and classes."""
    masks = subfolder(folder, INSTANCE_FOLDERS) and subfolder(folder, SEMANTIC_FOLDERS)
    return bool(_xml_folder(folder, annotations_dir) or masks)


def _root(folder, annotations_dir):
    annotations = _xml_folder(folder, annotations_dir)
    return _Root(
        folder,
        voc_layout.Files(annotations, {".xml"}) if annotations else None,
        ImageFolder(subfolder(folder, IMAGE_FOLDERS) or folder),
        voc_layout.Files(subfolder(folder, INSTANCE_FOLDERS), MASK_SUFFIXES),
        voc_layout.Files(subfolder(folder, SEMANTIC_FOLDERS), MASK_SUFFIXES),
    )


def _without_xmls(data_dir, roots, image_set):
    """The set where the masks are all there is."""
    images, findings, categories = [], [], {}
    for root in roots:
        of_root_images, of_root, notes = _read_segmentation(
            root.path, root.instances, root.semantic, root.images, image_set, CLASSES
        )
        images += of_root_images
        findings += notes
        categories |= {each.name: each for each in of_root}
    return AnnotationSet(str(data_dir), tuple(categories.values()), tuple(images), tuple(findings))


def _xml_folder(folder, annotations_dir):
    """Where the xmls lie; labelImg by default puts them next to the images."""
    for path in (folder / annotations_dir, subfolder(folder, [annotations_dir])):
        if path is not None and path.is_dir():
            return path
    if any(folder.glob("*.xml")):
        return folder
    if annotations_dir != ANNOTATIONS:
        return None
    # One folder of another name; those of splits are data sets of their own.
    inner = [path for path in folder.iterdir() if path.is_dir() and not split_of(path.name)]
    inner = [path for path in inner if any(path.glob("*.xml"))]
    return inner[0] if len(inner) == 1 else None


def _image(root, name, ignore_difficult, with_masks, findings):
    """The image of one xml; None where there is none to be had."""
    path = root.xmls.get(name)
    if path is None:
        findings.append(Finding(SKIPPED_IMAGE, "the list names it, and it has no xml", name))
        return None
    try:
        annotation = voc_xml.read(path)
    except AnnotationError as fault:
        findings.append(Finding(SKIPPED_IMAGE, str(fault), relative_name(path, root.path)))
        return None
    findings += annotation.findings
    kept = annotation.objects
    if ignore_difficult:
        reason = "the object is difficult (--ignore_difficult_instances)"
        findings += [Finding(LEFT_OUT, reason, each.key) for each in kept if each.difficult]
        kept = tuple(each for each in kept if not each.difficult)
    stated, image_path = _find(root, path, annotation.filename, findings)
    filename = relative_name(image_path, root.images.root) if image_path else stated
    image = AnnotatedImage(
        key=filename,
        source_id=filename,
        filename=filename,
        objects=kept,
        path=image_path or root.images.path(stated),
        stated_size=annotation.size,
    )
    mask = root.instances.get(name)
    if with_masks and mask and not all(each.mask for each in kept):
        work = partial(
            _numbered, path=mask, everything=annotation.objects, places=annotation.places
        )
        image = image._replace(complete=work)
    return image


def _find(root, path, filename, findings):
    """The name of the image of an xml, and its path if it is there.

    The `filename` decides, as in TFOD, unless it is clearly left over from another xml.
    """
    if not filename:
        return path.stem, root.images.find(path.stem, any_suffix=True)
    stem = (name_parts(filename) or ("",))[-1].rpartition(".")[0]
    if stem.lower() != path.stem.lower() and stem in root.xmls:
        own = root.images.find(path.stem, any_suffix=True)
        if own is not None:
            reason = "the xml names another one's image: that of its own name is taken"
            findings.append(Finding(NOTED, reason, path.name))
            return own.name, own
    image_path = root.images.find(filename, any_suffix=True)
    return filename, image_path or root.images.find(path.stem, any_suffix=True)


def _with_masks(images, roots, findings):
    """Keep the images with masks; one without would be taken for one without objects."""
    kept, without = [], []
    for image in images:
        masks = image.complete or not image.objects or any(each.mask for each in image.objects)
        (kept if masks else without).append(image)
    if without and not any(image.objects for image in kept):
        raise AnnotationError(
            f"no image of the set has masks: {roots[0].path} needs a folder SegmentationObject, or "
            "polygons in the xmls; without --include_masks boxes are written"
        )
    reason = "the image has no file in SegmentationObject"
    findings += [Finding(SKIPPED_IMAGE, reason, image.key) for image in without]
    return kept


def _numbered(image, *, path, everything, places):
    """The image with the masks of its SegmentationObject file (None: without any), and findings.

    Args:
        image: the image.
        path: of the file.
        everything: all objects of the xml, in their order: some may not be wanted any more.
        places: the places of these in the xml, from 1.
    """
    whole = image._replace(objects=everything)
    try:
        regions = mask_images.read_regions(path, numbered=True)
    except AnnotationError as fault:
        return None, (Finding(SKIPPED_IMAGE, str(fault), f"{image.key}: {path.name}"),)
    match = mask_images.match_by_number(regions, boxes_of(whole), places)
    whole, findings = matched(whole, path, regions, match)
    if whole is None:
        return None, findings
    kept_keys = {each.key for each in image.objects}
    unwanted = {each.key for each in everything} - kept_keys
    return (
        image._replace(objects=tuple(each for each in whole.objects if each.key in kept_keys)),
        tuple(finding for finding in findings if finding.key not in unwanted),
    )


def matched(image, path, regions, match):
    """The image with the masks of a `Match`, and findings; masks its xml has are kept.

    An image whose objects all lack a mask is None: it would be taken for one without objects.
    """
    nothing = "nothing in the mask image fits the object"
    objects = tuple(
        each
        if each.mask
        else each._replace(mask=CroppedMask(match.masks[number]))
        if number in match.masks
        else each._replace(mask_fault=nothing)
        for number, each in enumerate(image.objects)
    )
    if not any(each.mask for each in objects):
        reason = "the mask image fits none of the image's objects"
        return None, (Finding(SKIPPED_IMAGE, reason, f"{image.key}: {path.name}"),)
    keys = [each.key for each in image.objects]
    moved = "the mask's number is not the object's place in the xml: matched by the boxes"
    parted = "objects of one class touch in one color: their masks are parted by the boxes"
    left = "a value of the mask image is no object's"
    stray = "a color of the mask image has pixels far from its objects' boxes: left out"
    findings = [Finding(NOTED, moved, keys[number]) for number in match.moved]
    findings += [Finding(NOTED, parted, keys[number]) for number in match.parted]
    findings += [
        Finding(NOTED, left, f"{path.name}: {regions.name(value)}") for value in match.left
    ]
    findings += [
        Finding(NOTED, stray, f"{path.name}: {regions.name(value)}") for value in match.stray
    ]
    return image._replace(objects=objects), tuple(findings)


def boxes_of(image):
    """[n, 4] of an image's objects; NaN where one has no box."""
    none = (np.nan,) * 4
    return np.array([each.box or none for each in image.objects], float).reshape(-1, 4)


def _categories(names, *, as_voc):
    """TFOD's numbers for VOC's own classes; else the names in their order."""
    if as_voc and names <= set(CLASSES):
        return tuple(Category(name, number) for number, name in enumerate(CLASSES, start=1))
    return tuple(Category(name) for name in sorted(names))


NO_CLASSES = ("background", "_background_", "ignored", "ignore", "__ignore__", "void")


class _Classes(NamedTuple):
    """The names behind the values of SegmentationClass."""

    names: dict[int, str]  # number, or packed color -> name
    by_color: bool


def _read_segmentation(root, instances, semantic, images, image_set, vocs_classes):
    """Reads the images of one set.

    Args:
        root: folder that holds the others.
        instances: `Files` of SegmentationObject.
        semantic: `Files` of SegmentationClass.
        images: `ImageFolder`.
        image_set: name of the list.
        vocs_classes: names of VOC's classes, from number 1.

    Returns:
        The images, whose objects a worker finds, their `Category`s, and findings.

    Raises:
        AnnotationError: there are lists and none of this set, or a malformed table of classes.
    """
    classes, categories = _classes(root, vocs_classes)
    names, findings = voc_layout.names(root, instances, image_set, masks=True)
    annotated = []
    for name in names:
        path, of_class = instances.get(name), semantic.get(name)
        if path is None or of_class is None:
            folder = "SegmentationClass" if path else "SegmentationObject"
            findings.append(Finding(SKIPPED_IMAGE, f"the image has no file in {folder}", name))
            continue
        photo = images.find(f"{name}.jpg", any_suffix=True)
        filename = relative_name(photo, images.root) if photo else f"{name}.jpg"
        annotated.append(
            AnnotatedImage(
                key=filename,
                source_id=filename,
                filename=filename,
                path=photo or images.path(filename),
                complete=partial(_instances, path=path, of_class=of_class, classes=classes),
            )
        )
    return annotated, categories, findings


def _classes(root, vocs_classes):
    """What the values of SegmentationClass mean, and the categories."""
    if (root / "labelmap.txt").is_file():
        names = _class_colors(root / "labelmap.txt")
        categories = tuple(Category(name) for name in sorted(set(names.values())))
        return _Classes(names, by_color=True), categories
    if (root / "class_names.txt").is_file():
        lines = [line.strip() for line in read_text(root / "class_names.txt").splitlines()]
        names = {n: name for n, name in enumerate(lines) if name and name not in NO_CLASSES}
    else:
        names = dict(enumerate(vocs_classes, start=1))
    return _Classes(names, by_color=False), tuple(
        Category(name, number) for number, name in names.items()
    )


def _class_colors(path):
    """The classes of CVAT's table: packed color -> name."""
    names = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        name, _, rest = line.partition(":")
        if not line.strip() or line.startswith("#") or name.strip() in NO_CLASSES:
            continue
        try:
            red, green, blue = (int(part) for part in rest.partition(":")[0].split(","))
        except ValueError:
            raise AnnotationError(
                f"{path}, line {number}: 'name:red,green,blue:...' is expected, got {line[:60]!r}"
            ) from None
        names[mask_images.pack(red, green, blue)] = name.strip()
    return names


def _instances(image, *, path, of_class, classes):
    """The image with an object for each instance (None: nothing can be read), and findings."""
    try:
        regions = mask_images.read_regions(path, numbered=True)
        semantic = mask_images.read_regions(of_class, numbered=not classes.by_color)
    except AnnotationError as fault:
        return None, (Finding(SKIPPED_IMAGE, str(fault), f"{image.key}: {path.name}"),)
    if regions.labels.shape != semantic.labels.shape:
        reason = "SegmentationObject and SegmentationClass differ in size"
        return None, (Finding(SKIPPED_IMAGE, reason, image.key),)
    objects, findings = [], []
    for value in mask_images.values_of_instances(regions):
        mask = regions.labels == value
        key = f"{Path(path).name}: {regions.name(value)}"
        names = [classes.names.get(int(each)) for each in semantic.values]
        counts = np.bincount(semantic.labels[mask], minlength=len(names))
        known = [number for number in np.argsort(-counts) if names[number] and counts[number]]
        if not known:
            reason = "SegmentationClass has no class for the instance"
            findings.append(Finding(SKIPPED_OBJECT, reason, key))
            continue
        if len(known) > 1:
            reason = "the instance has pixels of several classes: that of most is taken"
            findings.append(Finding(NOTED, reason, key))
        objects.append(AnnotatedObject(key, names[known[0]], mask=CroppedMask(mask)))
    return image._replace(objects=tuple(objects)), tuple(findings)
