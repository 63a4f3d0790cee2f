"""Images of any common kind, for a server or to draw on; imports Pillow when needed."""

import io
import os
from pathlib import Path

import numpy as np

_KINDS = "a path, the bytes of an image file, a Pillow image, or an array uint8 [h, w, 3]"


def encoded(image) -> bytes:
    """Return the bytes of an image file.

    Args:
        image: A path, whose file is sent unchanged; the bytes of a file; a Pillow image, which is
            rotated by its EXIF orientation; or an array as for `pixels`.

    Raises:
        TypeError: Another type. ValueError: An array that is not an image.
    """
    if isinstance(image, (bytes, bytearray, memoryview)):
        return bytes(image)
    if isinstance(image, (str, os.PathLike)):
        return Path(image).read_bytes()
    file = io.BytesIO()
    pillow().fromarray(pixels(image)).save(file, "PNG", compress_level=1)
    return file.getvalue()


def several(images) -> list:
    """Return the images as a list.

    Raises:
        TypeError: A single image.
    """
    single = isinstance(images, (str, bytes, bytearray, memoryview, os.PathLike))
    single = single or getattr(images, "ndim", 4) in (2, 3) or not hasattr(images, "__iter__")
    if single:
        raise TypeError(f"several images are expected, got a {type(images).__name__}: give a list")
    return list(images)


def pixels(image) -> np.ndarray:
    """Return the pixels of an image, a new array uint8 [h, w, 3].

    Args:
        image: As for `encoded`; arrays may be [h, w], [h, w, 1], [h, w, 3] or [h, w, 4], of any
            number type in 0..255.

    Raises:
        TypeError: Another type. ValueError: An array or a file that is not an image.
    """
    if isinstance(image, (str, os.PathLike)):
        return _opened(image, os.fspath(image))
    if isinstance(image, (bytes, bytearray, memoryview)):
        return _opened(io.BytesIO(bytes(image)), f"{len(image)} bytes")
    if hasattr(image, "convert") and hasattr(image, "getexif"):
        return _of_pillow(image)
    if not hasattr(image, "__array__"):
        raise TypeError(f"image is a {type(image).__name__}; give {_KINDS}")
    array = np.asarray(image)
    if array.ndim == 2:
        array = array[..., np.newaxis]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or not array.size:
        raise ValueError(f"image is an array {list(np.shape(image))}; give uint8 [h, w, 3]")
    if array.dtype != np.uint8:
        low, high = (array.min(), array.max()) if array.dtype.kind in "uif" else (-1, -1)
        if not (0 <= low and high <= 255) or (array.dtype.kind == "f" and 0 < high <= 1):
            raise ValueError(
                f"image is an array of {array.dtype} from {low} to {high}; give uint8, or numbers "
                "in 0..255 (multiply by 255 what runs from 0 to 1)"
            )
        array = np.rint(array).astype(np.uint8)
    return np.array(array.repeat(3, axis=2) if array.shape[2] == 1 else array[..., :3])


def pillow():
    """Return the module `PIL.Image`.

    Raises:
        ModuleNotFoundError: Says what to install.
    """
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "images need Pillow, which is not installed: pip install pillow", name=error.name
        ) from None
    return Image


def _opened(file, name):
    image = pillow()
    try:
        with image.open(file) as opened:
            return _of_pillow(opened)
    except image.UnidentifiedImageError:
        raise ValueError(f"{name}: not an image of a format that Pillow knows") from None


def _of_pillow(image):
    from PIL import ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # of 16 bits the upper 8, as the server takes files
        array = np.asarray(image)
        return pixels(array >> 8 if array.max(initial=0) > 255 else array)
    return np.array(image.convert("RGB"))
