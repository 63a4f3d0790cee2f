"""The HTTP protocols: TensorFlow Serving's REST and azoda's scoring."""

import base64
import http.client
import json
import time
import urllib.parse

import numpy as np

from object_detection.client.detections import Detection, from_outputs
from object_detection.client.images import encoded, several
from object_detection.errors import ServerError

_LONGEST_PAUSE = 5.0  # seconds between two tries


class Client:
    """One server. Not for several threads at once: give each its own.

    Requests that found no server, a full queue (503) or a connection that broke are tried again:
    a prediction changes nothing, so that asking twice does no harm.

    Args:
        address: such as "http://127.0.0.1:8501".
        model: its name in the addresses of TensorFlow Serving's protocol.
        timeout: seconds to wait for an answer.
        patience: seconds over which a request is tried again; 0: once.
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
        """Detections of one image by azoda's protocol.

        Args:
            image: path, encoded bytes (JPEG, PNG, ...), a Pillow image, or uint8 [h, w, 3].
            prob: what scores more is answered.
            masks: the form they travel in: "rle" (of the whole image), "png" or "box"
                (probabilities inside the box), or "none". azoda's own servers send "box" always.

        Raises:
            ServerError: the request was refused; its text says why.
        """
        headers = {
            "Content-Type": "application/octet-stream",
            "Accept": f"application/json; masks={masks}, application/json;q=0.5",
        }
        rows = self._ask("POST", f"/score?prob={prob}", encoded(image), headers)
        if not isinstance(rows, list):  # azoda answers faults as a text with status 200
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
        """Detections of several images by TensorFlow Serving's protocol: a list for each.

        Args:
            images: as in `score`; they travel encoded.
            min_score: what scores less is left out.
            masks: as in `score`. TensorFlow Serving itself sends "box" always.
            names: {class id: name}. This project's server tells them by itself.
        """
        files = [encoded(image) for image in several(images)]
        instances = [{"b64": base64.b64encode(file).decode()} for file in files]
        rows = self.predict({"instances": instances}, masks=masks)["predictions"]
        if names is None:
            names = self.names()
        return [from_outputs(row, names, min_score) for row in rows]

    def predict(self, request, *, masks=None, version=None):
        """TensorFlow Serving's answer to a request, as it comes.

        Args:
            request: {"instances": [...]} or {"inputs": ...}, plain Python or numpy inside.
            masks: None for TensorFlow Serving's own form; else as in `score`.
            version: of the model; None takes the newest.
        """
        headers = {"Content-Type": "application/json"}
        if masks is not None:
            headers["Accept"] = f"application/json; masks={masks}, application/json;q=0.5"
        body = json.dumps(request, default=_plain).encode()
        return self._ask("POST", f"{self._place(version)}:predict", body, headers)

    def status(self, version=None):
        """The versions of the model and their states."""
        return self._ask("GET", self._place(version))["model_version_status"]

    def metadata(self, version=None):
        """The signatures of the model."""
        return self._ask("GET", f"{self._place(version)}/metadata")

    def names(self):
        """{class id: name} of the model; empty where the server does not tell."""
        if self._names is None:
            told = self.metadata().get("metadata", {}).get("label_map", {})
            self._names = {int(number): name for number, name in told.items()}
        return self._names

    def close(self):
        """Closes the connection; the next request opens another."""
        self._connection.close()

    def __enter__(self):
        """Itself."""
        return self

    def __exit__(self, *_):
        """Closes the connection."""
        self.close()

    def _place(self, version):
        return self._model if version is None else f"{self._model}/versions/{version}"

    def _ask(self, method, place, body=None, headers=None):
        """The JSON of an answer; asks again while that may help and patience lasts."""
        deadline, pause = time.monotonic() + self._patience, 0.1
        while True:
            try:
                self._connection.request(method, self._prefix + place, body, headers or {})
                answer = self._connection.getresponse()
                text = answer.read()
            except (OSError, http.client.HTTPException) as fault:
                self._connection.close()
                refusal = ServerError(f"{method} {place}: {fault or type(fault).__name__}")
                asked = 0.0
            else:
                if answer.status == 200:
                    return json.loads(text)
                refusal = ServerError(_message(text, answer), answer.status)
                if answer.status != 503:
                    raise refusal
                asked = _seconds(answer.getheader("Retry-After"))
            wait = min(max(pause, asked), _LONGEST_PAUSE)
            if time.monotonic() + wait > deadline:
                raise refusal
            time.sleep(wait)
            pause *= 2


def _plain(value):
    """Arrays as lists, bytes as {"b64": ...}."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    raise TypeError(f"{type(value).__name__} cannot be sent as JSON")


def _message(text, answer):
    try:
        told = json.loads(text)
        return str(told["error"]) if isinstance(told, dict) and "error" in told else str(told)
    except ValueError:
        return text[:500].decode("utf-8", "replace") or f"{answer.status} {answer.reason}"


def _seconds(header):
    try:
        return float(header or 0)
    except ValueError:
        return 0.0
