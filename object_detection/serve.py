"""Serves exported models over HTTP and gRPC: `python -m object_detection.serve --help`.

--model=exported                                            one export, version 1
--model=models/shapes                                       the highest of models/shapes/1, 2, ...
--model_config_file=models.config                           several, as TensorFlow Serving has them

http://127.0.0.1:8501/ shows a page to try the model with. The addresses are TensorFlow Serving's
(POST /v1/models/NAME:predict) and azoda's (POST /score?prob=0.5).
"""

import contextlib
import importlib
import os
import sys
from pathlib import Path

if not __package__:  # run as a file: Python then looks in this folder, not in the one above
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from absl import app, flags  # noqa: E402

from object_detection.cli import runner  # noqa: E402
from object_detection.errors import missing_extra  # noqa: E402

FLAGS = flags.FLAGS
_MEGA = 1 << 20


def define_flags():
    """The flags of this command."""
    flags.DEFINE_string("model", None, "An export, a SavedModel, or a folder of numbered ones.")
    flags.DEFINE_string("model_name", "model", "The name of --model in addresses.")
    flags.DEFINE_string(
        "model_config_file", None, "Several models instead: TensorFlow Serving's config file."
    )
    flags.DEFINE_string(
        "host", "127.0.0.1", "Address to listen at; 0.0.0.0 lets other machines in."
    )
    flags.DEFINE_integer("port", 8501, "Of HTTP; 0: any that is free.", 0, 65535)
    flags.DEFINE_integer("grpc_port", None, "Of gRPC, for example 8500; unset: none.", 0, 65535)
    flags.DEFINE_bool("score_masks", True, "Whether POST /score answers masks.")
    flags.DEFINE_integer("max_batch", 8, "Images that a model is given at once.", 1)
    flags.DEFINE_float("max_delay_ms", 5.0, "How long an image waits for others.", 0.0)
    flags.DEFINE_integer("max_queue", 64, "Images that wait; further ones are answered 503.", 1)
    flags.DEFINE_float("max_body_mb", 32, "Of one request.", 0.001)
    flags.DEFINE_float("max_held_mb", 512, "Of all requests and their pixels together.", 0.001)
    flags.DEFINE_integer("max_pixels", 32_000_000, "Of one image.", 4)
    flags.DEFINE_integer("max_side", 16_384, "Of one image, pixels.", 2)
    flags.DEFINE_float("body_timeout", 30, "Seconds that a client has to send a request.", 0.01)
    flags.DEFINE_float("request_timeout", 60, "Seconds from then to the answer.", 0.01)
    flags.DEFINE_integer("max_connections", 512, "At the same time.", 1)
    flags.DEFINE_float("poll_seconds", 2, "Between looks for new versions; 0: never.", 0.0)
    flags.DEFINE_integer("grace_seconds", 30, "To finish requests in when told to end.", 0)


def main(arguments, *, annotate=None):
    """Serves until told to end; returns the exit code. `annotate` is as of `serving.app.build`."""
    runner.refuse_arguments(arguments)
    if bool(FLAGS.model) == bool(FLAGS.model_config_file):
        raise app.UsageError("give one of --model and --model_config_file")
    check_packages()
    runner.before_slow_start()
    model_configs()  # whatever is wrong with the flags is known before TensorFlow is started
    from object_detection.serving import http_server
    from object_detection.training import commands

    # First, so that a port that is taken is known before TensorFlow is started.
    with contextlib.closing(http_server.listen(FLAGS.host, FLAGS.port)) as listener:
        commands.start_tensorflow()
        return serve(listener, annotate)


def check_packages() -> None:
    """Raise `MissingExtraError` if a package of the extra `serve` cannot be imported."""
    for name in ("starlette", "uvicorn", "orjson", "prometheus_client"):
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise missing_extra(f"the server needs {name}", "serve", error) from None


def serve(listener, annotate=None):
    """Loads the models, says where they are served, and serves them; returns the exit code."""
    from object_detection.serving import app as application
    from object_detection.serving import http_server, prometheus
    from object_detection.serving.service import Service
    from object_detection.serving.versions import Registry

    metrics = prometheus.Metrics()
    registry = Registry(model_configs(), limits(), metrics.batch)
    registry.update()
    for model in registry.models.values():
        check_served(model)
    service = Service(registry, limits(), metrics)
    rpc = None
    if FLAGS.grpc_port is not None:
        from object_detection.serving.grpc_server import GrpcServer

        rpc = GrpcServer(service, address(FLAGS.host, FLAGS.grpc_port))
    built = application.build(
        service,
        poll_seconds=FLAGS.poll_seconds,
        grpc_server=rpc,
        score_masks=FLAGS.score_masks,
        annotate=annotate,
    )
    server = http_server.Server(
        built, listener, grace=FLAGS.grace_seconds, max_connections=FLAGS.max_connections
    )
    place = address(*listener.getsockname()[:2])
    print(f"serving {', '.join(registry.models)} at http://{place}/", flush=True)
    server.run_until_told()
    return 0


def model_configs():
    """`ModelConfig`s of the flags; raises ValueError."""
    from object_detection.serving import model_config

    if FLAGS.model_config_file:
        return model_config.of_file(FLAGS.model_config_file)
    model_config.check_name(FLAGS.model_name)
    return [model_config.ModelConfig(FLAGS.model_name, Path(FLAGS.model))]


def limits():
    """`Limits` of the flags."""
    from object_detection.serving.limits import Limits

    return Limits(
        max_batch=FLAGS.max_batch,
        max_delay=FLAGS.max_delay_ms / 1000,
        max_queue=FLAGS.max_queue,
        max_body=int(FLAGS.max_body_mb * _MEGA),
        max_held=int(FLAGS.max_held_mb * _MEGA),
        max_pixels=FLAGS.max_pixels,
        max_side=FLAGS.max_side,
        body_timeout=FLAGS.body_timeout,
        request_timeout=FLAGS.request_timeout,
    )


def check_served(model):
    """Raises ValueError where no version of a `NamedModel` can be asked."""
    if model.available():
        return
    faults = [version.fault for version in model.versions() if version.fault]
    base = model.config.base_path
    raise ValueError(
        f"model {model.name}: {faults[0]}"
        if faults
        else f"model {model.name}: {base} holds no saved_model.pb, saved_model/ or numbered folder "
        "with one"
    )


def address(host, port):
    """host:port, with brackets where it takes them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def run():
    """The command."""
    runner.run(main, define_flags)


if __name__ == "__main__":
    run()
