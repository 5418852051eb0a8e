"""Damage to files, drawn from a seed: that of disks, of programs, and of bad intent."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

EXTREMES = [
    0, 1, 2, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**32,
    2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 1,
]  # fmt: skip

NUMBERS = [
    b"0", b"-1", b"-0", b"1", b"2", b"255", b"65536", b"4294967295", b"4294967296", b"3000000000",
    b"9223372036854775807", b"-9223372036854775808", b"9" * 30, b"9" * 5000, b"1e999", b"-1e999",
    b"1e-320", b"0.5", b"nan", b"NaN", b"inf", b"-inf", b"Infinity", b"0x10", b"1_000", b"1,5", b"",
]  # fmt: skip

WORDS = [
    b"", b"null", b"true", b"[]", b"{}", b"''", b'"', b"\n", b"\r\n\r\n", b"\0", b"\x1b[2J\x07",
    "\u202e".encode(), b"\xff\xfe", b"\xed\xa0\x80", b"../../../../etc/passwd", b"/etc/passwd",
    b"C:\\CON", b"pickle", b"!!python/object/apply:os.system ['touch ran']", b"&a [*a, *a]",
    b"<<: *a", b"__import__('os').system('touch ran')", b"os", b"subprocess", b"antigravity",
    b"[" * 2000, b"{'a':" * 2000, b"(" * 2000, b"<a>" * 500, b"A" * 70000, b"%s%n",
    b"$(touch ran)", b"blosc", b"zstd", b"gzip", b"lzma", b"object", b"|O", b"<U99999999", b">u2",
    b"<c16", b"V1000000",
]  # fmt: skip


def bit_flips(data: bytearray, rng: random.Random) -> bytearray:
    """Flip one to eight bits, most of them near the start, where headers are."""
    for _ in range(rng.randint(1, 8)):
        data[_place(data, rng)] ^= 1 << rng.randrange(8)
    return data


def extreme_bytes(data: bytearray, rng: random.Random) -> bytearray:
    """Set a few bytes to the smallest and largest there are."""
    for _ in range(rng.randint(1, 4)):
        data[_place(data, rng)] = rng.choice((0, 1, 127, 128, 254, 255))
    return data


def extreme_numbers(data: bytearray, rng: random.Random) -> bytearray:
    """Write a binary number at the limits of its kind over what is there."""
    n = rng.choice((2, 4, 8))
    at = _place(data, rng)
    if rng.random() < 0.7:
        at -= at % n
    value = (rng.choice(EXTREMES) & (256**n - 1)).to_bytes(n, rng.choice(("little", "big")))
    data[at : at + n] = value[: len(data) - at]
    return data


def cut(data: bytearray, rng: random.Random) -> bytearray:
    """End the file early, or take a piece out of it."""
    at = rng.randrange(len(data))
    if rng.random() < 0.6:
        return data[:at]
    return data[:at] + data[at + rng.randint(1, 64) :]


def inserted(data: bytearray, rng: random.Random) -> bytearray:
    """Insert noise, or a piece of the file once more."""
    at, start = rng.randrange(len(data) + 1), rng.randrange(len(data))
    n = rng.choice((1, 2, 8, 64, 4096))
    piece = bytes(data[start : start + n]) if rng.random() < 0.5 else rng.randbytes(n)
    return data[:at] + piece + data[at:]


def other_numbers(data: bytearray, rng: random.Random) -> bytearray:
    """Put another number in the place of one that is written in digits."""
    return _replaced(data, rb"-?\d+(\.\d+)?(e-?\d+)?", NUMBERS, rng)


def hostile_words(data: bytearray, rng: random.Random) -> bytearray:
    """Put something else in the place of a word."""
    return _replaced(data, rb"[A-Za-z_]{2,}", WORDS, rng)


MUTATIONS: tuple[Callable[[bytearray, random.Random], bytearray], ...] = (
    bit_flips, extreme_bytes, extreme_numbers, extreme_numbers, cut, inserted, other_numbers,
    hostile_words,
)  # fmt: skip


def mutant(data: bytes, rng: random.Random) -> bytes:
    """Return a damaged copy of a file that is not empty."""
    made = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if made:
            made = rng.choice(MUTATIONS)(made, rng)
    return bytes(made)


def _place(data: bytearray, rng: random.Random) -> int:
    return rng.randrange(min(len(data), 400) if rng.random() < 0.6 else len(data))


def _replaced(
    data: bytearray, pattern: bytes, choices: list[bytes], rng: random.Random
) -> bytearray:
    found = list(re.finditer(pattern, bytes(data[: 1 << 18])))
    if not found:
        return bit_flips(data, rng)
    spot = rng.choice(found)
    return data[: spot.start()] + rng.choice(choices) + data[spot.end() :]
