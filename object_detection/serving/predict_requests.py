"""What clients send, made images for the model: TensorFlow Serving's two JSON forms, tensors."""

import base64
import binascii
from typing import NamedTuple

import numpy as np
import orjson

from object_detection.serving import images
from object_detection.serving.limits import Refusal
from object_detection.serving.served_model import example_of, image_in_example


class Item(NamedTuple):
    """One image, or several that have to stay together, as the model takes them."""

    rows: np.ndarray  # [n, h, w, 3] of the signature's type, or [n] of bytes
    size: tuple | None  # (height, width) of the image


class Parsed(NamedTuple):
    """A request."""

    items: list  # of `Item`
    by_row: bool  # whether it came as instances, and is answered as predictions
    signature: object


class Reader:
    """Reads images for one version of a model.

    Args:
        model: `ServedModel`.
        limits: `Limits`.
        take: is told the bytes of decoded pixels; see `Budget.account`.
    """

    def __init__(self, model, limits, take):
        self._model, self._limits, self._take = model, limits, take

    def of_json(self, body):
        """A request of TensorFlow Serving's REST protocol; raises `Refusal` (400, 413)."""
        try:
            request = orjson.loads(body)
        except orjson.JSONDecodeError as fault:
            raise Refusal(400, f"the body is not JSON: {fault}") from None
        if not isinstance(request, dict):
            raise Refusal(400, 'the body must be an object: {"instances": [...]}')
        keys = [key for key in ("instances", "inputs") if key in request]
        if len(keys) != 1:
            found = ", ".join(map(repr, request))[:200] or "nothing"
            raise Refusal(400, f"give one of 'instances' and 'inputs'; found: {found}")
        name = request.get("signature_name", "")
        if not isinstance(name, str):
            raise Refusal(400, "signature_name must be a text")
        signature = self._model.signature(name)
        value = request[keys[0]]
        if keys[0] == "instances":
            if not isinstance(value, list) or not value:
                raise Refusal(400, "'instances' must be a list of one image at least")
            values = [_of_input(instance, signature) for instance in value]
            items = [self._item(value, signature) for value in values]
            return Parsed(self._kept_together(items, signature), True, signature)
        value = _of_input(value, signature)
        if not isinstance(value, list) or not value:
            raise Refusal(400, "'inputs' must hold a list of one image at least")
        if any(isinstance(entry, (dict, str)) for entry in value):
            items = [self._item(entry, signature) for entry in value]
        else:
            items = self._of_array(_array_of_json(value), signature)
        return Parsed(self._kept_together(items, signature), False, signature)

    def of_tensor(self, array, signature_name):
        """A request of the gRPC protocol; raises `Refusal` (400, 413)."""
        signature = self._model.signature(signature_name)
        if array.ndim < 1 or not len(array):
            raise Refusal(400, f"the batch is empty: shape {list(array.shape)}")
        if signature.dtype == "string":
            if array.dtype != object or array.ndim != 1:
                raise Refusal(400, f"{signature.input_name} takes strings [batch]")
            items = [self._of_bytes(entry, signature) for entry in array.tolist()]
        elif array.dtype != signature.dtype.as_numpy_dtype:
            raise Refusal(
                400,
                f"{signature.input_name} takes {signature.dtype.name}, not "
                f"{'strings' if array.dtype == object else array.dtype}",
            )
        else:
            items = self._of_array(array, signature)
        return Parsed(self._kept_together(items, signature), False, signature)

    def of_image(self, encoded):
        """A request that is one image file, upright; raises `Refusal` (400, 413)."""
        signature = self._model.signature("")
        if signature.dtype == "string":
            readable, size = images.decodable(encoded, self._limits, upright=True)
            if self._model.takes_examples[signature.name]:
                readable = example_of(readable)
            item = Item(np.array([readable], object), size)
        else:
            item = self._of_file(encoded, signature)
        return Parsed([item], True, signature)

    def _item(self, value, signature):
        """One image of a JSON request."""
        if isinstance(value, dict):
            if set(value) != {"b64"} or not isinstance(value["b64"], str):
                raise Refusal(400, f'an image is {{"b64": text}}, got keys {list(value)[:5]}')
            try:
                encoded = base64.b64decode(value["b64"], validate=True)
            except (binascii.Error, ValueError) as fault:
                raise Refusal(400, f"b64 is not base64: {fault}") from None
            return self._of_bytes(encoded, signature)
        if isinstance(value, str):
            if signature.dtype != "string":
                raise Refusal(400, f"{signature.input_name} takes images, not texts")
            return self._of_bytes(value.encode(), signature)
        if not isinstance(value, list):
            raise Refusal(400, f"an image cannot be {orjson.dumps(value)[:50].decode()}")
        (item,) = self._of_array(_array_of_json(value)[np.newaxis], signature)
        return item

    def _of_bytes(self, encoded, signature):
        """One image of bytes: for models of pixels a file to decode, as our extension."""
        if signature.dtype != "string":
            return self._of_file(encoded, signature)
        if not self._model.takes_examples[signature.name]:
            readable, size = images.decodable(encoded, self._limits)
            return Item(np.array([readable], object), size)
        image = image_in_example(encoded)
        readable, size = images.decodable(image, self._limits)
        return Item(
            np.array([encoded if readable is image else example_of(readable)], object), size
        )

    def _of_file(self, encoded, signature):
        pixels = images.decode(encoded, self._limits, self._take)
        rows = pixels[np.newaxis].astype(signature.dtype.as_numpy_dtype, copy=False)
        return Item(rows, pixels.shape[:2])

    def _of_array(self, array, signature):
        """Images of [n, h, w, 3] of any number type."""
        if signature.dtype == "string":
            raise Refusal(400, f"{signature.input_name} takes image files, not numbers")
        if array.ndim != 4:
            raise Refusal(400, f"images must be [n, h, w, 3], got shape {list(array.shape)}")
        images.check_array(array, self._limits)
        wanted = signature.dtype.as_numpy_dtype
        if wanted == np.uint8 and array.dtype != np.uint8:
            if array.dtype.kind not in "iu":
                raise Refusal(400, f"{signature.input_name} takes whole numbers, got fractions")
            if array.min() < 0 or array.max() > 255:
                raise Refusal(
                    400,
                    f"{signature.input_name} takes 0 to 255, got {array.min()} to {array.max()}",
                )
        array = array.astype(wanted, copy=False)
        self._take(array.nbytes)
        return [Item(row[np.newaxis], array.shape[1:3]) for row in array]

    def _kept_together(self, items, signature):
        """As they are, or as one where the outputs cannot be told apart by image."""
        if signature.mixes:
            return items
        if len({item.rows.shape[1:] for item in items}) > 1:
            raise Refusal(400, "images of one request must have one size for this signature")
        if len(items) > self._limits.max_batch:
            raise Refusal(413, f"{len(items)} images; at most {self._limits.max_batch} at once")
        return [Item(np.concatenate([item.rows for item in items]), items[0].size)]


def _of_input(value, signature):
    """The value of the one input, which may stand alone or under its name."""
    if not isinstance(value, dict) or "b64" in value:
        return value
    if set(value) != {signature.input_name}:
        found = ", ".join(map(repr, value))[:200]
        raise Refusal(400, f"the one input is {signature.input_name!r}; found: {found}")
    return value[signature.input_name]


def _array_of_json(value):
    """Nested lists of numbers as an array."""
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError) as fault:
        raise Refusal(400, f"lists that do not make an array: {fault}") from None
    if array.dtype.kind not in "iuf":
        raise Refusal(400, f"images are made of numbers, got {array.dtype}")
    if not array.size:
        raise Refusal(400, f"an image without pixels: shape {list(array.shape)}")
    return array
