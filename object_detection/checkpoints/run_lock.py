"""Locks a model_dir: two trainings in it would delete each other's checkpoints.

The lock is a file, `run.lock`, that names host and process of the training that holds it. It is
left where a process is killed, so its existence proves nothing:

- A process of the same host is looked up: it is gone, or its number belongs to a later process.
- A process of another host (or container) touches the file every `HEARTBEAT` seconds. It is gone if
  the file is older than `STALE` seconds, or is not touched while we watch it for `WATCH` seconds.

Evaluations take no lock: one may run during a training. With several workers the chief takes it.
"""

import contextlib
import json
import os
import socket
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
from absl import logging

from object_detection.errors import ModelDirInUseError

NAME = "run.lock"
HEARTBEAT, WATCH, STALE = 10.0, 35.0, 300.0  # seconds
_POLL = 0.5  # seconds between two checks of a lock that we watch


@contextlib.contextmanager
def held(directory: str | os.PathLike) -> Iterator[None]:
    """Hold the lock of a model_dir while the block runs.

    Args:
        directory: the model_dir; created if missing.

    Raises:
        ModelDirInUseError: another training holds it; the message names its host and process.
        OSError: the folder or the file cannot be created.
    """
    path = Path(directory) / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    own = _take(path)
    ended = threading.Event()
    beat = threading.Thread(target=_keep_fresh, args=(path, own, ended), daemon=True)
    beat.start()
    try:
        yield
    finally:
        ended.set()
        beat.join()
        if _read(path).get("id") == own["id"]:
            path.unlink(missing_ok=True)


def _take(path):
    """Write the lock as ours; return its content."""
    lock = _read(path)
    if lock:
        if not _is_gone(path, lock):
            raise ModelDirInUseError(
                f"another training runs in {path.parent}: process {lock.get('pid')} on "
                f"{lock.get('host')}, started {lock.get('started')} ({lock.get('command')}). "
                "Two trainings in one folder delete each other's checkpoints. Give another "
                f"--model_dir, or end that process first. ({path} keeps its place.)"
            )
        logging.info(
            "%s is left from process %s on %s, which is gone.", path, lock["pid"], lock["host"]
        )
    process = psutil.Process()
    own = {
        "id": uuid.uuid4().hex,
        "pid": process.pid,
        "host": socket.gethostname(),
        "system": _system(),
        "process_started": process.create_time(),
        "started": time.strftime("%Y-%m-%d %H:%M:%S"),
        "command": " ".join(sys.orig_argv)[:500],
    }
    _write(path, own)
    time.sleep(0.05)  # of two that start at the same time the later one has it
    if _read(path).get("id") != own["id"]:
        return _take(path)
    return own


def _is_gone(path, lock):
    """Return whether the training that wrote a lock has ended."""
    if lock.get("system") == _system():
        try:
            process = psutil.Process(lock["pid"])
            started = process.create_time()
            is_dead = process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
        except (psutil.NoSuchProcess, KeyError, TypeError, ValueError):
            return True
        return is_dead or abs(started - lock.get("process_started", 0)) > 1.0
    touched = _touched(path)
    if touched is None or _now(path.parent) - touched > STALE:
        return True
    logging.info(
        "A training of host %s may run in %s: watching for a sign of it for %.0f s ...",
        lock.get("host"),
        path.parent,
        WATCH,
    )
    until = time.monotonic() + WATCH
    while time.monotonic() < until:
        time.sleep(_POLL)
        if _touched(path) != touched:
            return not path.exists()
    return True


def _keep_fresh(path, own, ended):
    """Touch the lock until the run ends; never touch another run's lock."""
    while not ended.wait(HEARTBEAT):
        try:
            if _read(path).get("id") != own["id"]:
                logging.error(
                    "%s is no longer this run's: another training was started in %s, or the file "
                    "was removed. One of the two has to be ended.",
                    path,
                    path.parent,
                )
                return
            os.utime(path)
        except OSError:  # a file system that is away for a while
            continue


def _system():
    """Return what distinguishes machines and containers whose processes have the same numbers."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    with contextlib.suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(parts)


def _read(path):
    """Return the content of a lock; {} without one, or for a file with other content."""
    try:
        lock = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return lock if isinstance(lock, dict) and {"id", "pid", "host"} <= lock.keys() else {}


def _write(path, content):
    handle, temporary = tempfile.mkstemp(prefix=f".{NAME}-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(json.dumps(content, indent=1) + "\n")
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _touched(path):
    """Return when a file was last touched, read anew (network file systems cache it); or None."""
    try:
        with open(path, "rb") as file:
            return os.fstat(file.fileno()).st_mtime
    except OSError:
        return None


def _now(folder):
    """Return the time by the clock of a folder's file system, which may be another machine's."""
    with tempfile.NamedTemporaryFile(prefix=f".{NAME}-", dir=folder) as file:
        return os.fstat(file.fileno()).st_mtime
