"""The command: what it says, how it ends, and a server that is killed under load."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
import types

import pytest
from asking import ask
from made_models import file_of, picture, save

from object_detection import serve
from object_detection.client import Client, ServerError
from object_detection.serving import http_server
from object_detection.serving.limits import Limits
from object_detection.serving.model_config import ModelConfig
from object_detection.serving.versions import NamedModel

FILE = file_of(picture())


def command(*flags):
    return [sys.executable, "-m", "object_detection.serve", "--poll_seconds=0.2", *flags]


def started(*flags):
    """(process, port) of a server that serves."""
    process = subprocess.Popen(
        command(*flags), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    line = process.stdout.readline()
    result = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
    if not result:
        process.kill()
        raise AssertionError(line + process.communicate()[1])
    return process, int(result[1])


def ended(process, number=signal.SIGTERM):
    process.send_signal(number)
    process.communicate(timeout=60)
    return process.returncode


def _until_refused(port, answers):
    """Asks without patience until nobody listens any more."""
    place = types.SimpleNamespace(port=port)
    with contextlib.suppress(ConnectionRefusedError):
        while True:
            answers.append(ask(place, "POST", "/score?prob=0.5", FILE)[0])


@pytest.mark.slow
def test_killed_and_restarted_in_the_midst_the_clients_recover(models):
    process, port = started(f"--model={models['pixels']}", "--port=0")
    message, errors, end = [], [], threading.Event()

    def ask_on():
        try:
            with Client(f"http://127.0.0.1:{port}", patience=120) as client:
                while not end.is_set():
                    message.append((time.monotonic(), client.score(FILE)[0].box))
        except ServerError as error:
            errors.append(error)

    threads = [threading.Thread(target=ask_on) for _ in range(4)]
    try:
        for thread in threads:
            thread.start()
        while len(message) < 50 and not errors:
            time.sleep(0.05)
        assert ended(process, signal.SIGKILL) == -signal.SIGKILL
        killed = time.monotonic()
        process, _ = started(f"--model={models['pixels']}", f"--port={port}")
        while message[-1][0] < killed + 0.5 and not errors:
            time.sleep(0.05)
        before = len(message)
        while len(message) < before + 50 and not errors:
            time.sleep(0.05)
        answers = []
        plain = [threading.Thread(target=_until_refused, args=(port, answers)) for _ in range(3)]
        for thread in plain:
            thread.start()
        while len(answers) < 20:
            time.sleep(0.02)
    finally:
        end.set()
        for thread in threads:
            thread.join()
        code = ended(process)
    for thread in plain:
        thread.join()
    assert not errors and code == 0
    assert set(answers) == {200}  # what was accepted before the end was answered
    assert {box for _, box in message} == {(0.25, 0.25, 0.75, 0.75)}


@pytest.mark.slow
def test_several_models_and_a_new_version(tmp_path, models):
    save(tmp_path / "shapes" / "1", score=0.6)
    config = tmp_path / "models.config"
    rows = (("shapes", tmp_path / "shapes"), ("cells", models["files"]))
    text = "".join(f'config {{ name: "{name}" base_path: "{base}" }}\n' for name, base in rows)
    config.write_text(f"model_config_list {{ {text} }}")
    process, port = started(f"--model_config_file={config}", "--port=0")
    try:
        with Client(f"http://127.0.0.1:{port}", "shapes") as client:
            assert client.score(FILE)[0].score == pytest.approx(0.6)
            save(tmp_path / "new", score=0.7)
            os.rename(tmp_path / "new", tmp_path / "shapes" / "2")
            deadline = time.monotonic() + 60
            while client.score(FILE)[0].score < 0.65:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        with Client(f"http://127.0.0.1:{port}", "cells") as client:
            assert len(client.detect([FILE])[0]) == 1
    finally:
        assert ended(process, signal.SIGINT) == 130  # Ctrl-C, as in every command


def test_a_model_that_is_not_there(tmp_path):
    model = NamedModel(ModelConfig("m", tmp_path), Limits(), lambda *_: None)
    model.update()

    with pytest.raises(ValueError, match="model m: .* contains no saved_model.pb"):
        serve.check_served(model)
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"broken")
    model.update()
    with pytest.raises(ValueError, match="model m: .*saved_model.pb"):
        serve.check_served(model)


def test_addresses():
    assert serve.address("127.0.0.1", 80) == "127.0.0.1:80"
    assert serve.address("::1", 80) == "[::1]:80"
    with http_server.listen("127.0.0.1", 0) as listener:
        with pytest.raises(OSError, match="another program listens there already"):
            http_server.listen("127.0.0.1", listener.getsockname()[1])
