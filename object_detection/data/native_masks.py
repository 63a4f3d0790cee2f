"""Decoding of masks in C, several times as fast as TensorFlow's, where there is a C compiler.

`mask_png.c` is compiled at its first use, which takes a second, into the user's cache folder.
Without a compiler, or with OBJECT_DETECTION_NATIVE=0 in the environment, TensorFlow decodes; the
masks are the same.
"""

import ctypes
import functools
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

_LOG = logging.getLogger(__name__)
_SOURCE = Path(__file__).with_name("mask_png.c")
_FLAGS = ("-O3", "-std=c99", "-shared", "-fPIC")
_ALIGNMENT = 64
_COMPILERS = ("cc", "gcc", "clang")


def decode(encoded, corners=None, size=(0, 0)):
    """Masks of plain PNG files: 8-bit gray, not interlaced.

    Args:
        encoded: [g] array of bytes.
        corners: [g, 2] int64 (row, column) of the first pixel of each; without it all masks have
            the size of the first.
        size: (height, width) of the masks, with `corners`.

    Returns:
        [g, height, width] uint8 of 0 and 1. [0, 0, 0] where there is no object, where a file is
        broken or of another kind or reaches out of its frame, or where there is no compiler.
    """
    library, count = load(), len(encoded)
    nothing = np.zeros((0, 0, 0), np.uint8)
    if library is None or not count:
        return nothing
    lengths = (ctypes.c_size_t * count)(*map(len, encoded))
    files = (ctypes.c_char_p * count)(*encoded)
    if corners is None:
        sides = ctypes.c_uint32(), ctypes.c_uint32()
        if not library.od_size(encoded[0], lengths[0], *map(ctypes.byref, sides)):
            return nothing
        size, places = [side.value for side in sides], None
    else:
        size, corners = [int(side) for side in size], np.ascontiguousarray(corners, np.int64)
        places = corners.ctypes.data
    masks = _zeros(count, *size)
    whole = library.od_decode(files, lengths, count, *size, places, masks.ctypes.data)
    return masks if whole else nothing


def _zeros(*shape):
    """uint8 zeros at an address that TensorFlow takes over without a copy."""
    size = int(np.prod(shape))
    room = np.zeros(size + _ALIGNMENT, np.uint8)
    start = -room.ctypes.data % _ALIGNMENT
    return room[start : start + size].reshape(shape)


@functools.cache
def load():
    """The compiled library, or None."""
    if os.environ.get("OBJECT_DETECTION_NATIVE") == "0":
        return None
    try:
        library = ctypes.CDLL(str(_compiled()))
    except (OSError, subprocess.SubprocessError) as fault:
        _LOG.info("Masks are decoded by TensorFlow: %s", fault)
        return None
    size, pointer = ctypes.c_size_t, ctypes.c_void_p
    library.od_size.argtypes = [ctypes.c_char_p, size, pointer, pointer]
    library.od_decode.argtypes = [pointer, pointer, ctypes.c_int, size, size, pointer, pointer]
    return library


def _compiled():
    """Path of the library for this source and machine; compiled where it is not there yet."""
    compiler = next(filter(None, map(shutil.which, _COMPILERS)), None)
    if compiler is None:
        raise OSError("no C compiler (cc, gcc or clang) in the PATH")
    made_of = (_SOURCE.read_bytes(), *_FLAGS, platform.platform())
    digest = hashlib.sha256(repr(made_of).encode()).hexdigest()[:16]
    folder = _cache_folder()
    path = folder / f"mask_png-{digest}.so"
    if not path.exists():
        file, partial = tempfile.mkstemp(dir=folder, suffix=".so")
        os.close(file)
        try:
            command = [compiler, *_FLAGS, "-o", partial, str(_SOURCE)]
            subprocess.run(command, check=True, capture_output=True, timeout=60)
            os.replace(partial, path)  # at once, for whoever starts at the same time
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
