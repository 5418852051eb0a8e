"""Which rows are one emitter: rows of successive frames that lie at one place, one to one."""

from __future__ import annotations

import math
from typing import NamedTuple, TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

F32: TypeAlias = NDArray[np.float32]
F64: TypeAlias = NDArray[np.float64]
I64: TypeAlias = NDArray[np.int64]

MOST_NM = 60.0
"""Rows further apart than this are two emitters, however uncertain they are."""
_FLAT, _DEEP = 13.8, 16.3
"""Squared distance in standard deviations that one in a thousand pairs of one emitter exceeds, in
two and in three dimensions."""
ASSUMED_STD_NM = 15.0
"""Of rows that state none."""
_SLOTS = 1 << 16
MOST_TRACKS = 1 << 16


class Tracks(NamedTuple):
    """Emitters that are on or may come back, the first n[0] of each array."""

    n: I64
    x: F64
    y: F64
    z: F64
    weight: F64
    """Inverse variances in x, y and z, (tracks, 3)."""
    first: I64
    last: I64
    channel: I64
    number: I64
    """By which rows and tracks are known to each other; counted from 0."""
    next_number: I64
    head: I64
    """First track of a slot of the hash, -1 for none."""
    follows: I64


def no_tracks() -> Tracks:
    """Return room for tracks, with none there."""
    x, y, z = np.zeros((3, MOST_TRACKS))
    first, last, channel, number, follows = np.zeros((5, MOST_TRACKS), np.int64)
    head = np.full(_SLOTS, -1)
    one, other = np.zeros((2, 1), np.int64)
    weight = np.zeros((MOST_TRACKS, 3))
    return Tracks(one, x, y, z, weight, first, last, channel, number, other, head, follows)


@njit(cache=True, nogil=True, error_model="numpy")
def _slot(x: float, y: float, dx: int, dy: int) -> int:
    column = np.int64(math.floor(x / MOST_NM)) + dx
    row = np.int64(math.floor(y / MOST_NM)) + dy
    return int((column * 73856093 ^ row * 19349663) & (_SLOTS - 1))


@njit(cache=True, nogil=True, error_model="numpy")
def _expire(tracks: Tracks, frame: int, gap: int, longest: int, ended: I64, n_ended: int) -> int:
    """Drop the tracks that have ended, note their numbers, and put the others into the hash."""
    kept = 0
    tracks.head[:] = -1
    for i in range(tracks.n[0]):
        over = frame - tracks.last[i] > gap + 1 or frame - tracks.first[i] >= longest
        if over:
            ended[n_ended] = tracks.number[i]
            n_ended += 1
            continue
        if kept != i:
            tracks.x[kept], tracks.y[kept], tracks.z[kept] = tracks.x[i], tracks.y[i], tracks.z[i]
            for k in range(3):
                tracks.weight[kept, k] = tracks.weight[i, k]
            tracks.first[kept], tracks.last[kept] = tracks.first[i], tracks.last[i]
            tracks.channel[kept], tracks.number[kept] = tracks.channel[i], tracks.number[i]
        slot = _slot(tracks.x[kept], tracks.y[kept], 0, 0)
        tracks.follows[kept], tracks.head[slot] = tracks.head[slot], kept
        kept += 1
    tracks.n[0] = kept
    return n_ended


@njit(cache=True, nogil=True, error_model="numpy")
def _variance(std: float) -> float:
    return std * std if std > 0 else ASSUMED_STD_NM**2


@njit(cache=True, nogil=True, error_model="numpy")
def _distance(tracks: Tracks, i: int, place: F64, std: F64) -> float:
    """Return the squared distance over what is allowed; above 1 they are two emitters."""
    dx, dy = place[0] - tracks.x[i], place[1] - tracks.y[i]
    if dx * dx + dy * dy > MOST_NM**2:
        return 2.0
    square = dx * dx / (_variance(std[0]) + 1 / tracks.weight[i, 0])
    square += dy * dy / (_variance(std[1]) + 1 / tracks.weight[i, 1])
    if not (std[2] > 0 and tracks.weight[i, 2] > 0):
        return float(square / _FLAT)
    dz = place[2] - tracks.z[i]
    square += dz * dz / (std[2] * std[2] + 1 / tracks.weight[i, 2])
    return float(square / _DEEP)


@njit(cache=True, nogil=True, error_model="numpy")
def _join(tracks: Tracks, i: int, place: F64, std: F64) -> None:
    for k, axis in enumerate((tracks.x, tracks.y, tracks.z)):
        weight = (1 / (std[k] * std[k]) if std[k] > 0 else 0.0) if k == 2 else 1 / _variance(std[k])
        total = tracks.weight[i, k] + weight
        if total > 0:
            axis[i] += (place[k] - axis[i]) * weight / total
        tracks.weight[i, k] = total


@njit(cache=True, nogil=True, error_model="numpy")
def _begin(tracks: Tracks, place: F64, std: F64, frame: int, channel: int) -> int:
    """Begin a track, and return its number; where there is no room it ends at once."""
    number = int(tracks.next_number[0])
    tracks.next_number[0] += 1
    i = tracks.n[0]
    if i == MOST_TRACKS:
        return number
    tracks.n[0] += 1
    tracks.weight[i] = 0.0
    tracks.x[i], tracks.y[i], tracks.z[i] = place[0], place[1], place[2]
    _join(tracks, i, place, std)
    tracks.first[i] = tracks.last[i] = frame
    tracks.channel[i], tracks.number[i] = channel, number
    return number


@njit(cache=True, nogil=True, error_model="numpy")
def _pairs(
    tracks: Tracks, places: F64, stds: F64, channel: I64, start: int, stop: int
) -> tuple[F64, I64, I64]:
    """Return distance, row and track of all pairs of a frame that may be one emitter."""
    room = 16
    distance, row, track = np.empty(room), np.empty(room, np.int64), np.empty(room, np.int64)
    n = 0
    for k in range(start, stop):
        for dy in range(-1, 2):
            for dx in range(-1, 2):
                i = tracks.head[_slot(places[k, 0], places[k, 1], dx, dy)]
                while i >= 0:
                    far = _distance(tracks, i, places[k], stds[k])
                    if far <= 1 and tracks.channel[i] == channel[k]:
                        if n == room:
                            room *= 2
                            distance = np.append(distance, np.empty(n))
                            row = np.append(row, np.empty(n, np.int64))
                            track = np.append(track, np.empty(n, np.int64))
                        distance[n], row[n], track[n] = far, k, i
                        n += 1
                    i = tracks.follows[i]
    return distance[:n], row[:n], track[:n]


@njit(cache=True, nogil=True, error_model="numpy")
def assign(
    tracks: Tracks, frame: I64, places: F64, stds: F64, channel: I64, gap: int, longest: int
) -> tuple[I64, I64]:
    """Give rows the number of their track.

    Parameters
    ----------
    tracks
        Those of the rows before; changed.
    frame
        Ascending, (n,).
    places, stds
        In nm, (n, 3), finite; a deviation that is not above 0 is not known.
    channel
        Rows of different channels are different emitters, (n,).
    gap
        So many frames in a row an emitter may be missed.
    longest
        After so many frames a track ends, so that a bead does not fill the memory.

    Returns
    -------
    :
        Numbers of the tracks of the rows, (n,), and numbers of tracks that have ended.
    """
    number = np.empty(len(frame), np.int64)
    ended = np.empty(tracks.n[0] + len(frame), np.int64)
    n_ended, start = 0, 0
    while start < len(frame):
        stop = start
        while stop < len(frame) and frame[stop] == frame[start]:
            number[stop] = -1
            stop += 1
        n_ended = _expire(tracks, frame[start], gap, longest, ended, n_ended)
        distance, row, track = _pairs(tracks, places, stds, channel, start, stop)
        for p in np.argsort(distance):
            k, i = row[p], track[p]
            if number[k] >= 0 or tracks.last[i] == frame[start]:
                continue
            number[k], tracks.last[i] = tracks.number[i], frame[start]
            _join(tracks, i, places[k], stds[k])
        for k in range(start, stop):
            if number[k] < 0:
                number[k] = _begin(tracks, places[k], stds[k], frame[start], channel[k])
                if tracks.n[0] == MOST_TRACKS and tracks.number[MOST_TRACKS - 1] != number[k]:
                    ended[n_ended] = number[k]
                    n_ended += 1
        start = stop
    return number, ended[:n_ended]
