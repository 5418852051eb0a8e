"""Messages that no program of ours would send, seeded, for sockets and for what reads from them."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

COUNT = int(os.environ.get("RTSMLM_FUZZ_MESSAGES", "1000"))
"""For each server or reader; more before a release."""

NUMBERS = [
    "0", "-1", "1e999", "-1e999", "NaN", "Infinity", "-Infinity", "1.5", "1e308", "-0.0",
    "9223372036854775807", "9223372036854775808", "1" + "0" * 400, "true", "false", "null",
]  # fmt: skip
OTHERS = ['""', '"x"', '"\\ud800"', '"\\u001b[2J"', "[]", "{}", "[0]", '{"a": 1}', "[" * 400]
WHOLE = [b"", b"{", b"null", b"\xff\xfe", b"\x00", b"\x01", b"[" * 900, b'{"a":' * 180, b"\xed\xa0"]


def requests(seed: int, n: int) -> Iterator[list[bytes]]:
    """Yield messages of one part or more to the history."""
    rng = random.Random(seed)
    for _ in range(n):
        kind = rng.randrange(6)
        if kind == 0:
            yield [rng.choice(WHOLE)]
        elif kind == 1:
            yield [rng.randbytes(rng.randrange(300))]
        elif kind == 2:
            yield [b""] * rng.choice((1, 2, 50, 3000))
        elif kind == 3:
            value = rng.choice(NUMBERS + OTHERS)
            yield [f'{{"offset": {value}, "{rng.choice("abc")}": {value}}}'.encode()]
        elif kind == 4:
            yield [mutated(rng, b'{"offset": 0}')]
        else:
            yield [f'{{"offset": {rng.choice(NUMBERS + OTHERS)}}}'.encode()]


def mutated(rng: random.Random, data: bytes) -> bytes:
    """Return the bytes with some of them changed, cut out or repeated."""
    changed = bytearray(data)
    for _ in range(rng.randrange(1, 5)):
        place = rng.randrange(len(changed) + 1)
        kind = rng.randrange(4)
        if kind == 0 and place < len(changed):
            changed[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            changed[place : place + rng.randrange(9)] = b""
        elif kind == 2:
            changed[place:place] = changed[:8]
        elif place + 8 <= len(changed):
            extreme = rng.choice((b"\xff" * 8, b"\x00" * 8, b"\xff" * 7 + b"\x7f"))
            changed[place : place + 8] = extreme
    return bytes(changed)


def changed_json(rng: random.Random, data: object) -> bytes:
    """Return the JSON of plain data with one value, at any depth, of another kind."""
    text = json.dumps(data)
    if rng.random() < 0.3:
        return mutated(rng, text.encode())
    places = [k for k, c in enumerate(text) if c in ":[" or text[k - 1 : k + 1] == ", "]
    if not places:
        return rng.choice(WHOLE)
    place = rng.choice(places) + 1
    end = min((text.find(c, place) for c in ",}]" if text.find(c, place) >= 0), default=len(text))
    return (text[:place] + " " + rng.choice(NUMBERS + OTHERS) + text[end:]).encode()


def resident_mb() -> float:
    """Return the memory of this process; 0 where the system does not tell."""
    path = Path("/proc/self/statm")
    if not path.exists():
        return 0.0
    return int(path.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.fixture
def foreign() -> SimpleNamespace:
    """Return what makes such messages, and what measures their effect."""
    return SimpleNamespace(
        count=COUNT, requests=requests, mutated=mutated, changed_json=changed_json,
        resident_mb=resident_mb,
    )  # fmt: skip
