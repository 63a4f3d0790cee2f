"""Serves decoded records to training: `python -m object_detection.data_service --help`.

--port=5050                                    the first server, which training connects to
--port=5051 --dispatcher=grpc://first:5050     a further one, on any machine that sees the records

Training reads from them with `train_input_reader { data_service: "grpc://first:5050" }`.
"""

import os
import sys

if not __package__:  # run as a file: Python then looks in this folder, not in the one above
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

import socket  # noqa: E402
import threading  # noqa: E402

from absl import app, flags, logging  # noqa: E402

from object_detection.cli import runner  # noqa: E402
from object_detection.errors import listen_error  # noqa: E402

FLAGS = flags.FLAGS


def define_flags():
    """The flags of this command."""
    flags.DEFINE_integer("port", 5050, "Port to listen on; 0: any free port.", 0)
    flags.DEFINE_string("host", "", "Name of this machine for others. Default: its host name.")
    flags.DEFINE_string("dispatcher", "", "Address of the first server, if this is a further one.")


def main(arguments):
    """Serve until stopped; return the exit code."""
    runner.refuse_arguments(arguments, "flags begin with --")
    if FLAGS.dispatcher and "://" not in FLAGS.dispatcher:
        raise app.UsageError(
            f"--dispatcher is {FLAGS.dispatcher!r}; write an address like grpc://host:5050"
        )
    _check_port(FLAGS.port)
    from object_detection.training import commands

    commands.start_tensorflow()
    import tensorflow as tf

    host = FLAGS.host or socket.gethostname()
    dispatcher, port = FLAGS.dispatcher, FLAGS.port
    if not dispatcher:
        config = tf.data.experimental.service.DispatcherConfig(port=port)
        first = tf.data.experimental.service.DispatchServer(config)
        port = int(first.target.rsplit(":", 1)[1])
        dispatcher = f"grpc://{host}:{port}"
        logging.info("Dispatcher at %s", dispatcher)
        port = 0  # its own worker takes any
    config = tf.data.experimental.service.WorkerConfig(
        dispatcher_address=dispatcher.split("://", 1)[1],
        worker_address=f"{host}:%port%",
        port=port,
    )
    worker = tf.data.experimental.service.WorkerServer(config)
    print(f'data_service: "{dispatcher}"', flush=True)
    threading.Event().wait()  # until a signal; `worker.join` waits in C++, which ignores signals
    return 0 if worker else 1


def _check_port(port):
    """Raise `ListenError` if a port is taken: TensorFlow reports only that it could not start."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("", port))
        except OSError as error:
            raise listen_error("all addresses", port, error) from None


def run():
    """The command."""
    runner.run(main, define_flags)


if __name__ == "__main__":
    run()
