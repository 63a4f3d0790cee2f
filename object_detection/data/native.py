"""The pipeline's C functions, compiled at their first use where there is a C compiler.

That takes a second; the result lies in the user's cache folder. Without a compiler, or with
OBJECT_DETECTION_NATIVE=0 in the environment, TensorFlow does the same work, with the same numbers,
and takes longer.
"""

import ctypes
import functools
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np

_LOG = logging.getLogger(__name__)
_SOURCES = tuple(Path(__file__).with_name(name) for name in ("mask_png.c", "resize.c"))
# Products and sums are rounded one by one, as TensorFlow's are.
_FLAGS = ("-O3", "-std=gnu99", "-ffp-contract=off", "-shared", "-fPIC")
_COMPILERS = ("cc", "gcc", "clang")
_ALIGNMENT = 64  # TensorFlow takes such memory over without a copy


@functools.cache
def load():
    """The compiled library, or None."""
    if os.environ.get("OBJECT_DETECTION_NATIVE") == "0":
        return None
    try:
        library = ctypes.CDLL(str(_compiled()))
    except (OSError, subprocess.SubprocessError) as fault:
        _LOG.info("Masks and images are decoded and resized by TensorFlow only: %s", fault)
        return None
    size, pointer, number = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_int64
    library.od_size.argtypes = [ctypes.c_char_p, size, pointer, pointer]
    library.od_decode.argtypes = [pointer, pointer, ctypes.c_int, size, size, pointer, pointer]
    library.od_decode_cut.argtypes = [*library.od_decode.argtypes, pointer]
    library.od_resize.argtypes = [pointer, *[number] * 5, pointer, number, number, pointer]
    return library


def zeros(*shape):
    """uint8 zeros that TensorFlow takes over without a copy."""
    size = int(np.prod(shape))
    return _aligned(np.zeros(size + _ALIGNMENT, np.uint8), size).reshape(shape)


class Buffers:
    """Memory that is used again as soon as nobody holds it any more.

    New memory of many megabytes costs more time than what is written into it: the system clears it
    page by page. There are never more buffers than were in use at once.
    """

    def __init__(self):
        self._held = []
        self._lock = threading.Lock()

    def take(self, size):
        """[size] uint8 of any content, for as long as the caller, or TensorFlow, refers to it."""
        with self._lock:
            free = [at for at in range(len(self._held)) if _is_free(self._held, at)]
            fits = [at for at in free if self._held[at].nbytes >= size + _ALIGNMENT]
            if not fits:
                for at in reversed(free[-1:]):  # too small by now
                    del self._held[at]
                self._held.append(np.empty(size + size // 8 + _ALIGNMENT, np.uint8))
            # The latest: it may still be in the processor's cache.
            return _aligned(self._held[fits[-1] if fits else -1], size)


def _aligned(buffer, size):
    start = -buffer.ctypes.data % _ALIGNMENT
    return buffer[start : start + size]


def _references(members, at):
    """How many refer to a list's member; the list and this call among them."""
    return sys.getrefcount(members[at])


_REFERENCES_OF_FREE = _references([np.empty(1, np.uint8)], 0)


def _is_free(members, at):
    return _references(members, at) == _REFERENCES_OF_FREE


def _compiled():
    """Path of the library for these sources and this machine; compiled if it is not there yet."""
    compiler = next(filter(None, map(shutil.which, _COMPILERS)), None)
    if compiler is None:
        raise OSError("no C compiler (cc, gcc or clang) in the PATH")
    texts = [source.read_bytes() for source in _SOURCES]
    made_of = repr((texts, _FLAGS, platform.platform()))
    folder = _cache_folder()
    path = folder / f"data-{hashlib.sha256(made_of.encode()).hexdigest()[:16]}.so"
    if not path.exists():
        file, partial = tempfile.mkstemp(dir=folder, suffix=".so")
        os.close(file)
        try:
            command = [compiler, *_FLAGS, "-o", partial, *map(str, _SOURCES), "-lm"]
            subprocess.run(command, check=True, capture_output=True, timeout=60)
            os.replace(partial, path)  # atomic, for processes that start at the same time
        finally:
            Path(partial).unlink(missing_ok=True)
    return path


def _cache_folder():
    """A folder that nobody else can write to: code is loaded from it."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base, "object_detection")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.stat()
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022):
        raise OSError(f"others can write to {folder}")
    return folder
