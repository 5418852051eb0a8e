"""Dyes as continuous-time Markov chains whose rates follow the lasers.

Every rate is k = k_thermal + sum over lasers of c * irradiance, with c = yield times excitation
rate per W/cm². State 0 is the dark pool, state 1 emits, the last state is bleached; others are
dark states from which an emitter comes back by itself.

AF647 and mEos3.2: yields and rates of the SMIS fluorophore library (Bourgeois, Commun. Biol. 6,
53 (2023), doi 10.1038/s42003-023-04432-x). DNA-PAINT: the defaults of Picasso (Schnitzbauer et
al., Nat. Protoc. 12, 1198 (2017)).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

DyeName = Literal["AF647", "mEos3.2", "DNA-PAINT"]
LASERS_NM = (405, 561, 640)
"""Wavelengths that the dyes know, in the order of the irradiance columns."""

POOL, ON = 0, 1


def excitation_rate(extinction_per_m_cm: float, wavelength_nm: float) -> float:
    """Return absorbed photons per second per W/cm², from the molar extinction.

    Cross-section 1000 ln10 extinction / Avogadro in cm², times the photon flux of 1 W/cm².
    """
    cross_section_cm2 = 3.8235e-21 * extinction_per_m_cm
    photons_per_joule = wavelength_nm * 1e-9 / (6.62607e-34 * 2.99792e8)
    return cross_section_cm2 * photons_per_joule


@dataclass(frozen=True, slots=True)
class Transition:
    """One way out of a state."""

    start: int
    end: int
    thermal_per_s: float = 0.0
    by_laser: Mapping[int, float] = field(default_factory=dict)
    """Rate per second and W/cm², by wavelength in nm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dye:
    """States, transitions and brightness of a dye."""

    name: str
    n_states: int
    transitions: tuple[Transition, ...]
    detected_per_s: Mapping[int, float]
    """Detected photons per second in the ON state per W/cm², by wavelength in nm."""
    reversible: bool
    """True where emitters return to the dark pool."""

    @property
    def bleached(self) -> int:
        """Number of the state without a way out."""
        return self.n_states - 1

    def tables(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Return the transitions for compiled code.

        Returns
        -------
        edges
            Start and end state, shape (k, 2), sorted by start.
        thermal_per_s
            Shape (k,).
        by_laser
            Rate per second and W/cm², shape (k, number of lasers).
        """
        rows = sorted(self.transitions, key=lambda t: t.start)
        edges = np.array([[t.start, t.end] for t in rows], dtype=np.int64)
        thermal = np.array([t.thermal_per_s for t in rows], dtype=np.float64)
        by_laser = np.array([[t.by_laser.get(nm, 0.0) for nm in LASERS_NM] for t in rows])
        return edges, thermal, by_laser.astype(np.float64)

    def brightness(self) -> NDArray[np.float64]:
        """Return detected photons per second and W/cm², by laser, shape (number of lasers,)."""
        return np.array([self.detected_per_s.get(nm, 0.0) for nm in LASERS_NM])

    def rate(self, start: int, end: int, irradiance_w_cm2: Mapping[int, float]) -> float:
        """Return the total rate per second from one state to another."""
        return sum(
            t.thermal_per_s + sum(c * irradiance_w_cm2.get(nm, 0.0) for nm, c in t.by_laser.items())
            for t in self.transitions
            if (t.start, t.end) == (start, end)
        )


def _scaled(rates: Mapping[int, float], factor: float) -> dict[int, float]:
    return {nm: factor * rate for nm, rate in rates.items()}


def af647(detection: float = 0.1) -> Dye:
    """Return Alexa Fluor 647 in a thiol buffer: on, short dark, radical anion (the pool).

    Parameters
    ----------
    detection
        Detected photons per emitted photon.
    """
    short_dark = 2
    excited = {561: excitation_rate(270e3 * 0.081, 561), 640: excitation_rate(270e3 * 0.843, 640)}
    # The short dark state absorbs 7.9e-4 of its 91 000 per M per cm at 647 nm.
    dark_excited = {640: excitation_rate(91e3 * 7.9e-4, 640)}
    return Dye(
        name="AF647",
        n_states=4,
        transitions=(
            Transition(POOL, ON, 2.5e-3, {405: 0.1 * excitation_rate(400, 405)}),
            Transition(ON, short_dark, 0.0, _scaled(excited, 7e-5)),
            Transition(ON, POOL, 0.0, _scaled(excited, 1e-7)),
            Transition(ON, 3, 0.0, _scaled(excited, 8e-7)),
            Transition(short_dark, ON, 500.0),
            Transition(short_dark, POOL, 50.0),
            Transition(short_dark, 3, 0.0, _scaled(dark_excited, 7e-5)),
        ),
        detected_per_s=_scaled(excited, 0.33 * detection),
        reversible=True,
    )


def meos32(detection: float = 0.05) -> Dye:
    """Return mEos3.2: green (the pool, never refilled), red, short dark, long dark.

    Green absorption at 405 nm is that of its neutral form, 8.2 % at pH 7.5. Red absorption at
    561 nm is taken as 0.85 of its maximum.
    """
    short_dark, long_dark, bleached = 2, 3, 4
    excited = {561: excitation_rate(32.2e3 * 0.85, 561)}
    green_405 = excitation_rate(18e3, 405) * 0.082
    dark_405 = excitation_rate(10e3 * 0.3, 405)
    return Dye(
        name="mEos3.2",
        n_states=5,
        transitions=(
            Transition(POOL, ON, 0.0, {405: 1e-4 * green_405}),
            Transition(ON, short_dark, 0.0, _scaled(excited, 1.5e-5)),
            Transition(ON, long_dark, 0.0, _scaled(excited, 4.5e-5)),
            Transition(ON, bleached, 0.0, _scaled(excited, 3e-5)),
            Transition(short_dark, ON, 20.0, {405: 1e-4 * dark_405}),
            Transition(long_dark, ON, 1e-3, {405: 2e-2 * dark_405}),
        ),
        detected_per_s=_scaled(excited, 0.55 * detection),
        reversible=False,
    )


def dna_paint(imager_nm: float = 0.5) -> Dye:
    """Return docking sites for an imager strand: free (the pool) and bound. Unaffected by 405 nm.

    Parameters
    ----------
    imager_nm
        Imager concentration in nM; binding is 3.7e7 per M per s, bound for 280 ms.
    """
    # 53 detected photons per ms at 0.175 kW/cm².
    brightness = 53e3 / 175.0
    photon_budget = 1.5e6
    return Dye(
        name="DNA-PAINT",
        n_states=3,
        transitions=(
            Transition(POOL, ON, 3.7e7 * imager_nm * 1e-9),
            Transition(ON, POOL, 1.0 / 0.28, {640: brightness / photon_budget}),
        ),
        detected_per_s={640: brightness},
        reversible=True,
    )


def make_dye(name: DyeName, imager_nm: float = 0.5) -> Dye:
    """Return a dye by name; the imager concentration matters for DNA-PAINT only."""
    if name == "DNA-PAINT":
        return dna_paint(imager_nm)
    return af647() if name == "AF647" else meos32()
