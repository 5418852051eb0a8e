"""What a run was asked for, beside what was measured."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from rtsmlm.errors import number_text
from rtsmlm.files.run.charts import figure
from rtsmlm.offline.report.gathered import Gathered
from rtsmlm.offline.report.summary import TableSummary

Outcome: TypeAlias = Literal["met", "missed", ""]
"""Empty where there is nothing to judge."""

_NEAR = 0.25
"""A density within this part of its target is held: the estimate itself scatters."""
_RATE_NEAR = 0.05


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing that was asked, and what came of it; plain text."""

    what: str
    asked: str
    measured: str
    outcome: Outcome = ""


def asked_of(
    run: Gathered, ledger: Mapping[str, object], table: TableSummary, validity: Mapping[str, object]
) -> list[Asked]:
    """Return what was asked of a run; what neither was asked nor measured is left out."""
    return [
        *_frames(run, ledger),
        *_density(run),
        *_stops(run, table),
        *_lasers(run),
        *_psf(run, ledger, validity),
    ]


def _count(ledger: Mapping[str, object], name: str) -> int:
    value = ledger.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _frames(run: Gathered, ledger: Mapping[str, object]) -> Iterator[Asked]:
    received = _count(ledger, "received")
    wanted = run.number("acquisition", "frames")
    if math.isfinite(wanted):
        outcome: Outcome = "met" if received >= wanted else "missed"
        yield Asked("frames", figure(int(wanted)), figure(received), outcome)
    if not received:
        return
    localized, lost = _count(ledger, "localized"), _count(ledger, "lost")
    yield Asked(
        "frames localized", "all", figure(localized), "met" if localized >= received else "missed"
    )
    yield Asked("frames lost", "none", figure(lost), "missed" if lost else "met")
    if run.part("record").get("raw"):
        recorded = _count(ledger, "recorded")
        outcome = "met" if recorded >= received else "missed"
        yield Asked("raw frames recorded", "all", figure(recorded), outcome)
    noted = ledger.get("localizers")
    last = noted[-1] if isinstance(noted, list) and noted else {}
    rate = last.get("camera_frames_per_s") if isinstance(last, Mapping) else None
    exposure_ms = run.number("acquisition", "exposure_ms")
    if isinstance(rate, int | float) and rate > 0 and exposure_ms > 0:
        wanted_rate = 1000 / exposure_ms
        met = rate >= wanted_rate * (1 - _RATE_NEAR)
        yield Asked(
            "frames per second",
            f"{number_text(wanted_rate, 4)} by the exposure",
            number_text(rate, 4),
            "met" if met else "missed",
        )


def _density(run: Gathered) -> Iterator[Asked]:
    estimate, target = np.array(run.lasers.estimate), np.array(run.lasers.target)
    if not len(estimate):
        return
    late = slice(len(estimate) // 2, None)  # the loop needs a while to get there
    measured = float(np.median(estimate[late]))
    wanted = target[late][np.isfinite(target[late])]
    if not len(wanted):
        yield Asked("emitters per frame and µm²", "–", number_text(measured))
        return
    aim = float(np.median(wanted))
    is_steered = bool(run.part("feedback").get("arm"))
    outcome: Outcome = ""
    if is_steered:
        outcome = "met" if abs(measured - aim) <= _NEAR * aim else "missed"
    text = f"{number_text(measured)} (median of the second half)"
    yield Asked("emitters per frame and µm²", number_text(aim), text, outcome)


def _stops(run: Gathered, table: TableSummary) -> Iterator[Asked]:
    wanted_nm = run.number("feedback", "stop", "resolution_nm")
    if math.isfinite(table.resolution_nm) or math.isfinite(wanted_nm):
        is_known = math.isfinite(table.resolution_nm)
        measured = f"{table.resolution_nm:.0f} nm" if is_known else "not converged"
        outcome: Outcome = ""
        if math.isfinite(wanted_nm):
            outcome = "met" if is_known and table.resolution_nm <= wanted_nm else "missed"
        asked = f"{wanted_nm:.0f} nm" if math.isfinite(wanted_nm) else "–"
        yield Asked("resolution (FRC)", asked, measured, outcome)
    wanted = run.number("feedback", "stop", "localizations")
    if math.isfinite(wanted):
        met = table.n_rows >= wanted
        yield Asked(
            "localizations", figure(int(wanted)), figure(table.n_rows), "met" if met else "missed"
        )


def _lasers(run: Gathered) -> Iterator[Asked]:
    for name, trace in run.lasers.traces.items():
        cap = run.number("lasers", name, "max_power")
        most = max(trace.power)
        asked = f"at most {cap:g} {trace.unit}" if math.isfinite(cap) else "–"
        outcome: Outcome = ""
        if math.isfinite(cap):
            outcome = "met" if most <= cap * 1.001 else "missed"
        yield Asked(
            f"power of {name}", asked, f"at most {number_text(most, 4)} {trace.unit}", outcome
        )


def _psf(
    run: Gathered, ledger: Mapping[str, object], validity: Mapping[str, object]
) -> Iterator[Asked]:
    sigma_nm, ratio = run.number("psf", "sigma_nm"), validity.get("width_ratio")
    noted = ledger.get("localizers")
    if isinstance(noted, list) and noted and isinstance(noted[-1], Mapping):
        used = noted[-1].get("psf_sigma_nm")
        sigma_nm = float(used) if isinstance(used, int | float) else sigma_nm
    if not (isinstance(ratio, int | float) and math.isfinite(sigma_nm)):
        return
    text = f"{sigma_nm * ratio:.0f} nm in the data"
    good = validity.get("verdict") == "model ok"
    yield Asked("PSF width", f"{sigma_nm:.0f} nm in force", text, "met" if good else "")
