"""Numbered folders: which are served, and how one takes over from another."""

import json
import shutil
import threading
import time
from pathlib import Path

import pytest
from asking import ask, get, post
from made_models import file_of, picture, save

from object_detection.serving.limits import Limits, RequestError
from object_detection.serving.model_config import ModelConfig
from object_detection.serving.versions import AVAILABLE, END, NamedModel, numbered_versions

SCORE = "/score?prob=0.5"
FILE = file_of(picture())


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    """{score in percent: folder of a model that gives it}."""
    root = tmp_path_factory.mktemp("scores")
    return {score: save(root / str(score), score=score / 100) for score in (60, 70)}


def put(folder, source):
    """A model appears in a folder, as an exporter moves one into place."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.parent / f".{folder.name}"
    shutil.copytree(source, partial)
    partial.rename(folder)


def model_of(base, **options):
    return NamedModel(ModelConfig("m", base, **options), Limits(), lambda *_: None)


def states(model):
    return {version.number: version.state for version in model.versions()}


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_counts_as_a_version(tmp_path, scores):
    put(tmp_path / "1", scores[60])
    put(tmp_path / "00012" / "saved_model", scores[60])  # an export
    for name in ("v3", "3.5", "-4", "5" * 30, "²"):
        put(tmp_path / name, scores[60])
    (tmp_path / "7").mkdir()  # not written yet

    assert sorted(numbered_versions(tmp_path)) == [1, 12]
    assert (
        list(numbered_versions(tmp_path / "1"))
        == list(numbered_versions(tmp_path / "00012"))
        == [1]
    )
    assert numbered_versions(tmp_path / "nothing") == {}


def test_a_new_version_takes_over_and_a_broken_one_does_not(tmp_path, scores):
    put(tmp_path / "1", scores[60])
    model = model_of(tmp_path)
    model.update()
    assert states(model) == {1: AVAILABLE}

    put(tmp_path / "2", scores[70])
    (tmp_path / "2" / "variables" / "variables.index").write_bytes(b"")
    model.update()
    assert states(model) == {1: AVAILABLE, 2: END}
    assert model.versions()[0].status()["status"]["error_message"]
    assert model.find().number == 1
    with pytest.raises(RequestError, match="no version 2; served: 1"):
        model.find(2)

    shutil.rmtree(tmp_path / "2")
    put(tmp_path / "2", scores[70])
    (tmp_path / "2" / "saved_model.pb").touch()
    model.update()
    assert states(model) == {1: END, 2: AVAILABLE} and model.find().number == 2
    shutil.rmtree(tmp_path / "1")
    model.update()
    assert states(model) == {2: AVAILABLE}
    model.close()


def test_the_last_version_stays_when_its_folder_goes(tmp_path, scores):
    put(tmp_path / "1", scores[60])
    model = model_of(tmp_path)
    model.update()
    shutil.rmtree(tmp_path / "1")
    model.update()

    assert states(model) == {1: AVAILABLE}
    model.close()


def test_policies_and_labels(tmp_path, scores):
    for number in (1, 2, 3):
        put(tmp_path / str(number), scores[60])
    for options, served in (
        ({}, {3}),
        ({"latest": 2}, {2, 3}),
        ({"latest": None}, {1, 2, 3}),
        ({"specific": (1, 2, 9)}, {1, 2}),
    ):
        model = model_of(tmp_path, labels={"stable": 2}, **options)
        assert set(model.config.selected(numbered_versions(tmp_path))) == served
    model.update()
    assert model.find(label="stable").number == 2 and model.find().number == 2
    with pytest.raises(RequestError, match="it has: stable"):
        model.find(label="canary")
    model.close()


def test_no_request_is_lost_when_a_version_takes_over(start, tmp_path, scores):
    base = tmp_path / "models"
    put(base / "1", scores[60])
    message, end = [], threading.Event()
    with start({"m": base}, poll_seconds=0.05) as server:

        def ask_on():
            while not end.is_set():
                status, headers, text = ask(server, "POST", SCORE, FILE)
                message.append((status, headers.get("x-model-version"), text))

        threads = [threading.Thread(target=ask_on) for _ in range(3)]
        for thread in threads:
            thread.start()
        wait_for(lambda: len(message) > 10)
        put(base / "2", scores[70])
        wait_for(lambda: message[-1][1] == "2")
        wait_for(lambda: get(server, "/v1/models/m")[1]["model_version_status"][1]["state"] == END)
        end.set()
        for thread in threads:
            thread.join()
        assert get(server, "/v1/models/m/versions/2")[0] == 200
        assert post(server, "/v1/models/m/versions/1:predict", {})[0] == 404
    assert {status for status, _, _ in message} == {200}
    result = {
        (version, round(json.loads(text)[0]["confidence"], 2)) for _, version, text in message
    }
    assert result == {("1", 0.6), ("2", 0.7)}


def test_readiness(start, models):
    with start({"pixels": models["pixels"]}) as server:
        assert ask(server, "GET", "/readyz")[0] == 200
        server.service.registry.models["pixels"].close()
        assert ask(server, "GET", "/readyz")[0] == 503
        status, headers, _ = ask(server, "POST", SCORE, FILE)
        assert status == 503 and headers["retry-after"] == "1"


def test_models_that_are_none(tmp_path):
    import tensorflow as tf

    class Plain(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
        def __call__(self, x):
            return {"y": x}

    plain = Plain()
    tf.saved_model.save(plain, str(tmp_path / "1"), signatures={"serving_default": plain.__call__})
    model = model_of(Path(tmp_path))
    model.update()

    assert "lacks the outputs detection_boxes" in model.versions()[0].error
