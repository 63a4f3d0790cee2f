"""Client for the HTTP protocols: TensorFlow Serving's REST and azoda's scoring."""

import base64
import http.client
import json
import time
import urllib.parse

import numpy as np

from object_detection.client.detections import Detection, from_outputs
from object_detection.client.images import encoded, several
from object_detection.errors import ServerError

_MAX_PAUSE = 5.0  # seconds between two attempts


class Client:
    """Connection to one server. Not thread-safe: give each thread its own.

    Requests are retried if there is no server, its queue is full (503) or the connection breaks. A
    prediction changes nothing on the server, so that repeating it is safe.

    Args:
        address: For example "http://127.0.0.1:8501".
        model: Its name in the addresses of TensorFlow Serving's protocol.
        timeout: Seconds to wait for a response.
        patience: Seconds during which a request is retried; 0: one attempt.
    """

    def __init__(self, address="http://127.0.0.1:8501", model="model", *, timeout=60, patience=30):
        parts = urllib.parse.urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"address {address!r}: give it as http://host:port")
        secure = parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=timeout)
        self._prefix = parts.path.rstrip("/")
        self._model = f"/v1/models/{urllib.parse.quote(model, safe='')}"
        self._patience = patience
        self._names = None

    def score(self, image, prob=0.5, *, masks="rle"):
        """Return the detections in one image, by azoda's protocol.

        Args:
            image: A path, encoded bytes (JPEG, PNG, ...), a Pillow image, or uint8 [h, w, 3].
            prob: Detections with higher scores are returned.
            masks: Their form: "rle" (of the whole image), "png" or "box" (probabilities inside the
                box), or "none". azoda's own servers always send "box".

        Raises:
            ServerError: The server refused the request; the message says why.
        """
        headers = {
            "Content-Type": "application/octet-stream",
            "Accept": f"application/json; masks={masks}, application/json;q=0.5",
        }
        rows = self._request("POST", f"/score?prob={prob}", encoded(image), headers)
        if not isinstance(rows, list):  # azoda sends errors as a text with status 200
            raise ServerError(str(rows), 200)
        return [
            Detection(
                box=tuple(row["bounding_box"]),
                score=row["confidence"],
                class_id=row["class"],
                label=row["label"],
                coded_mask=row.get("mask"),
            )
            for row in rows
        ]

    def detect(self, images, *, min_score=0.0, masks="rle", names=None):
        """Return a list of detections for each image, by TensorFlow Serving's protocol.

        Args:
            images: As for `score`; they are sent encoded.
            min_score: Least score.
            masks: As for `score`. TensorFlow Serving itself always sends "box".
            names: {class id: name}. None requests them from the server, which ours provides.
        """
        files = [encoded(image) for image in several(images)]
        instances = [{"b64": base64.b64encode(file).decode()} for file in files]
        rows = self.predict({"instances": instances}, masks=masks)["predictions"]
        if names is None:
            names = self.names()
        return [from_outputs(row, names, min_score) for row in rows]

    def predict(self, request, *, masks=None, version=None):
        """Return TensorFlow Serving's response to a request unchanged.

        Args:
            request: {"instances": [...]} or {"inputs": ...} of plain Python or NumPy values.
            masks: None for TensorFlow Serving's own form; otherwise as for `score`.
            version: Of the model; None takes the newest.
        """
        headers = {"Content-Type": "application/json"}
        if masks is not None:
            headers["Accept"] = f"application/json; masks={masks}, application/json;q=0.5"
        body = json.dumps(request, default=_plain).encode()
        return self._request("POST", f"{self._path(version)}:predict", body, headers)

    def status(self, version=None):
        """Return the versions of the model and their states."""
        return self._request("GET", self._path(version))["model_version_status"]

    def metadata(self, version=None):
        """Return the signatures of the model."""
        return self._request("GET", f"{self._path(version)}/metadata")

    def names(self):
        """Return {class id: name} of the model; empty if the server does not provide them."""
        if self._names is None:
            label_map = self.metadata().get("metadata", {}).get("label_map", {})
            self._names = {int(number): name for number, name in label_map.items()}
        return self._names

    def close(self):
        """Close the connection; the next request opens another."""
        self._connection.close()

    def __enter__(self):
        """Return the client."""
        return self

    def __exit__(self, *_):
        """Close the connection."""
        self.close()

    def _path(self, version):
        return self._model if version is None else f"{self._model}/versions/{version}"

    def _request(self, method, path, body=None, headers=None):
        """Return the JSON of a response; retries while that may help and patience lasts."""
        deadline, pause = time.monotonic() + self._patience, 0.1
        while True:
            try:
                self._connection.request(method, self._prefix + path, body, headers or {})
                response = self._connection.getresponse()
                text = response.read()
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                refusal = ServerError(f"{method} {path}: {error or type(error).__name__}")
                retry_after = 0.0
            else:
                if response.status == 200:
                    return json.loads(text)
                refusal = ServerError(_message(text, response), response.status)
                if response.status != 503:
                    raise refusal
                retry_after = _seconds(response.getheader("Retry-After"))
            wait = min(max(pause, retry_after), _MAX_PAUSE)
            if time.monotonic() + wait > deadline:
                raise refusal
            time.sleep(wait)
            pause *= 2


def _plain(value):
    """Return arrays as lists, bytes as {"b64": ...}."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    raise TypeError(f"{type(value).__name__} cannot be sent as JSON")


def _message(text, response):
    try:
        content = json.loads(text)
        is_error = isinstance(content, dict) and "error" in content
        return str(content["error"]) if is_error else str(content)
    except ValueError:
        return text[:500].decode("utf-8", "replace") or f"{response.status} {response.reason}"


def _seconds(header):
    try:
        return float(header or 0)
    except ValueError:
        return 0.0
