"""Images of any common kind for a server, or to draw on; Pillow is imported where it is needed."""

import io
import os
from pathlib import Path

import numpy as np

_KINDS = "a path, the bytes of an image file, a Pillow image, or an array uint8 [h, w, 3]"


def encoded(image) -> bytes:
    """The bytes of an image file.

    Args:
        image: a path, whose file is taken as it is; the bytes of a file; a Pillow image, which is
            turned as its EXIF orientation says; or an array as `pixels` takes it.

    Raises:
        TypeError: something else. ValueError: an array that is no image.
    """
    if isinstance(image, (bytes, bytearray, memoryview)):
        return bytes(image)
    if isinstance(image, (str, os.PathLike)):
        return Path(image).read_bytes()
    file = io.BytesIO()
    pillow().fromarray(pixels(image)).save(file, "PNG", compress_level=1)
    return file.getvalue()


def several(images) -> list:
    """The images as a list.

    Raises:
        TypeError: a single image.
    """
    single = isinstance(images, (str, bytes, bytearray, memoryview, os.PathLike))
    single = single or getattr(images, "ndim", 4) in (2, 3) or not hasattr(images, "__iter__")
    if single:
        raise TypeError(f"several images are expected, got a {type(images).__name__}: give a list")
    return list(images)


def pixels(image) -> np.ndarray:
    """The pixels of an image, uint8 [h, w, 3], an array of their own.

    Args:
        image: as `encoded` takes it; arrays may be [h, w], [h, w, 1], [h, w, 3] or [h, w, 4], of
            any number type in 0..255.

    Raises:
        TypeError: something else. ValueError: an array or a file that is no image.
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
    """The module `PIL.Image`.

    Raises:
        ModuleNotFoundError: with what to install.
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
