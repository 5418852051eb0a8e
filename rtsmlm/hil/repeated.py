"""Drills again and again: one of them many times, for its figures, or all of them at random."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import median

from rtsmlm.drivers.simulated.file_laser import light_mw
from rtsmlm.hil.drills import DARK_DRILLS, Drill, run_drill
from rtsmlm.hil.result import DrillResult
from rtsmlm.hil.rig import HilRig
from rtsmlm.realtime.clock import now_ns

_STAYS_DARK_S = 1.5
_MOST_DELAY_S = 2.0


def repeat(drill: Drill, rig: HilRig, n: int) -> DrillResult:
    """Run one drill several times; the result has median and worst of the time to dark.

    Parameters
    ----------
    drill
        One of `DARK_DRILLS`; any other is run once.
    rig
        On what.
    n
        How often.
    """
    if n == 1 or drill not in DARK_DRILLS:
        return run_drill(drill, rig)
    results = []
    begin_ns = now_ns()
    for _ in range(n):
        results.append(run_drill(drill, rig))
        if results[-1].passed is None:  # it will not apply the next time, either
            return results[-1]
    seconds = (now_ns() - begin_ns) / 1e9
    return replace(summary(drill.name, results), seconds=seconds)


def summary(name: str, results: Sequence[DrillResult]) -> DrillResult:
    """Return several results of one drill as one."""
    dark_s = [float(r.details.get("dark_s", math.inf)) for r in results]
    limit_s = max(float(r.details.get("limit_s", 0.0)) for r in results)
    failed = [r.what for r in results if r.failed]
    found = (
        f"{len(results)} times: dark after {median(dark_s):.2f} s (median), "
        f"{max(dark_s):.2f} s (worst), limit {limit_s:g} s"
    )
    what = f"{len(failed)} of {found}; the first that failed: {failed[0]}" if failed else found
    details = {
        "dark_s": max(dark_s),
        "median_s": median(dark_s),
        "limit_s": limit_s,
        "all_dark_s": dark_s,
    }
    return DrillResult(name, not failed, what, details)


def soak(rig: HilRig, n: int, seed: int, names: Sequence[str] = ()) -> Iterator[DrillResult]:
    """Provoke faults at random, each at a random moment of a run of its own.

    After each no laser may shine; where the light is seen, it is watched for a while more.

    Parameters
    ----------
    rig
        On what.
    n
        How many faults.
    seed
        The same seed gives the same order.
    names
        Names of the drills to choose from; none means all that turn lasers dark.
    """
    rng = random.Random(seed)  # noqa: S311 - nothing here is secret
    choice = [drill for drill in DARK_DRILLS if not names or drill.name in names]
    for k in range(1, n + 1):
        drill = rng.choice(choice)
        rig.fault_delay_s = rng.uniform(0.0, _MOST_DELAY_S)
        result = run_drill(drill, rig)
        rig.pause(_STAYS_DARK_S)
        if lit := lit_lasers(rig):
            what = f"{', '.join(lit)} on {_STAYS_DARK_S:g} s after its end; {result.what}"
            result = replace(result, passed=False, what=what)
        yield replace(result, name=f"{k} {drill.name}")


def lit_lasers(rig: HilRig) -> list[str]:
    """Return the lasers whose light is seen."""
    files = {name: rig.known_traits(name).light_file for name in rig.settings.lasers}
    return [name for name, file in files.items() if file is not None and light_mw(file) > 0]
