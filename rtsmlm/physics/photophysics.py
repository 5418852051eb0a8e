"""Blinking of many emitters, event by event, at a cost that grows with events, not emitters.

Waiting times are exponential and so have no memory: whatever has not happened by the end of a
frame is drawn afresh in the next, with the laser powers then in force, and the result is exact.
Emitters in the dark pool are thinned: each is a candidate with the probability of the brightest
place, found by geometric jumps, and kept with the ratio of its own probability to that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.physics.dyes import LASERS_NM, ON, POOL, Dye
from rtsmlm.physics.sampling import State, exponential, new_state, uniform

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Chain = tuple[I64, F64, F64]
Frame = tuple[float, float]

# Places in the counters that the compiled code keeps.
_N_POOL, _N_ACTIVE, _N_LIT, _ACTIVATIONS, _BLEACHED = range(5)


@dataclass(frozen=True, slots=True)
class LitEmitters:
    """Emitters that shone during an exposure."""

    emitter: I64
    """Number of the emitter, shape (n,)."""
    on_s: F64
    """Time that each spent on within the exposure."""
    photons: F64
    """Expected detected photons."""


class Emitters:
    """The state of all emitters of a sample.

    Parameters
    ----------
    dye
        What all of them are.
    n_emitters
        How many.
    seed
        Origin of the random stream.
    all_on
        Start with every emitter on, as before the switch-off phase of dSTORM; otherwise all
        are in the dark pool.
    """

    def __init__(
        self, dye: Dye, n_emitters: int, seed: np.random.SeedSequence, *, all_on: bool = False
    ) -> None:
        self.dye = dye
        self._chain = dye.tables()
        self._brightness = dye.brightness()
        self._stream = new_state(seed)
        self._profile = np.ones((n_emitters, len(LASERS_NM)))
        self._pool = np.arange(n_emitters, dtype=np.int64)
        self._active = np.arange(n_emitters, dtype=np.int64)
        self._state = np.full(n_emitters, ON if all_on else POOL, dtype=np.int64)
        self._lit = np.zeros(n_emitters, dtype=np.int64)
        self._on_s = np.zeros(n_emitters)
        self._counts = np.zeros(5, dtype=np.int64)
        self._counts[_N_ACTIVE if all_on else _N_POOL] = n_emitters

    @property
    def n_dark(self) -> int:
        """Emitters in the dark pool."""
        return int(self._counts[_N_POOL])

    @property
    def n_active(self) -> int:
        """Emitters on or in a dark state from which they come back by themselves."""
        return int(self._counts[_N_ACTIVE])

    @property
    def n_on(self) -> int:
        """Emitters in the ON state at this moment."""
        active = self._active[: self._counts[_N_ACTIVE]]
        return int(np.count_nonzero(self._state[active] == ON))

    @property
    def n_bleached(self) -> int:
        """Emitters bleached so far."""
        return int(self._counts[_BLEACHED])

    @property
    def n_activations(self) -> int:
        """How often an emitter has left the dark pool so far."""
        return int(self._counts[_ACTIVATIONS])

    def illuminate(self, profile: F64) -> None:
        """State how much of each beam reaches each emitter.

        Parameters
        ----------
        profile
            Irradiance relative to the beam centre, at most 1, shape (n, number of lasers).
        """
        self._profile = np.ascontiguousarray(profile, dtype=np.float64)

    def advance(self, period_s: float, exposure_s: float, irradiance_w_cm2: F64) -> LitEmitters:
        """Let one frame pass.

        Parameters
        ----------
        period_s
            From frame to frame.
        exposure_s
            Its first part, in which light is collected.
        irradiance_w_cm2
            Of each laser in the centre of its beam, shape (number of lasers,).

        Returns
        -------
        :
            Emitters that were on during the exposure.
        """
        _advance(
            self._chain,
            self.dye.bleached,
            (float(period_s), float(exposure_s)),
            irradiance_w_cm2,
            self._profile,
            self._pool,
            self._active,
            self._state,
            self._lit,
            self._on_s,
            self._counts,
            self._stream,
        )
        n_lit = self._counts[_N_LIT]
        emitter = self._lit[:n_lit].copy()
        on_s = self._on_s[:n_lit].copy()
        photons = on_s * (self._profile[emitter] @ (self._brightness * irradiance_w_cm2))
        return LitEmitters(emitter, on_s, photons)


@njit(cache=True, nogil=True)
def _rate(chain: Chain, edge: int, irradiance: F64, profile: F64) -> float:
    thermal, by_laser = chain[1], chain[2]
    rate = thermal[edge]
    for laser in range(len(irradiance)):
        rate += by_laser[edge, laser] * irradiance[laser] * profile[laser]
    return float(rate)


@njit(cache=True, nogil=True)
def _total_rate(chain: Chain, state: int, irradiance: F64, profile: F64) -> float:
    edges = chain[0]
    total = 0.0
    for edge in range(len(edges)):
        if edges[edge, 0] == state:
            total += _rate(chain, edge, irradiance, profile)
    return total


@njit(cache=True, nogil=True)
def _next_state(
    chain: Chain, state: int, total: float, irradiance: F64, profile: F64, stream: State
) -> int:
    """Draw where an emitter goes that leaves `state`, whose rates add up to `total`."""
    edges = chain[0]
    left = uniform(stream) * total
    end = state
    for edge in range(len(edges)):
        if edges[edge, 0] == state:
            rate = _rate(chain, edge, irradiance, profile)
            if rate > 0.0:
                end = edges[edge, 1]
                left -= rate
                if left <= 0.0:
                    break
    return int(end)


@njit(cache=True, nogil=True)
def _follow(
    chain: Chain,
    state: int,
    start_s: float,
    frame: Frame,
    irradiance: F64,
    profile: F64,
    counts: I64,
    stream: State,
) -> tuple[int, float]:
    """Follow one emitter to the end of the frame; return its state and its time on."""
    period_s, exposure_s = frame
    now_s, on_s = start_s, 0.0
    while True:
        total = _total_rate(chain, state, irradiance, profile)
        then_s = now_s + exponential(stream) / total if total > 0.0 else math.inf
        if state == ON:
            on_s += max(min(then_s, exposure_s) - now_s, 0.0)
        if then_s >= period_s:
            return state, on_s
        if state == POOL:
            counts[_ACTIVATIONS] += 1
        now_s = then_s
        state = _next_state(chain, state, total, irradiance, profile, stream)


@njit(cache=True, nogil=True)
def _wake(
    chain: Chain,
    period_s: float,
    irradiance: F64,
    profile: F64,
    pool: I64,
    woken: I64,
    woken_at_s: F64,
    counts: I64,
    stream: State,
) -> int:
    """Take the emitters that leave the dark pool in this frame out of it; return how many."""
    top_rate = _total_rate(chain, POOL, irradiance, np.ones(len(irradiance)))
    if top_rate <= 0.0:
        return 0
    top_probability = -math.expm1(-top_rate * period_s)
    n_woken = 0
    place = counts[_N_POOL]
    # Downwards, so that filling a gap from the end never moves an emitter not yet visited.
    while True:
        jump = math.ceil(exponential(stream) / (top_rate * period_s))
        if jump > place:
            return n_woken
        place -= max(int(jump), 1)
        emitter = pool[place]
        rate = _total_rate(chain, POOL, irradiance, profile[emitter])
        probability = -math.expm1(-rate * period_s)
        if uniform(stream) * top_probability <= probability:
            woken[n_woken] = emitter
            woken_at_s[n_woken] = -math.log1p(-uniform(stream) * probability) / rate
            n_woken += 1
            counts[_N_POOL] -= 1
            pool[place] = pool[counts[_N_POOL]]


@njit(cache=True, nogil=True)
def _start_woken(
    chain: Chain,
    woken: I64,
    irradiance: F64,
    profile: F64,
    states: I64,
    counts: I64,
    stream: State,
) -> None:
    for emitter in woken:
        total = _total_rate(chain, POOL, irradiance, profile[emitter])
        states[emitter] = _next_state(chain, POOL, total, irradiance, profile[emitter], stream)
        counts[_ACTIVATIONS] += 1


@njit(cache=True, nogil=True)
def _advance(
    chain: Chain,
    bleached: int,
    frame: Frame,
    irradiance: F64,
    profile: F64,
    pool: I64,
    active: I64,
    states: I64,
    lit: I64,
    on_s: F64,
    counts: I64,
    stream: State,
) -> None:
    n_before = counts[_N_ACTIVE]
    n_woken = _wake(chain, frame[0], irradiance, profile, pool, lit, on_s, counts, stream)
    woken, woken_at_s = lit[:n_woken].copy(), on_s[:n_woken].copy()
    _start_woken(chain, woken, irradiance, profile, states, counts, stream)
    n_active, n_lit = 0, 0
    for k in range(n_before + n_woken):
        fresh = k >= n_before
        emitter = woken[k - n_before] if fresh else active[k]
        start_s = woken_at_s[k - n_before] if fresh else 0.0
        state, time_on_s = _follow(
            chain, states[emitter], start_s, frame, irradiance, profile[emitter], counts, stream
        )
        states[emitter] = state
        if time_on_s > 0.0:
            lit[n_lit], on_s[n_lit] = emitter, time_on_s
            n_lit += 1
        if state == POOL:
            pool[counts[_N_POOL]] = emitter
            counts[_N_POOL] += 1
        elif state == bleached:
            counts[_BLEACHED] += 1
        else:
            active[n_active] = emitter
            n_active += 1
    counts[_N_ACTIVE], counts[_N_LIT] = n_active, n_lit
