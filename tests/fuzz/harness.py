"""Runs damaged inputs in a process of their own, with a limit of time and a look at the memory.

A kind of input is a module of this folder with

    ERRORS                        names of the error types that its readers document
    SLOW = (period, factor)       optional: inputs whose number the period divides may take longer
    prepare(folder)               -> state: the valid inputs, and whatever is slow to come
    run(dice, state, folder)      makes an input in `folder` from `random.Random` dice, and reads it

An input is known by its kind and its number. A failure is an exception that no reader documents or
whose message is no sentence, a hang, a process that dies, or memory that grows without measure. Its
files and a report lie in build/fuzz/KIND-NUMBER afterwards, with the command that runs it again.

Why not an engine of property tests: one that runs inside the process loses its example where a C
library hangs or dies, and those are the faults that matter most here.
"""

import argparse
import concurrent.futures
import faulthandler
import importlib
import json
import logging
import os
import random
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
KINDS = ("records", "readers", "configs", "checkpoints", "run_lengths")
SECONDS = 5.0  # an input may take
START_SECONDS = 300.0  # a process may take until it is ready; TensorFlow is slow to come
GROWTH = 1 << 30  # bytes that a process may grow over its size at rest
LONGEST_MESSAGE = 10_000  # characters
MOST_FAILURES = 50  # after which a process gives up


class Failure(NamedTuple):
    """An input that was not read as it should be.

    Attributes:
        kind, number: which input.
        reason: one line.
        report: file that says more, beside the input itself.
    """

    kind: str
    number: int
    reason: str
    report: Path

    def __str__(self):
        return (
            f"{self.kind} {self.number}: {self.reason}\n    files and traceback: {self.report}\n"
            f"    again: python tests/fuzz/harness.py {self.kind} --first={self.number} --count=1"
        )


def hunt(kind, first, count, *, jobs=1, seconds=SECONDS, growth=GROWTH, output=None):
    """Try the inputs `first` to `first + count - 1` of a kind.

    Args:
        kind: one of `KINDS`, or another module of this folder.
        first: number of the first input.
        count: how many inputs.
        jobs: processes that share them.
        seconds: an input that takes longer hangs.
        growth: bytes that a process may grow.
        output: folder of the failing inputs; build/fuzz by default.

    Returns:
        List of `Failure`, by number.
    """
    output = Path(output or ROOT / "build" / "fuzz")
    limits = (seconds, growth, output)
    size = -(-count // jobs)
    starts = range(first, first + count, size)
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        parts = pool.map(
            lambda start: _hunt_part(kind, start, min(size, first + count - start), limits), starts
        )
        return [failure for part in parts for failure in part]


def _hunt_part(kind, first, count, limits):
    seconds, growth, output = limits
    failures, worker, rest = [], None, 0
    try:
        for number in range(first, first + count):
            if worker is None:
                worker = _Worker(kind)
                rest = worker.start()
            limit = seconds * worker.factor(number)
            answer = worker.ask(number, limit)
            if answer.get("hangs"):  # once more in a fresh process: the machine may have been busy
                worker.stop()
                worker = _Worker(kind)
                rest = worker.start()
                answer = worker.ask(number, limit)
            reason = answer.get("reason")
            grew = answer.get("peak", 0) - rest
            if grew > growth:
                reason = f"the process grew by {grew / 2**30:.1f} GiB"
            if reason is not None:
                failures.append(_kept(kind, number, reason, answer, worker, output))
                print(failures[-1], flush=True)
            if answer.get("dead") or grew > growth:
                worker.stop()
                worker = None
            if len(failures) == MOST_FAILURES:
                break
    finally:
        if worker:
            worker.stop()
    return failures


def _kept(kind, number, reason, answer, worker, output):
    """The failure, its files copied to where they stay."""
    folder = output / f"{kind}-{number}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copytree(worker.folder / "input", folder / "input", symlinks=True)
    failure = Failure(kind, number, reason, folder / "report.txt")
    log = worker.log.read_text(encoding="utf-8", errors="replace")[-20_000:]
    details = answer.get("traceback", "")
    failure.report.write_text(f"{failure}\n\n{details}\n{log}\n", errors="backslashreplace")
    return failure


class _Worker:
    """A process that tries the inputs it is sent, one after another."""

    def __init__(self, kind):
        self.folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{kind}-"))
        self.log = self.folder / "log.txt"
        read_end, write_end = os.pipe()
        command = [sys.executable, __file__, kind, "--worker", f"--reply={write_end}"]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
        with open(self.log, "wb") as log:
            self._process = subprocess.Popen(
                [*command, f"--folder={self.folder}"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=(write_end,),
                env=environment,
                cwd=ROOT,
            )
        os.close(write_end)
        self._replies = os.fdopen(read_end, "rb")

    def start(self):
        """Wait until it is ready; return its bytes at rest."""
        answer = self._answer(START_SECONDS)
        if "peak" not in answer:
            log = self.log.read_text(encoding="utf-8", errors="replace")[-5000:]
            raise RuntimeError(f"the process did not start: {answer}\n{log}")
        self._slow = answer["slow"]
        return answer["peak"]

    def factor(self, number):
        """How many times the usual limit an input may take."""
        period, factor = self._slow
        return 1 if number % period else factor

    def ask(self, number, seconds):
        """Have an input tried; return {"peak", and of a failure "reason", "traceback"}."""
        try:
            self._process.stdin.write(f"{number} {seconds}\n".encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it is dead, which the answer says
        return self._answer(seconds)

    def _answer(self, seconds):
        ready, _, _ = select.select([self._replies], [], [], seconds)
        if not ready:
            return {"hangs": True, "dead": True, "reason": f"it takes over {seconds:g} s"}
        line = self._replies.readline()
        if line:
            return json.loads(line)
        code = self._process.wait()
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return {"dead": True, "reason": f"the process died ({name})"}

    def stop(self):
        """End the process, whatever it does, and remove its files."""
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._replies.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class _Strict(logging.Handler):
    """Words every message, so that a fault in the wording shows."""

    def emit(self, record):
        record.getMessage()


def _work(kind, folder, reply):
    """The process of a `_Worker`."""
    sys.path[:0] = [str(HERE), str(HERE.parent), str(ROOT)]
    faulthandler.enable()
    module = importlib.import_module(kind)
    place = folder / "input"
    state = module.prepare(folder)
    for number in range(-8, 0):  # what comes to memory only when it is first used
        place = _emptied(folder / "input")
        _tried(module, number, state, place)
    logging.root.handlers[:] = [_Strict()]
    logging.root.setLevel(logging.INFO)
    _bound_memory()
    _send(reply, {"peak": _peak(), "slow": getattr(module, "SLOW", (1, 1))})
    for line in sys.stdin:
        number, seconds = line.split()
        place = _emptied(folder / "input")
        os.truncate(sys.stderr.fileno(), 0)
        faulthandler.dump_traceback_later(float(seconds) * 0.9)
        answer = _tried(module, int(number), state, place)
        faulthandler.cancel_dump_traceback_later()
        _send(reply, {**answer, "peak": _peak()})


def _emptied(place):
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    return place


def _tried(module, number, state, place):
    dice = random.Random(f"{module.__name__} {number}")
    dice.number = number
    try:
        module.run(dice, state, place)
    except BaseException as error:
        reason = _unexpected(error, module.ERRORS)
        if reason:
            text = "".join(traceback.format_exception(error, limit=-12))[-20_000:]
            return {"reason": reason, "traceback": text}
    return {}


def _unexpected(error, documented):
    """What is wrong with an exception, or None where it is one for the user to read."""
    said = str(error)
    shown = f"{type(error).__name__}: {said[:300]}"
    names = {each.__name__ for each in type(error).__mro__}
    own_words = type(error) is ValueError and _raised_by_us(error)
    if not isinstance(error, ValueError) or not (names & set(documented) or own_words):
        return shown
    if len(said.split()) < 3:
        return f"no sentence: {shown}"
    if len(said) > LONGEST_MESSAGE:
        return f"a message of {len(said):,} characters: {shown}"
    try:
        said.encode()
    except UnicodeEncodeError:
        return f"a message that cannot be printed: {shown!a}"
    return None


def _raised_by_us(error):
    """Whether the package itself raised the error, and not what it calls."""
    frames = traceback.extract_tb(error.__traceback__)
    return "object_detection" in Path(frames[-1].filename).parts and "raise" in frames[-1].line


def _peak():
    """Most bytes of memory that this process has had so far."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024
    except (OSError, IndexError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def _bound_memory():
    """An input that wants all memory of the machine gets a MemoryError."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return
    limit = pages * resource.getpagesize() + 4 * GROWTH
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


def _send(reply, answer):
    os.write(reply, json.dumps(answer).encode() + b"\n")


def main():
    """`python tests/fuzz/harness.py [KIND ...] --count=10000`."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("kinds", nargs="*", default=KINDS, help=f"of {', '.join(KINDS)}")
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--count", type=int, default=1000, help="inputs of each kind")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--reply", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return _work(options.kinds[0], options.folder, options.reply)
    failures = []
    for kind in options.kinds:
        started = time.monotonic()
        found = hunt(kind, options.first, options.count, jobs=min(options.jobs, options.count))
        took = time.monotonic() - started
        print(f"{kind}: {options.count} inputs, {len(found)} failures, {took:.0f} s", flush=True)
        failures += found
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
