"""Serves a peer's localizer to another process: jobs in, tables out. Stands alone.

`rtsmlm.analysis.peers` copies this file and one of the `peer_*.py` into an empty folder and runs
it there with the interpreter in which the peer is installed; nothing of rtsmlm is imported, as it
is not installed in there. Standard output carries one JSON line for each one of standard input.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any

import numpy as np


def serve(module: str) -> None:
    """Answer jobs until standard input ends.

    Parameters
    ----------
    module
        Name of a module with `version() -> str` and
        `localize(movie, settings) -> list of (name, columns)`.
    """
    # Whatever the peer prints must not get between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    peer = importlib.import_module(module)
    _answer(answers, {"version": peer.version()})
    for line in sys.stdin:
        job = json.loads(line)
        try:
            _run(peer, job)
        except Exception as error:  # whatever a foreign program does: it is for the other side
            _answer(answers, {"error": f"{type(error).__name__}: {error}"})
        else:
            _answer(answers, {"done": job["out"]})


def _run(peer: Any, job: dict[str, Any]) -> None:
    with np.load(job["movie"], allow_pickle=False) as movie:
        tables = peer.localize(dict(movie), job["settings"])
    arrays: dict[str, Any] = {"names": np.array([name for name, _ in tables])}
    for number, (_, columns) in enumerate(tables):
        for name, values in columns.items():
            arrays[f"{number}.{name}"] = np.asarray(values, dtype=np.float64)
    np.savez(job["out"], **arrays)


def _answer(answers: Any, message: dict[str, str]) -> None:
    answers.write(json.dumps(message) + "\n")
    answers.flush()


if __name__ == "__main__":
    serve(sys.argv[1])
