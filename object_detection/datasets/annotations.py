"""The one record every labeling format is read into, and every record file is written from.

Coordinates are pixels of the image as stored: x to the right, y down, the first pixel covers
[0, 1). Nothing here is checked or clipped; that is `checking.py`'s work, once for all formats.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from object_detection.structures.masks import CroppedMask

# Class text of the ignore regions in records: neither learned from nor evaluated where the reader
# of the records names it as its `ignore_class`. It is no entry of the label map.
IGNORE_CLASS = "__ignore__"


class Polygons(NamedTuple):
    """A mask as the union of closed polygons, less what lies in a hole."""

    parts: tuple[Sequence[float], ...]  # each (x0, y0, x1, y1, ...), a tuple or an array
    holes: tuple[tuple[float, ...], ...] = ()  # cut out of all the parts


class RunLengths(NamedTuple):
    """A mask as COCO run lengths: columns top to bottom, zeros first."""

    height: int
    width: int
    counts: bytes | tuple[int, ...]  # compressed bytes, or the plain lengths of the runs


class MaskFile(NamedTuple):
    """A mask that lies in an image file: its pixels of certain values. Read when it is needed.

    `values` are what counts as the object: gray values, palette indices or ids of any width (ints),
    or colors of 8 bits a channel (triples; a palette is asked for what it shows). None: the alpha
    channel where it says anything, else whatever is not black (of a JPEG: brighter than half).
    The file's first pixel lies at (top, left) of the image. Many objects may name one file: it is
    decoded once a process (`masks.py`).
    """

    path: Path
    values: tuple[int | tuple[int, int, int], ...] | None = None
    top: int = 0
    left: int = 0


class EncodedBitmap(NamedTuple):
    """A mask as an image file (PNG) of a piece of the image, still encoded. Read when needed.

    The object is what is not transparent, or, without transparency, what is not black.
    """

    encoded: bytes
    top: int = 0
    left: int = 0


class Stretched(NamedTuple):
    """A mask of the whole image in another resolution: the nearest of its pixels hold.

    For images whose places are `normalized`; `height` and `width` of the image, in pixels, are
    filled in when it is read.
    """

    mask: tuple  # of a kind above that holds pixels
    height: int | None = None
    width: int | None = None


class Union(NamedTuple):
    """A mask in pieces, of any kinds: an object that was drawn as several shapes."""

    masks: tuple  # of the kinds above


Mask = Polygons | RunLengths | CroppedMask | MaskFile | EncodedBitmap | Stretched | Union


class AnnotatedObject(NamedTuple):
    """One object as its annotation says it."""

    key: str  # what a report calls it: an annotation id, or a place in a file
    class_name: str
    box: tuple[float, float, float, float] | None = None  # ymin, xmin, ymax, xmax; None: from mask
    mask: Mask | None = None
    area: float | None = None  # pixels; None: from the mask, else from the box
    crowd: bool = False
    difficult: bool = False
    truncated: bool | float = False  # KITTI says how much, from 0 to 1
    group_of: bool = False
    mask_fault: str | None = None  # why a mask that the annotation has could not be read
    view: str | None = None  # VOC's pose, such as 'Frontal'
    attributes: tuple[tuple[str, int | float], ...] = ()  # name, value: image/object/NAME
    category_id: int | None = None  # in the annotation file; two categories may share a name


class ImageLabel(NamedTuple):
    """A label of an image as a whole."""

    class_name: str
    confidence: float = 1.0  # 0: it was checked that the class does not occur


class AnnotatedImage(NamedTuple):
    """One image with its objects. The pixels lie in `encoded`, else in the file `path`."""

    key: str  # what a report calls it: its file name
    source_id: str  # unique within the data set
    filename: str
    objects: tuple[AnnotatedObject, ...] = ()
    path: Path | None = None
    encoded: bytes | None = None
    stated_size: tuple[int, int] | None = None  # (height, width) by the annotation: compared only
    normalized: bool = False  # boxes, polygons and areas are shares of the image, not pixels
    labels: tuple[ImageLabel, ...] = ()
    negative_classes: tuple[str, ...] = ()  # sure not to occur
    not_exhaustive_classes: tuple[str, ...] = ()  # not every object of these is annotated
    # What further files say of the objects, where reading these is a worker's work: a picklable
    # function of this image; gives the image with its objects (None: skip it), and `Finding`s.
    complete: Callable | None = None


class Category(NamedTuple):
    """A class of a data set; formats without numbers have no id."""

    name: str
    id: int | None = None
    # Further fields of its label map item: ("display_name", "Cat"), ("frequency", "RARE"), ...
    item_fields: tuple[tuple[str, str | int], ...] = ()


class Finding(NamedTuple):
    """One decision about one image or object, for the closing report."""

    group: str  # one of the GROUPS of report.py
    reason: str
    key: str


class AnnotationSet(NamedTuple):
    """What a reader gives: classes, images with objects, and what the file itself had wrong."""

    source: str  # the annotation file or folder
    categories: tuple[Category, ...]
    images: tuple[AnnotatedImage, ...]
    findings: tuple[Finding, ...] = ()
    has_ignore_regions: bool = False  # objects of the class `IGNORE_CLASS`
