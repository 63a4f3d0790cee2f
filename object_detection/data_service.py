"""Serves decoded records to training: `python -m object_detection.data_service --help`.

--port=5050                                    the first server, which training is told of
--port=5051 --dispatcher=grpc://first:5050     a further one, on any machine that sees the records

Training reads from them with `train_input_reader { data_service: "grpc://first:5050" }`.
"""

import os
import sys

if not __package__:  # run as a file: Python then looks in this folder, not in the one above
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

import socket  # noqa: E402

from absl import app, flags, logging  # noqa: E402

FLAGS = flags.FLAGS


def define_flags():
    """The flags of this command."""
    flags.DEFINE_integer("port", 5050, "Where this server listens; 0 takes any free port.", 0)
    flags.DEFINE_string("host", "", "This machine's name for the others; unset: its host name.")
    flags.DEFINE_string("dispatcher", "", "Address of the first server; unset: this is the first.")


def main(arguments):
    """Serves until it is stopped; returns the exit code."""
    if len(arguments) > 1:
        raise app.UsageError(f"what is {arguments[1]!r}? Flags begin with --.")
    if FLAGS.dispatcher and "://" not in FLAGS.dispatcher:
        raise app.UsageError(
            f"--dispatcher is {FLAGS.dispatcher!r}; it is an address as grpc://host:5050"
        )
    from object_detection.training import quiet

    quiet.start_tensorflow()
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
    worker.join()
    return 0


def run():
    """The command."""
    define_flags()
    app.run(main)


if __name__ == "__main__":
    run()
