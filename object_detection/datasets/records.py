"""Writes TFRecord files that are whole or absent: shards grow in a hidden folder, then appear.

Next to each finished shard in that folder is a file of notes, from which a later run resumes.

The frame of a record is written without TensorFlow, whose import takes seconds:

    length (8 bytes)  checksum of the length (4)  content  checksum of the content (4)

The checksum is CRC-32C, rotated and shifted. CRCs are linear: that of a message is the sum (xor) of
those of its words, each carried over the zeros after it. So all words are looked up at once, and
neighbors joined pair by pair, which numpy does quickly; a loop over bytes in Python would be slow.
"""

import json
import os
import re
import shutil
import struct
from functools import cache
from pathlib import Path

import numpy as np


def shard_name(base, index, count):
    """TFOD's name of a shard: `NAME-00003-of-00010`; of no shards (0), the plain name."""
    return f"{base}-{index:05d}-of-{count:05d}" if count else str(base)


class ShardedRecords:
    """The record files of one data set, on their way from a hidden folder to their own names.

    Args:
        base: path of the records without the shard's suffix.
        num_shards: how many files; 0: one file of that very name.
    """

    def __init__(self, base, num_shards):
        self.base, self.num_shards = Path(base), num_shards
        self.paths = [
            Path(shard_name(base, index, num_shards)) for index in range(max(num_shards, 1))
        ]
        self.folder = self.base.with_name(f".{self.base.name}.partial")

    @property
    def pattern(self):
        """The name of all the shards, as a config's `input_path` takes it."""
        if not self.num_shards:
            return str(self.base)
        return f"{self.base}-?????-of-{self.num_shards:05d}"

    def begin(self, inputs):
        """Makes the folder anew.

        Args:
            inputs: what the records are made from, as plain values, for `unfinished`.
        """
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        write_json(self.folder / "inputs.json", inputs)

    def unfinished(self):
        """What a stopped run left here.

        Returns:
            Its `inputs` (None: nothing is here) and, for each shard it finished, index -> notes.
        """
        inputs = read_json(self.folder / "inputs.json")
        finished = {}
        for index, path in enumerate(self.paths):
            notes = read_json(self._notes(index))
            here = [place for place in (self._partial(index), path) if place.is_file()]
            if notes and here and here[0].stat().st_size == notes["bytes"]:
                finished[index] = notes["notes"]
        return inputs, finished

    def open(self, index):
        """Opens a shard for its records; it counts as finished only after `finish`."""
        return self._partial(index).open("wb")

    def finish(self, index, notes):
        """Declares a shard whole; `notes` (plain values) are given back by `unfinished`."""
        size = self._partial(index).stat().st_size
        write_json(self._notes(index), {"bytes": size, "notes": notes})

    def appear(self):
        """Gives all shards their names; those that have them since a stopped run keep them."""
        for index, path in enumerate(self.paths):
            if self._partial(index).exists():
                os.replace(self._partial(index), path)

    def forget(self):
        """Removes the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def strangers(self):
        """Files of the same name that another run left here: `NAME*` would read them too."""
        shard = re.compile(re.escape(self.base.name) + r"(-\d{5}-of-\d{5})?")
        paths = {path for path in self.base.parent.iterdir() if shard.fullmatch(path.name)}
        return sorted(paths - set(self.paths))

    def _partial(self, index):
        return self.folder / f"{index:05d}"

    def _notes(self, index):
        return self.folder / f"{index:05d}.json"


def write_json(path, content):
    """Writes plain values; the file appears complete or not at all."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def write_text(path, text):
    """Writes a text file; it appears complete or not at all."""
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
    os.replace(temporary, path)


def read_json(path):
    """Plain values of a file; None where there is none or it cannot be read."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


_POLYNOMIAL = 0x82F63B78  # Castagnoli's, its bits in reverse
_MASK_DELTA = 0xA282EAD8


def frame(content):
    """Return a record as it is written to the file."""
    length = struct.pack("<Q", len(content))
    return b"".join([length, _checksum(length), content, _checksum(content)])


def _checksum(content):
    crc = crc32c(content)
    turned = (crc >> 15 | crc << 17) & 0xFFFFFFFF
    return struct.pack("<I", (turned + _MASK_DELTA) & 0xFFFFFFFF)


def crc32c(content):
    """CRC-32C of bytes."""
    if len(content) < 4:
        crc = 0xFFFFFFFF
        for byte in content:
            crc = _over_zeros_bitwise(crc ^ byte, 1)
        return crc ^ 0xFFFFFFFF
    # Zeros in front change nothing; the start value is added to the first four bytes.
    missing = -len(content) % 8
    padded = np.zeros(len(content) + missing, np.uint8)
    padded[missing:] = np.frombuffer(content, np.uint8)
    padded[missing : missing + 4] ^= 0xFF
    crcs = _carried(padded.view("<u2").reshape(-1, 4), (8, 8, 4, 4))
    span = 8
    while len(crcs) > 1:
        if len(crcs) % 2:
            crcs = np.concatenate([np.zeros(1, np.uint32), crcs])
        halves = crcs.view("<u2").reshape(-1, 4)[:, :2]  # of the left one of each pair
        crcs = _carried(halves, (span, span)) ^ crcs[1::2]
        span *= 2
    return int(crcs[0]) ^ 0xFFFFFFFF


def _carried(halves, counts):
    """The sum of halves of CRC registers, each carried over some zeros.

    Args:
        halves: [n, k] uint16: in turn the lower and the upper halves of registers.
        counts: k numbers of bytes of zeros.

    Returns:
        [n] uint32 registers.
    """
    columns = np.array(halves.T, np.intp)  # numpy looks up these, one after another, far quicker
    total = 0
    for place, (column, count) in enumerate(zip(columns, counts, strict=True)):
        total ^= _tables(count)[place % 2].take(column, mode="wrap")  # unchecked: all are in range
    return total


@cache
def _tables(count):
    """What each lower and each upper half of a register becomes over `count` bytes of zeros."""
    bits = _bits_over_zeros(count)
    tables = []
    for half in (bits[:16], bits[16:]):
        table = np.zeros(1, np.uint32)
        for bit in half:
            table = np.concatenate([table, table ^ np.uint32(bit)])
        tables.append(table)
    return tables


@cache
def _bits_over_zeros(count):
    """What each bit of a register becomes over `count` bytes of zeros, a power of two."""
    if count == 1:
        return [_over_zeros_bitwise(1 << bit, 1) for bit in range(32)]
    half = _bits_over_zeros(count // 2)
    return [_sum(half, image) for image in half]


def _sum(bits, register):
    total = 0
    for bit in range(32):
        if register >> bit & 1:
            total ^= bits[bit]
    return total


def _over_zeros_bitwise(register, count):
    for _ in range(8 * count):
        register = register >> 1 ^ (_POLYNOMIAL if register & 1 else 0)
    return register
