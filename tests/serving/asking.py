"""Requests as bytes go over the wire, so that tests can send what no client would."""

import base64
import http.client
import json
import socket
import time


def ask(server, method, path, body=None, headers=None, timeout=20):
    """(status, headers, bytes) of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=timeout)
    try:
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def get(server, path):
    """(status, JSON) of an answer."""
    status, _, text = ask(server, "GET", path)
    return status, json.loads(text)


def post(server, path, body, headers=None):
    """(status, JSON) of an answer."""
    status, _, text = ask(server, "POST", path, body, headers)
    return status, json.loads(text)


def error(server, path, body, headers=None):
    """(status, what the server says) of a request that it refuses."""
    status, message = post(server, path, body, headers)
    assert list(message) == ["error"]
    return status, message["error"]


def b64(encoded):
    """Bytes as TensorFlow Serving's JSON has them."""
    return {"b64": base64.b64encode(encoded).decode()}


def raw(server, *pieces, wait=5.0):
    """All that comes back for bytes on a connection (numbers: pauses), until it is closed."""
    received = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=wait) as connection:
        try:
            for piece in pieces:
                if isinstance(piece, bytes):
                    connection.sendall(piece)
                else:
                    time.sleep(piece)
            while chunk := connection.recv(65536):
                received += chunk
        except ConnectionError:
            pass  # the server did not wait for the rest
    return received
