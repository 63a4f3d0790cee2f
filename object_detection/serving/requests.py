"""Requests to a served model: TensorFlow Serving's two JSON formats, tensors, and image files.

Images of the network are not trusted: their header is checked before they are decoded.
"""

import base64
import binascii
import io
from typing import NamedTuple

import numpy as np
import orjson
from PIL import Image

from object_detection.prediction import pixels
from object_detection.serving.limits import RequestError
from object_detection.serving.served_model import image_from_example, serialize_example

# Formats of photographs. Pillow's other decoders, some of them programs, are disabled.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF")  # JPEG includes MPO
# Formats that TensorFlow decodes.
_TENSORFLOW_FORMATS = ("JPEG", "PNG", "BMP", "GIF")
_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I;16B", "I")
_MIN_SIDE = 2
_ORIENTATION = 0x0112


def decode(encoded, limits, take=None):
    """Decode an image file to upright pixels.

    Args:
        encoded: bytes of the file.
        limits: `Limits`.
        take: called with the bytes of the pixels before decoding; see `Budget.account`.

    Returns:
        uint8 [h, w, 3].

    Raises:
        RequestError: 400 not a complete image, 413 too large.
    """
    with _opened(encoded, limits) as image:
        if take is not None:
            take(3 * image.width * image.height)
        return _read(lambda: np.asarray(pixels.read(image)))


def decodable(encoded, limits, *, upright=False):
    """Return a file that TensorFlow's `decode_image` reads, and its size in TensorFlow.

    Args:
        encoded: bytes of an image file.
        limits: `Limits`.
        upright: turn it as its EXIF orientation says, which TensorFlow does not.

    Returns:
        (bytes, (height, width)). The bytes are the file itself if TensorFlow reads it, else PNG.

    Raises:
        RequestError: as `decode`.
    """
    with _opened(encoded, limits) as image:
        return _read(lambda: _decodable(image, encoded, upright))


def check_image_shape(array, limits):
    """Raise `RequestError` unless an array [..., h, w, 3] holds images within the limits."""
    if array.ndim < 3 or array.shape[-1] != 3:
        raise RequestError(
            400, f"an image must be [height, width, 3], got shape {list(array.shape)}"
        )
    _check_size(array.shape[-2], array.shape[-3], limits)


def encode_png(array):
    """The bytes of a PNG file of uint8 [h, w, 3]."""
    return _png(array)[0]


def _decodable(image, encoded, upright):
    turned = upright and image.getexif().get(_ORIENTATION, 1) != 1
    if image.format in _TENSORFLOW_FORMATS and image.mode in _MODES and not turned:
        image.load()  # so that a truncated file does not fail a whole batch
        return encoded, (image.height, image.width)
    if not upright:
        image.getexif()[_ORIENTATION] = 1
    return _png(np.asarray(pixels.read(image)))


def _png(array):
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG", compress_level=1)
    return file.getvalue(), array.shape[:2]


def _opened(encoded, limits):
    """Open an image with Pillow, which reads its header, and check its size."""
    if not encoded:
        raise RequestError(400, "the image is empty: 0 bytes")
    try:
        image = Image.open(io.BytesIO(encoded), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise RequestError(413, str(error)) from None
    except Image.UnidentifiedImageError:
        known = ", ".join(FORMATS)
        raise RequestError(
            400, f"not an image: {len(encoded)} bytes in none of the formats {known}"
        ) from None
    except Exception as error:  # see `_read`
        raise RequestError(400, f"the image cannot be read: {error}") from None
    _check_size(image.width, image.height, limits)
    return image


def _check_size(width, height, limits):
    if min(width, height) < _MIN_SIDE:
        raise RequestError(
            400, f"the image has {width} x {height} pixels; allowed: sides of at least {_MIN_SIDE}"
        )
    if max(width, height) > limits.max_side or width * height > limits.max_pixels:
        raise RequestError(
            413,
            f"the image has {width} x {height} pixels; allowed: sides of at most "
            f"{limits.max_side}, {limits.max_pixels} pixels in total (--max_side, --max_pixels)",
        )


def _read(function):
    try:
        return function()
    except Exception as error:  # Pillow raises errors of any kind for broken files
        raise RequestError(400, f"the image cannot be read: {error}") from None


class Item(NamedTuple):
    """One image, or several that have to stay together, as the model's input."""

    rows: np.ndarray  # [n, h, w, 3] of the signature's type, or [n] of bytes
    size: tuple | None  # (height, width) of the image


class Parsed(NamedTuple):
    """Parsed request."""

    items: list  # of `Item`
    by_row: bool  # whether it has instances and is answered with predictions
    signature: object


class Reader:
    """Reader of requests for one version of a model.

    Args:
        model: `ServedModel`.
        limits: `Limits`.
        take: called with the bytes of decoded pixels; see `Budget.account`.
    """

    def __init__(self, model, limits, take):
        self._model, self._limits, self._take = model, limits, take

    def from_json(self, body):
        """Parse a request of TensorFlow Serving's REST API; raise `RequestError` (400, 413)."""
        try:
            request = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise RequestError(400, f"the body is not JSON: {error}") from None
        if not isinstance(request, dict):
            raise RequestError(400, 'the body must be an object: {"instances": [...]}')
        keys = [key for key in ("instances", "inputs") if key in request]
        if len(keys) != 1:
            names = ", ".join(map(repr, request))[:200] or "nothing"
            raise RequestError(400, f"give one of 'instances' and 'inputs'; got: {names}")
        name = request.get("signature_name", "")
        if not isinstance(name, str):
            raise RequestError(400, "signature_name must be a string")
        signature = self._model.signature(name)
        value = request[keys[0]]
        if keys[0] == "instances":
            if not isinstance(value, list) or not value:
                raise RequestError(400, "'instances' must be a list with at least one image")
            values = [_input_value(instance, signature) for instance in value]
            items = [self._item(value, signature) for value in values]
            return Parsed(self._keep_together(items, signature), True, signature)
        value = _input_value(value, signature)
        if not isinstance(value, list) or not value:
            raise RequestError(400, "'inputs' must be a list with at least one image")
        if any(isinstance(entry, (dict, str)) for entry in value):
            items = [self._item(entry, signature) for entry in value]
        else:
            items = self._items_from_array(_array_from_json(value), signature)
        return Parsed(self._keep_together(items, signature), False, signature)

    def from_tensor(self, array, signature_name):
        """Parse a request of the gRPC protocol; raise `RequestError` (400, 413)."""
        signature = self._model.signature(signature_name)
        if array.ndim < 1 or not len(array):
            raise RequestError(400, f"the batch is empty: shape {list(array.shape)}")
        if signature.dtype == "string":
            if array.dtype != object or array.ndim != 1:
                raise RequestError(400, f"{signature.input_name} takes strings [batch]")
            items = [self._item_from_bytes(entry, signature) for entry in array.tolist()]
        elif array.dtype != signature.dtype.as_numpy_dtype:
            raise RequestError(
                400,
                f"{signature.input_name} takes {signature.dtype.name}, not "
                f"{'strings' if array.dtype == object else array.dtype}",
            )
        else:
            items = self._items_from_array(array, signature)
        return Parsed(self._keep_together(items, signature), False, signature)

    def from_image(self, encoded):
        """Parse a request that is one image file, upright; raise `RequestError` (400, 413)."""
        signature = self._model.signature("")
        if signature.dtype == "string":
            readable, size = decodable(encoded, self._limits, upright=True)
            if self._model.takes_examples[signature.name]:
                readable = serialize_example(readable)
            item = Item(np.array([readable], object), size)
        else:
            item = self._item_from_file(encoded, signature)
        return Parsed([item], True, signature)

    def _item(self, value, signature):
        """Return the `Item` of one image of a JSON request."""
        if isinstance(value, dict):
            if set(value) != {"b64"} or not isinstance(value["b64"], str):
                raise RequestError(
                    400, f'an image is {{"b64": string}}, got keys {list(value)[:5]}'
                )
            try:
                encoded = base64.b64decode(value["b64"], validate=True)
            except (binascii.Error, ValueError) as error:
                raise RequestError(400, f"b64 is not base64: {error}") from None
            return self._item_from_bytes(encoded, signature)
        if isinstance(value, str):
            if signature.dtype != "string":
                raise RequestError(400, f"{signature.input_name} takes images, not strings")
            return self._item_from_bytes(value.encode(), signature)
        if not isinstance(value, list):
            raise RequestError(400, f"an image cannot be {orjson.dumps(value)[:50].decode()}")
        (item,) = self._items_from_array(_array_from_json(value)[np.newaxis], signature)
        return item

    def _item_from_bytes(self, encoded, signature):
        """Return the `Item` of bytes; for models of pixels, decode the file (our extension)."""
        if signature.dtype != "string":
            return self._item_from_file(encoded, signature)
        if not self._model.takes_examples[signature.name]:
            readable, size = decodable(encoded, self._limits)
            return Item(np.array([readable], object), size)
        image = image_from_example(encoded)
        readable, size = decodable(image, self._limits)
        return Item(
            np.array([encoded if readable is image else serialize_example(readable)], object), size
        )

    def _item_from_file(self, encoded, signature):
        pixels = decode(encoded, self._limits, self._take)
        rows = pixels[np.newaxis].astype(signature.dtype.as_numpy_dtype, copy=False)
        return Item(rows, pixels.shape[:2])

    def _items_from_array(self, array, signature):
        """Return the `Item`s of an array [n, h, w, 3] of any number type."""
        if signature.dtype == "string":
            raise RequestError(400, f"{signature.input_name} takes image files, not numbers")
        if array.ndim != 4:
            raise RequestError(400, f"images must be [n, h, w, 3], got shape {list(array.shape)}")
        check_image_shape(array, self._limits)
        selected = signature.dtype.as_numpy_dtype
        if selected == np.uint8 and array.dtype != np.uint8:
            if array.dtype.kind not in "iu":
                raise RequestError(
                    400, f"{signature.input_name} takes whole numbers, got fractions"
                )
            if array.min() < 0 or array.max() > 255:
                raise RequestError(
                    400,
                    f"{signature.input_name} takes 0 to 255, got {array.min()} to {array.max()}",
                )
        array = array.astype(selected, copy=False)
        self._take(array.nbytes)
        return [Item(row[np.newaxis], array.shape[1:3]) for row in array]

    def _keep_together(self, items, signature):
        """Return the items, or one item if the outputs cannot be separated by image."""
        if signature.mixes:
            return items
        if len({item.rows.shape[1:] for item in items}) > 1:
            raise RequestError(400, "images of one request must have one size for this signature")
        if len(items) > self._limits.max_batch:
            raise RequestError(
                413, f"{len(items)} images; at most {self._limits.max_batch} at once"
            )
        return [Item(np.concatenate([item.rows for item in items]), items[0].size)]


def _input_value(value, signature):
    """Return the value of the one input, given directly or under its name."""
    if not isinstance(value, dict) or "b64" in value:
        return value
    if set(value) != {signature.input_name}:
        names = ", ".join(map(repr, value))[:200]
        raise RequestError(400, f"the only input is {signature.input_name!r}; got: {names}")
    return value[signature.input_name]


def _array_from_json(value):
    """Convert nested lists of numbers to an array."""
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError) as error:
        raise RequestError(400, f"the lists do not form an array: {error}") from None
    if array.dtype.kind not in "iuf":
        raise RequestError(400, f"images consist of numbers, got {array.dtype}")
    if not array.size:
        raise RequestError(400, f"the image has no pixels: shape {list(array.shape)}")
    return array
