"""The client and the server together; and what the client does when there is none."""

import http.server
import socket
import threading
import time

import numpy as np
import pytest
from made_models import file_of, picture

from object_detection.client import Client, ServerError
from object_detection.client.drawing import draw


@pytest.fixture
def client(server):
    with Client(server.url, "pixels") as opened:
        yield opened


@pytest.mark.parametrize("mask_format", ["rle", "png", "box", "none"])
def test_both_protocols_find_the_same(client, mask_format, tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(file_of(picture()))
    result = [client.score(image, 0.5, masks=mask_format) for image in (path, picture())]
    result += client.detect([path, picture()], min_score=0.5, masks=mask_format)

    for (each,) in result:
        assert each.box == (0.25, 0.25, 0.75, 0.75) and each.score == 0.75
        assert each.label == "Bright one" and each.class_id == 2
        assert each.box_in(20, 40) == (5, 10, 15, 30)
        if mask_format == "none":
            assert each.mask(20, 40) is None
        else:
            mask = each.mask(20, 40)
            assert mask[5:14, 10:19].all() and not mask[:, 21:].any() and not mask[:5].any()


def test_sizes_of_masks(client):
    (result,) = client.score(picture())
    assert result.mask().shape == (20, 40)
    with pytest.raises(ValueError, match="not of"):
        result.mask(30, 40)
    (result,) = client.score(picture(), masks="box")
    with pytest.raises(ValueError, match="height and width"):
        result.mask()


def test_status_metadata_and_plain_requests(client):
    assert client.status()[0]["state"] == "AVAILABLE"
    assert client.status(version=1) == client.status()
    assert client.names() == {1: "dark", 2: "Bright one"}
    answer = client.predict({"inputs": {"input_tensor": picture()[np.newaxis]}}, version=1)
    assert answer["outputs"]["num_detections"] == [1]
    answer = client.predict({"instances": [file_of(picture())]})
    assert answer["predictions"][0]["num_detections"] == 1


def test_refusals_are_reported_at_once(client):
    with pytest.raises(ServerError, match="not an image") as error:
        client.score(b"text")
    assert error.value.status == 400
    with pytest.raises(ServerError, match="no version 9"):
        client.predict({}, version=9)
    with pytest.raises(ValueError, match="http://host:port"):
        Client("localhost:8501")


def test_drawing(client):
    image = np.full([60, 80, 3], 90, np.uint8)
    image[20:40, 30:60] = 200
    result = client.score(image)

    drawn = draw(image, result)

    assert drawn.shape == image.shape and (image == 200).any()
    changed = (drawn != image).any(axis=2)
    assert changed[25:35, 33:43].mean() > 0.9 and changed[45:].mean() < 0.1


def test_a_server_that_comes_late_and_one_that_never_comes():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with Client(f"http://127.0.0.1:{port}", patience=0.3) as client:
        started = time.monotonic()
        with pytest.raises(ServerError, match="refused") as error:
            client.status()
        assert error.value.status == 0 and time.monotonic() - started < 2


def test_an_answer_of_503_is_asked_for_again():
    answers = [(503, {"Retry-After": "0"}, b'{"error": "full"}')] * 2
    answers.append((200, {}, b'{"model_version_status": []}'))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status, headers, body = answers.pop(0)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as full:
        thread = threading.Thread(target=full.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        with Client(f"http://127.0.0.1:{full.server_port}", patience=10) as client:
            assert client.status() == []
        assert not answers
        full.shutdown()
        thread.join()
