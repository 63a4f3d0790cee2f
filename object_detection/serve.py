"""Serves exported models over HTTP and gRPC: `python -m object_detection.serve --help`.

--model=exported                                            one export, version 1
--model=models/shapes                                       the highest of models/shapes/1, 2, ...
--model_config_file=models.config                           several, as in TensorFlow Serving

http://127.0.0.1:8501/ shows a page to try the model. The URLs are TensorFlow Serving's
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
from object_detection.errors import CheckpointError, missing_extra  # noqa: E402

FLAGS = flags.FLAGS
_MEGA = 1 << 20


def define_flags():
    """Define the flags of this command."""
    flags.DEFINE_string(
        "model", None, "Export, SavedModel, or folder with numbered ones, to serve."
    )
    flags.DEFINE_string("model_name", "model", "Name of --model in URLs.")
    flags.DEFINE_string(
        "model_config_file",
        None,
        "TensorFlow Serving's model config file, to serve several models; replaces --model.",
    )
    flags.DEFINE_string(
        "host", "127.0.0.1", "Address to listen on; 0.0.0.0 allows connections from other machines."
    )
    flags.DEFINE_integer("port", 8501, "HTTP port; 0 selects a free one.", 0, 65535)
    flags.DEFINE_integer("grpc_port", None, "gRPC port, such as 8500. Default: no gRPC.", 0, 65535)
    flags.DEFINE_bool("score_masks", True, "Return masks from POST /score.")
    flags.DEFINE_integer("max_batch", 8, "Maximum number of images per call of the model.", 1)
    flags.DEFINE_float(
        "max_delay_ms", 5.0, "Milliseconds that an image waits for others to fill a batch.", 0.0
    )
    flags.DEFINE_integer(
        "max_queue", 64, "Maximum number of waiting images; further ones are answered with 503.", 1
    )
    flags.DEFINE_float("max_body_mb", 32, "Maximum size of a request in MiB.", 0.001)
    flags.DEFINE_float(
        "max_held_mb", 512, "Maximum size of all requests and their pixels together in MiB.", 0.001
    )
    flags.DEFINE_integer("max_pixels", 32_000_000, "Maximum number of pixels of an image.", 4)
    flags.DEFINE_integer("max_side", 16_384, "Maximum width and height of an image in pixels.", 2)
    flags.DEFINE_float("body_timeout", 30, "Seconds for a client to send a request.", 0.01)
    flags.DEFINE_float(
        "request_timeout", 60, "Seconds from the received request to the response.", 0.01
    )
    flags.DEFINE_integer("max_connections", 512, "Maximum number of simultaneous connections.", 1)
    flags.DEFINE_float(
        "poll_seconds", 2, "Seconds between searches for new versions; 0 disables them.", 0.0
    )
    flags.DEFINE_integer("grace_seconds", 30, "Seconds for requests to finish at shutdown.", 0)


def main(arguments, *, annotate=None):
    """Serve until SIGTERM or SIGINT; return the exit code.

    Args:
        arguments: those that are not flags.
        annotate: as for `serving.app.build_app`.
    """
    runner.refuse_arguments(arguments)
    if bool(FLAGS.model) == bool(FLAGS.model_config_file):
        raise app.UsageError("give one of --model and --model_config_file")
    check_packages()
    runner.before_slow_start()
    model_configs()  # errors in the flags are reported before TensorFlow starts
    from object_detection.serving import http_server
    from object_detection.training import commands

    # First, so that a port in use is reported before TensorFlow starts.
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
    """Load the models, print their URL and serve them; return the exit code."""
    from object_detection.serving import app as application
    from object_detection.serving import http_server, metrics
    from object_detection.serving.service import Service
    from object_detection.serving.versions import Registry

    counters = metrics.Metrics()
    registry = Registry(model_configs(), limits(), counters.batch)
    registry.update()
    for model in registry.models.values():
        check_served(model)
    service = Service(registry, limits(), counters)
    rpc = None
    if FLAGS.grpc_port is not None:
        from object_detection.serving.grpc_server import GrpcServer

        rpc = GrpcServer(service, address(FLAGS.host, FLAGS.grpc_port))
    built = application.build_app(
        service,
        poll_seconds=FLAGS.poll_seconds,
        grpc_server=rpc,
        score_masks=FLAGS.score_masks,
        annotate=annotate,
    )
    server = http_server.Server(
        built, listener, grace=FLAGS.grace_seconds, max_connections=FLAGS.max_connections
    )
    location = address(*listener.getsockname()[:2])
    print(f"serving {', '.join(registry.models)} at http://{location}/", flush=True)
    server.serve_until_signal()
    return 0


def model_configs():
    """Return the `ModelConfig`s of the flags; raise SettingsError."""
    from object_detection.serving import model_config

    if FLAGS.model_config_file:
        return model_config.load_model_configs(FLAGS.model_config_file)
    model_config.check_name(FLAGS.model_name)
    return [model_config.ModelConfig(FLAGS.model_name, Path(FLAGS.model))]


def limits():
    """Return the `Limits` of the flags."""
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
    """Raise CheckpointError if no version of a `NamedModel` is available."""
    if model.available():
        return
    errors = [version.error for version in model.versions() if version.error]
    base = model.config.base_path
    raise CheckpointError(
        f"model {model.name}: {errors[0]}"
        if errors
        else f"model {model.name}: {base} contains no saved_model.pb, saved_model/ or "
        "numbered folder with one"
    )


def address(host, port):
    """Return host:port, with brackets for IPv6."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def run():
    """Run the command."""
    runner.run(main, define_flags)


if __name__ == "__main__":
    run()
