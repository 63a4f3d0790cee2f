"""One side of a comparison, in a process of its own.

A side prepares its work, says so, and then does it once for every line that it is given. So two
sides can take turns, and a machine that slows down for a while slows both. Needs nothing but the
standard library, for other projects' environments run it too.
"""

import json
import resource
import sys
import time

MARK = "@@ "  # in front of what is an answer; libraries print what they like


def serve(work, **about):
    """Does `work()` once and says how long that took, then again for every line of stdin.

    Args:
        work: function without arguments that returns when all of its results are there.
        about: what else the first answer tells.
    """
    _answer(_timed(work) | about)
    for _ in sys.stdin:
        _answer(_timed(work))


def _timed(work):
    start, used = time.perf_counter(), time.process_time()
    work()
    return {
        "seconds": time.perf_counter() - start,
        "cpu": time.process_time() - used,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _answer(values):
    print(MARK + json.dumps(values), flush=True)
