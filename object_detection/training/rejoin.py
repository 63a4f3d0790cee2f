"""Several workers after one of them was lost: the others begin again from the last checkpoint.

TensorFlow's collectives cannot go on without a worker, nor take one in while they run: every
process has to start anew. The lost one is started by whoever started it first (a person, a cluster
manager); the others do it by themselves, and wait until all are there.
"""

import os
import sys

from absl import logging

_COUNT = "OBJECT_DETECTION_RESTARTS"


def start_again(error: Exception, limit: int) -> None:
    """Replaces this process by the same command, which resumes; does not return if it may do so.

    Args:
        error: what happened, for the log.
        limit: how often one command may do this; beyond it the function returns.
    """
    done = int(os.environ.get(_COUNT, "0"))
    if done >= limit:
        return
    logging.warning(
        "%s\nStarting again from the newest checkpoint (%d of at most %d times), and waiting for "
        "all workers.",
        error,
        done + 1,
        limit,
    )
    os.environ[_COUNT] = str(done + 1)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
