"""The frame of a record in a TFRecord file, without TensorFlow: its import costs seconds.

    length (8 bytes)  checksum of the length (4)  data  checksum of the data (4)

The checksum is CRC-32C, turned and shifted. CRCs are linear: that of a message is the sum (xor) of
those of its words, each carried over the zeros after it. So all words are looked up at once, and
neighbours joined pair by pair, as numpy does quickly, where a loop over bytes would take Python
far too long.
"""

import struct
from functools import cache

import numpy as np

_POLYNOMIAL = 0x82F63B78  # Castagnoli's, its bits in reverse
_MASK_DELTA = 0xA282EAD8


def frame(data):
    """A record as it stands in the file."""
    length = struct.pack("<Q", len(data))
    return b"".join([length, _checksum(length), data, _checksum(data)])


def _checksum(data):
    crc = crc32c(data)
    turned = (crc >> 15 | crc << 17) & 0xFFFFFFFF
    return struct.pack("<I", (turned + _MASK_DELTA) & 0xFFFFFFFF)


def crc32c(data):
    """CRC-32C of bytes."""
    if len(data) < 4:
        crc = 0xFFFFFFFF
        for byte in data:
            crc = _over_zeros_bitwise(crc ^ byte, 1)
        return crc ^ 0xFFFFFFFF
    # Zeros in front change nothing; the start value is added to the first four bytes.
    missing = -len(data) % 8
    padded = np.zeros(len(data) + missing, np.uint8)
    padded[missing:] = np.frombuffer(data, np.uint8)
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
    bits = _bits(count)
    tables = []
    for half in (bits[:16], bits[16:]):
        table = np.zeros(1, np.uint32)
        for bit in half:
            table = np.concatenate([table, table ^ np.uint32(bit)])
        tables.append(table)
    return tables


@cache
def _bits(count):
    """What each bit of a register becomes over `count` bytes of zeros, a power of two."""
    if count == 1:
        return [_over_zeros_bitwise(1 << bit, 1) for bit in range(32)]
    half = _bits(count // 2)
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
