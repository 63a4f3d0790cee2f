"""Small sets of the drawing tools, made by the tests themselves."""

import base64
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 60, 80


def image(path, height=HEIGHT, width=WIDTH):
    """An image file of noise."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path, {".jpg": "JPEG", ".jpeg": "JPEG"}.get(path.suffix, "PNG"))
    return path


def text(path, content):
    """A text or JSON file."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    path.write_text(content, encoding="utf-8")
    return path


def png(pixels, mode="L", **options):
    """A PNG file's bytes of pixels [h, w]."""
    stream = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8) * 255, "L").convert(mode).save(
        stream, "PNG", **options
    )
    return stream.getvalue()


def base64_of(content):
    return base64.b64encode(content).decode()


def blob(seed=0, height=HEIGHT, width=WIDTH):
    """A ragged object [height, width] bool."""
    ys, xs = np.mgrid[:height, :width]
    noise = np.random.default_rng(seed).random((height, width))
    return (ys - height / 2) ** 2 + (xs - width / 2) ** 2 < 300 + 300 * noise


def reasons(found):
    """What a reader found: reason -> names."""
    listed = {}
    for finding in found.findings:
        listed.setdefault(finding.reason, []).append(finding.key)
    return listed
