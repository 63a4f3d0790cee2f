"""What no client should send: each is told what is wrong, and the server goes on."""

import base64
import json
import socket
import struct
import time
import zlib

import numpy as np
import pytest
from asking import ask, b64, error, post, raw
from made_models import POISON, file_of, picture

from object_detection.serving import http_server
from object_detection.serving.limits import Limits

PREDICT = "/v1/models/pixels:predict"


def png_that_says(width, height):
    """The beginning of a PNG of that size, with pixels for almost nothing of it."""

    def chunk(kind, content):
        code = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", code)

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(100_000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


JPEG = file_of(picture(200, 300), "JPEG")
BAD_IMAGES = {
    "nothing": (b"", 400, "0 bytes"),
    "text": (b"import os; os.abort()", 400, "not an image"),
    "pickle": (b"\x80\x04\x95.", 400, "not an image"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 400, "not an image"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage", 400, "not an"),
    "cut off": (JPEG[: len(JPEG) // 2], 400, "cannot be read"),
    "head alone": (JPEG[:30], 400, "image"),
    "bomb": (png_that_says(60_000, 60_000), 413, ""),
    "wide": (png_that_says(20_000, 10), 413, "20000 x 10"),
    "many pixels": (png_that_says(16_000, 16_000), 413, ""),
    "few bytes for its size": (png_that_says(4000, 4000), 400, "cannot be read"),
    "no pixel": (png_that_says(0, 10), 400, ""),
    "one pixel": (file_of(picture(1, 1, (0, 0, 1, 1))), 400, "1 x 1"),
    "one row": (file_of(picture(1, 50, (0, 0, 1, 9))), 400, "50 x 1"),
}


@pytest.mark.parametrize("name", BAD_IMAGES)
@pytest.mark.parametrize("model", ["pixels", "files"])
def test_bad_images(server, model, name):
    encoded, status, what = BAD_IMAGES[name]

    for path, body in (
        (f"/score?prob=0.5&model={model}", encoded),
        (f"/v1/models/{model}:predict", {"instances": [b64(encoded)]}),
    ):
        result, message = error(server, path, body)
        assert result == status and what in message


BAD_JSON = {
    "no json": (b"{", "not JSON"),
    "not text": (b"\xff\xfe\x00", "not JSON"),
    "deep": (b"[" * 100_000, "not JSON"),
    "NaN": (b'{"instances": [NaN]}', "not JSON"),
    "a list": ([], "an object"),
    "neither": ({"images": []}, "got: 'images'"),
    "both": ({"instances": [], "inputs": []}, "one of"),
    "no instance": ({"instances": []}, "at least one image"),
    "no input": ({"inputs": []}, "at least one image"),
    "instances no list": ({"instances": {"input_tensor": 1}}, "must be a list"),
    "b64 alone": ({"inputs": b64(b"x")}, "list"),
    "other input": ({"instances": [{"image": [[[0]]]}]}, "'input_tensor'"),
    "ragged": ({"instances": [[[[0, 0, 0]], [[0, 0]]]]}, "do not form an array"),
    "fractions": ({"instances": [[[[0.5] * 3] * 2] * 2]}, "fractions"),
    "below": ({"instances": [[[[-1] * 3] * 2] * 2]}, "0 to 255"),
    "beyond": ({"instances": [[[[256] * 3] * 2] * 2]}, "0 to 255"),
    "huge": ({"instances": [[[[10**400] * 3] * 2] * 2]}, ""),
    "texts": ({"instances": [[[["a"] * 3] * 2] * 2]}, "numbers"),
    "true": ({"instances": [[[[True] * 3] * 2] * 2]}, "numbers"),
    "null": ({"instances": [None]}, "cannot be null"),
    "a number": ({"instances": [3]}, "cannot be 3"),
    "flat": ({"instances": [[1, 2, 3]]}, "shape"),
    "four channels": ({"instances": [[[[0] * 4] * 2] * 2]}, "shape"),
    "no pixels": ({"instances": [[[]]]}, ""),
    "one pixel": ({"instances": [[[[0, 0, 0]]]]}, "1 x 1"),
    "not base64": ({"instances": [{"b64": "***"}]}, "not base64"),
    "b64 and more": ({"instances": [{"b64": "", "c": 1}]}, "keys"),
    "a string": ({"instances": ["photo.jpg"]}, "not strings"),
    "signature": ({"instances": [[[[0] * 3]]], "signature_name": ["x"]}, "a string"),
}


@pytest.mark.parametrize("name", BAD_JSON)
def test_bad_json(server, name):
    body, what = BAD_JSON[name]

    status, message = error(server, PREDICT, body)

    assert status == 400 and what in message


def test_numbers_for_a_model_of_files(server):
    status, message = error(server, "/v1/models/files:predict", {"inputs": [picture().tolist()]})

    assert status == 400 and "files" in message


PATHS = (
    "/",
    "/nothing",
    "/v1/models/",
    "/v1/models/..%2f..%2fetc%2fpasswd:predict",
    "/v1/models/../../etc/passwd",
    "/v1/models/pixels/versions/..:predict",
    "/v1/models/pixels/versions/1e3:predict",
    "/v1/models/%00:predict",
    "/v1/models/${jndi:ldap}:predict",
    "/page.js/../../../setup.py",
)


@pytest.mark.parametrize("path", PATHS)
def test_paths_that_lead_nowhere(server, path):
    status, _, text = ask(server, "POST", path, b"{}")

    assert status in (400, 404, 405) and "error" in json.loads(text)
    assert b"root:" not in text and b"find_packages" not in text


def test_the_model_refuses_one_image_of_a_batch(start, models):
    """Only its sender hears of it, though the others were in the same batch."""
    poisoned = picture()
    poisoned[0, 0] = POISON
    with start({"pixels": models["pixels"]}, Limits(max_delay=0.3)) as server:
        from concurrent.futures import ThreadPoolExecutor

        images = [picture(), poisoned, picture(), poisoned]
        with ThreadPoolExecutor(4) as threads:
            message = list(
                threads.map(lambda i: post(server, PREDICT, {"instances": [i.tolist()]}), images)
            )
    assert [status for status, _ in message] == [200, 400, 200, 400]
    assert "the model rejects this input" in message[1][1]["error"]


def test_a_body_that_is_too_large(start, models):
    limits = Limits(max_body=10_000)
    with start({"pixels": models["pixels"]}, limits) as server:
        status, headers, text = ask(server, "POST", "/score?prob=0.5", bytes(1_000_000))
        assert status == 413 and b"10000 bytes" in text
        chunks = iter([bytes(5000)] * 5)  # of a length that is not told
        status, _, text = ask(server, "POST", "/score?prob=0.5", chunks)
        assert status == 413
        head = b"POST /score?prob=0.5 HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n"
        answer = raw(server, head + b"Expect: 100-continue\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 413")
        assert post(server, "/score?prob=0.5", file_of(picture()))[0] == 200


def test_slow_clients(start, models, monkeypatch):
    monkeypatch.setattr(http_server.PatientProtocol, "head_seconds", 0.8)
    with start({"pixels": models["pixels"]}, Limits(body_timeout=0.3)) as server:
        head = b"POST /score?prob=0.5 HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
        answer = raw(server, head, b"abc")
        assert answer.startswith(b"HTTP/1.1 408") and b"after 0.3 seconds" in answer
        assert raw(server) == b""  # says nothing
        assert raw(server, b"POST /sco") == b""  # begins, and does not go on
        keep = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        started = time.monotonic()
        answer = raw(server, keep, 0.2, b"GET /hea", wait=10)
        assert answer.startswith(b"HTTP/1.1 200") and time.monotonic() - started < 5


def test_no_http_at_all(server):
    assert b"400" in raw(server, b"\x16\x03\x01 hello\r\n\r\n")[:20]
    assert raw(server, b"GET /" + b"a" * 200_000)[9:12] in (b"400", b"")
    head = b"POST /score?prob=0.5 HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n"
    assert b" 400 " in raw(server, head)[:20]


def test_clients_that_hang_up(server):
    """In the middle of their request, and before the answer."""
    head = b"POST /score?prob=0.5 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(JPEG)
    for pieces in ([head, JPEG[:50]], [head, JPEG]):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            for piece in pieces:
                connection.sendall(piece)
    assert post(server, "/score?prob=0.5", JPEG)[0] == 200
    for _ in range(100):
        if server.service.budget.held == 0:
            break
        time.sleep(0.02)
    assert server.service.budget.held == 0


def test_more_images_than_the_queue_holds(start, models):
    with start({"pixels": models["pixels"]}, Limits(max_queue=4)) as server:
        body = {"instances": [picture().tolist()] * 5}
        status, message = error(server, PREDICT, body)
        assert status == 413 and "--max_queue" in message


def test_data_beyond_what_may_be_held(start, models):
    with start({"pixels": models["pixels"]}, Limits(max_held=100_000)) as server:
        status, headers, text = ask(
            server, "POST", "/score?prob=0.5", file_of(picture(300, 300, (0, 0, 9, 9)))
        )
        assert status == 503 and headers["retry-after"] == "1"
        assert server.service.budget.held == 0
        assert post(server, "/score?prob=0.5", file_of(picture()))[0] == 200


def test_json_that_is_no_base64_of_an_image(server):
    text = base64.b64encode(b"__import__('os')").decode()
    status, message = error(server, PREDICT, {"instances": [{"b64": text}]})

    assert status == 400 and "not an image" in message


def test_many_broken_files_leave_nothing(server):
    noise = np.random.default_rng(0)
    bad = [encoded for encoded, _, _ in BAD_IMAGES.values()]
    for k in range(100):
        body = bytearray(bad[k % len(bad)] or b"x")
        body[noise.integers(len(body))] ^= 0xFF
        assert 400 <= ask(server, "POST", "/score?prob=0.5", bytes(body))[0] < 500
    assert server.service.budget.held == 0
    assert post(server, "/score?prob=0.5", JPEG)[0] == 200
