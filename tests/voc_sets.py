"""Small sets in Pascal VOC's form, made by the tests themselves."""

from pathlib import Path

import numpy as np
from PIL import Image

from object_detection.datasets.mask_images import palette_color

HEIGHT, WIDTH = 60, 80


def photo(path, height=HEIGHT, width=WIDTH, kind=None):
    """An image file of noise."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path, kind)
    return path


def thing(name, box, **fields):
    """An `<object>`; the box is ymin, xmin, ymax, xmax or None, further fields are its children."""
    tags = {"pose": "Unspecified", "truncated": 0, "difficult": 0, **fields}
    text = f"<name>{name}</name>"
    text += "".join(f"<{tag}>{value}</{tag}>" for tag, value in tags.items() if value is not None)
    if box is not None:
        sides = zip(("ymin", "xmin", "ymax", "xmax"), box, strict=True)
        text += "<bndbox>" + "".join(f"<{tag}>{side}</{tag}>" for tag, side in sides) + "</bndbox>"
    return f"<object>{text}</object>"


def sheet(path, *things, filename=None, folder="VOC2012", size=(HEIGHT, WIDTH)):
    """An xml; `filename` is the xml's own name with .jpg unless given."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    filename = f"{path.stem}.jpg" if filename is None else filename
    stated = ""
    if size:
        stated = f"<size><width>{size[1]}</width><height>{size[0]}</height><depth>3</depth></size>"
    path.write_text(
        f"<annotation><folder>{folder}</folder><filename>{filename}</filename>{stated}"
        f"<segmented>0</segmented>{''.join(things)}</annotation>",
        encoding="utf-8",
    )
    return path


def text(path, content):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def palette_png(path, numbers):
    """A PNG of numbers [h, w] under VOC's palette."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(numbers, np.uint8), "L").convert("P")
    image.putdata(np.asarray(numbers, np.uint8).ravel().tolist())
    image.putpalette([channel for number in range(256) for channel in palette_color(number)])
    image.save(path)
    return path


def color_png(path, numbers, colors):
    """A PNG of numbers [h, w], each shown in its color."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(colors, np.uint8)[np.asarray(numbers)]).save(path)
    return path


def disc(y, x, radius, height=HEIGHT, width=WIDTH):
    """Pixels [height, width] bool of a disc."""
    ys, xs = np.mgrid[:height, :width]
    return (ys - y) ** 2 + (xs - x) ** 2 <= radius**2


def box_around(mask):
    """VOC's box of pixels: counted from 1, the last one included."""
    ys, xs = np.nonzero(mask)
    return ys.min() + 1, xs.min() + 1, ys.max() + 1, xs.max() + 1


def reasons(findings):
    """reason -> keys."""
    listed = {}
    for finding in findings:
        listed.setdefault(finding.reason, []).append(finding.key)
    return listed


def completed(image):
    """The image with its masks, and the findings about them, as a worker makes it."""
    return image.complete(image) if image.complete else (image, ())
