"""Serves a peer's localizer to another process: jobs in, tables out. Stands alone.

`rtsmlm.bench.peers.peers` copies this file and one of the `peer_*.py` into an empty folder and runs
it there with the interpreter in which the peer is installed; nothing of rtsmlm is imported, as it
is not installed in there. Standard output carries one JSON line for each one of standard input.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from typing import IO, TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # at run time nothing of rtsmlm is there
    from rtsmlm.bench.peers.peers import PeerAnswer, PeerJob

REPEATS = 3


def serve(module: str) -> None:
    """Answer jobs until standard input ends.

    Parameters
    ----------
    module
        Name of a module with `version() -> str`,
        `localize(movie, settings) -> list of (name, columns)`, and where speed is asked for
        `fits(movie, settings) -> list of (name, function that returns a number of rows)`.
    """
    # Whatever the peer prints must not get between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    peer = importlib.import_module(module)
    _answer(answers, {"version": peer.version()})
    for line in sys.stdin:
        job = json.loads(line)
        try:
            answer = _time(peer, job) if job["kind"] == "speed" else _localize(peer, job)
        except Exception as error:  # whatever a foreign program does: it is for the other side
            _answer(answers, {"error": f"{type(error).__name__}: {error}"})
        else:
            _answer(answers, answer)


def _localize(peer: Any, job: PeerJob) -> PeerAnswer:
    tables = peer.localize(_movie(job), job["settings"])
    arrays: Any = {"names": np.array([name for name, _ in tables])}
    for number, (_, columns) in enumerate(tables):
        for name, values in columns.items():
            arrays[f"{number}.{name}"] = np.asarray(values, dtype=np.float64)
    np.savez(job["out"], **arrays)
    return {"done": job["out"]}


def _time(peer: Any, job: PeerJob) -> PeerAnswer:
    """Return the fastest call of all ways to fit; the first call of each does not count."""
    best: PeerAnswer = {"seconds": float("inf")}
    for how, fit in peer.fits(_movie(job), job["settings"]):
        fit()
        for _ in range(REPEATS):
            start = time.perf_counter()
            n_localizations = fit()
            seconds = time.perf_counter() - start
            if seconds < best["seconds"]:
                best = {"seconds": seconds, "n_localizations": n_localizations, "how": how}
    return best


def _movie(job: PeerJob) -> dict[str, Any]:
    with np.load(job["movie"], allow_pickle=False) as file:
        return dict(file)


def _answer(answers: IO[str], message: PeerAnswer) -> None:
    answers.write(json.dumps(message) + "\n")
    answers.flush()


if __name__ == "__main__":
    serve(sys.argv[1])
