"""Servers for tests: in a thread of the test's process, at a free port of the loopback."""

import contextlib
import threading
import time
from pathlib import Path

import made_models
import pytest

for _name in ("starlette", "uvicorn", "prometheus_client", "orjson"):
    pytest.importorskip(_name, reason="the extra `serve` is not installed")


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """{kind: folder of a SavedModel}, each made when it is first asked for."""
    root = tmp_path_factory.mktemp("models")

    class Made(dict):
        def __missing__(self, kind):
            self[kind] = made_models.save(root / kind, kind=kind)
            return self[kind]

    return Made()


@contextlib.contextmanager
def running(
    configs,
    limits=None,
    *,
    grpc=False,
    poll_seconds=0.0,
    run=None,
    score_masks=True,
    annotate=None,
):
    """A server, with its address as `url`.

    Args:
        configs: {name: folder}.
        limits: `Limits`, or None.
        grpc: whether `grpc_port` is listened at.
        poll_seconds: between looks for new versions.
        run: replaces what runs the models: function (run, key, rows).
        score_masks: whether /score answers masks.
        annotate: what answers /annotate.
    """
    from object_detection.serving import app, http_server, metrics
    from object_detection.serving.grpc_server import GrpcServer
    from object_detection.serving.limits import Limits
    from object_detection.serving.model_config import ModelConfig
    from object_detection.serving.service import Service
    from object_detection.serving.versions import Registry

    limits = limits or Limits()
    counters = metrics.Metrics()
    configs = [ModelConfig(name, Path(folder)) for name, folder in configs.items()]
    registry = Registry(configs, limits, counters.batch)
    registry.update()
    if run is not None:
        for model in registry.models.values():
            batcher = model.available()[0].batcher
            batcher._run = lambda key, rows, own=batcher._run: run(own, key, rows)
    service = Service(registry, limits, counters)
    rpc = GrpcServer(service, "127.0.0.1:0") if grpc else None
    built = app.build_app(
        service,
        poll_seconds=poll_seconds,
        grpc_server=rpc,
        score_masks=score_masks,
        annotate=annotate,
    )
    listener = http_server.listen("127.0.0.1", 0)
    server = http_server.Server(built, listener, grace=5)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    server.port = listener.getsockname()[1]
    server.url = f"http://127.0.0.1:{server.port}"
    server.grpc_port = rpc.port if rpc else None
    server.service = service
    try:
        yield server
    finally:
        server.should_exit = True
        thread.join(30)
        listener.close()
        assert not thread.is_alive()


@pytest.fixture(scope="session")
def server(models):
    """One with every kind of model, each under the name of its kind; the first takes pixels."""
    kinds = ("pixels", "one", "files", "examples", "raw")
    with running({kind: models[kind] for kind in kinds}, grpc=True) as started:
        yield started


@pytest.fixture
def start():
    """`running`, to be used where a test needs a server of its own."""
    return running
