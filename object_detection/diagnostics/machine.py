"""Checks of the machine: processor, memory, disk, compiler, folders."""

import os
import re
import shutil
import tempfile
from pathlib import Path

from object_detection.diagnostics.remarks import fault, note, ok

GIB = 1 << 30
_LEAST_MEMORY, _LEAST_DISK, _LEAST_SHARED = 4 * GIB, 2 * GIB, 64 << 20
_COMPILERS = ("cc", "gcc", "clang")


def examine_processor(text=None, machine=None):
    """Yield remarks on the processor.

    Args:
        text: of /proc/cpuinfo; None: read it.
        machine: such as 'x86_64'; None: this one.
    """
    machine = machine or os.uname().machine
    if text is None:
        text = _text("/proc/cpuinfo")
    name = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    flags = set((re.search(r"^(?:flags|Features)\s*: (.+)$", text, re.MULTILINE) or " ")[0].split())
    cores = _cores()
    shown = f"{cores} core{'s' * (cores != 1)}, {name[1].strip() if name else machine}"
    if machine == "x86_64" and text and "avx" not in flags:
        yield fault(
            f"{shown}, without AVX",
            "TensorFlow's packages fail with `Illegal instruction` on it: use another machine, or "
            "pass the host's processor to the virtual machine (QEMU: -cpu host)",
        )
        return
    known = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
    yield ok(f"{shown}: {', '.join(flag for flag in known if flag in flags) or 'plain'}")
    if flags & {"avx512_bf16", "amx_bf16"}:
        yield ok("--precision=bfloat16 is likely to train faster here")
    else:
        yield ok("--precision=bfloat16 is likely to be slower on this processor than float32")


def examine_compiler(environment=os.environ, which=shutil.which):
    """Yield remarks on the C compiler for the input pipeline's fast functions."""
    if environment.get("OBJECT_DETECTION_NATIVE") == "0":
        yield note(
            "OBJECT_DETECTION_NATIVE=0: masks and images are decoded only by TensorFlow",
            "unset it for a faster input pipeline",
        )
        return
    compiler = next(filter(None, map(which, _COMPILERS)), None)
    if compiler:
        yield ok(f"C compiler for the fast input pipeline: {compiler}")
    else:
        yield note(
            "there is no C compiler (cc, gcc or clang): masks and images are decoded by "
            "TensorFlow, with the same values but more slowly",
            "apt-get install gcc, or the equivalent",
        )


def examine_memory(available=None):
    """Yield remarks on the free memory in bytes; None: ask the system."""
    available = _available_memory() if available is None else available
    if available is None:
        return
    shown = f"{available / GIB:.1f} GiB of memory are free"
    if available < _LEAST_MEMORY:
        yield note(
            shown,
            "a training of 640 x 640 pixels and two images takes about 5 GiB: close others, "
            "or set train_config.batch_size to 1 and a smaller image_resizer",
        )
    else:
        yield ok(shown)


def examine_folders(folders=None, usage=shutil.disk_usage):
    """Yield remarks on folders to write to, and on their free space.

    Args:
        folders: {purpose: path}; None: the current, the temporary and the cache folder.
        usage: as `shutil.disk_usage`.
    """
    for purpose, folder in (folders or _folders()).items():
        folder = _existing(Path(folder))
        if not os.access(folder, os.W_OK | os.X_OK):
            report = fault if purpose == "temporary files" else note
            cures = {
                "temporary files": "set TMPDIR to a writable folder",
                "the cache": "set XDG_CACHE_HOME to a writable folder; without it, C functions "
                "cannot be compiled and the input pipeline is slower",
            }
            yield report(
                f"{folder} ({purpose}) is not writable",
                cures.get(purpose, "use other folders for your commands (--model_dir, --output)"),
            )
            continue
        free = usage(folder).free
        shown = f"{folder} ({purpose}): {free / GIB:.1f} GiB are free"
        if free < _LEAST_DISK and purpose != "the cache":
            yield note(
                shown,
                "a checkpoint with the optimizer's state takes up to 0.5 GiB, and records as much "
                "as the images: free some space, or set --checkpoint_max_to_keep=2",
            )
        else:
            yield ok(shown)


def examine_shared_memory(folder="/dev/shm", usage=shutil.disk_usage):
    """Yield remarks on the shared memory, which several processes and GPUs need."""
    if not Path(folder).is_dir():
        return
    if not os.access(folder, os.W_OK):
        yield fault(
            f"{folder} is not writable",
            "--num_workers of conversions needs it: start the container with --shm-size=1g",
        )
        return
    total = usage(folder).total
    shown = f"{folder} has {total / (1 << 20):.0f} MiB"
    if total <= _LEAST_SHARED:
        yield note(
            shown,
            "enough for one GPU; NCCL with several needs more: start the container with "
            "--shm-size=1g",
        )
    else:
        yield ok(shown)


def _folders():
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return {
        "current folder": Path.cwd(),
        "temporary files": tempfile.gettempdir(),
        "the cache": Path(cache, "object_detection"),
    }


def _existing(folder):
    """Return the folder, or its nearest existing parent."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def _cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _available_memory():
    """Return the free bytes, or those that the container still allows; None if unknown."""
    match = re.search(r"^MemAvailable:\s+(\d+) kB", _text("/proc/meminfo"), re.MULTILINE)
    free = [int(match[1]) * 1024] if match else []
    limit = _text("/sys/fs/cgroup/memory.max").strip()
    used = _text("/sys/fs/cgroup/memory.current").strip()
    if limit.isdecimal() and used.isdecimal():
        free.append(max(0, int(limit) - int(used)))
    return min(free, default=None)


def _text(path):
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
