"""Read damaged files by the thousand: `python tests/fuzz/fuzz.py --mutants 10000 --seed 1`.

Each mutant is one file of one sample with drawn damage. A child process reads them, within a limit
of its memory; one that takes longer than ten seconds, or ends the child, is found by its silence.
What counts: rows, pixels or one clear sentence; never a traceback, a hang, a gigabyte, a value that
cannot be, or code of the file that runs.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import queue
import random
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

LONGEST_S = 10.0
MOST_RSS_MB = 1000
MOST_ADDRESSES_MB = 8000
"""Libraries reserve far more than they use."""
CHILD_LIFE = 2500
"""Mutants until a child is replaced, so that what a library keeps is not taken for a leak."""


def main() -> int:
    """Run a campaign, or the child of one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="names of samples that contain this")
    parser.add_argument("--first", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        read_mutants(asked.mutants, asked.seed, asked.first, asked.only)
        return 0
    started = time.monotonic()
    results = campaign(asked.mutants, asked.seed, asked.only)
    counts = Counter(result["outcome"] for result in results)
    findings = [result for result in results if result["outcome"] not in ("read", "refused")]
    summary = {
        "mutants": len(results),
        "seconds": round(time.monotonic() - started, 1),
        "rss_mb": max((result.get("rss_mb", 0) for result in results), default=0),
        "outcomes": dict(counts),
        "findings": findings,
    }
    sys.stdout.write(json.dumps(summary, indent=1) + "\n")
    return 1 if findings else 0


# -- the parent ----------------------------------------------------------------------------


def campaign(n_mutants: int, seed: int, only: str = "") -> list[dict[str, Any]]:
    """Return what became of every mutant."""
    results: list[dict[str, Any]] = []
    while len(results) < n_mutants:
        results += _one_child(n_mutants, seed, len(results), only)
    return results


def _one_child(n_mutants: int, seed: int, first: int, only: str) -> list[dict[str, Any]]:
    """Let a child read mutants until it has read enough, hangs, dies or takes too much memory."""
    last = min(n_mutants, first + CHILD_LIFE)
    command = [sys.executable, "-P", __file__, "--child", "--first", str(first)]
    command += ["--mutants", str(last), "--seed", str(seed), "--only", only]
    with tempfile.TemporaryDirectory() as folder:
        child = subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        lines: queue.Queue[str | None] = queue.Queue()
        errors: list[str] = []
        readers = [
            threading.Thread(target=_pass_on, args=(child.stdout, lines.put)),
            threading.Thread(target=_pass_on, args=(child.stderr, errors.append)),
        ]
        for reader in readers:
            reader.start()
        results: list[dict[str, Any]] = []
        current: dict[str, Any] = {}
        try:
            while True:
                # Until the first mutant it imports and writes its samples.
                line = lines.get(timeout=LONGEST_S if current else 120.0)
                if line is None:
                    break
                message = json.loads(line)
                if "outcome" in message:
                    results.append(current | message)
                    current = {}
                    if message["outcome"] == "memory":
                        break
                else:
                    current = message
        except queue.Empty:
            results.append(current | {"outcome": "hang"})
        finally:
            child.kill()
            child.wait()
            for reader in readers:
                reader.join()
            for pipe in (child.stdout, child.stderr):
                if pipe is not None:
                    pipe.close()
    if not results and not current:
        raise RuntimeError(f"the child reads nothing: {''.join(errors)[-2000:]}")
    if current and (not results or results[-1]["number"] != current["number"]):  # not answered
        results.append(current | {"outcome": "died", "text": "".join(errors)[-2000:]})
    return results


def _pass_on(pipe: Any, take: Any) -> None:
    for line in pipe:
        take(line)
    take(None) if take.__name__ == "put" else None


# -- the child -----------------------------------------------------------------------------


def read_mutants(last: int, seed: int, first: int, only: str) -> None:
    """Write a line before and after each mutant."""
    sys.path.insert(0, str(Path(__file__).parent))
    from mutations import mutant
    from samples import samples

    logging.disable(logging.CRITICAL)
    warnings.simplefilter("error")
    _limit_memory()
    folder = Path.cwd()
    every = [sample for sample in samples(folder) if only in sample.name]
    for sample in every:
        sample.read()  # whole, it is read; what libraries load is loaded
    for number in range(first, last):
        rng = random.Random(f"{seed}:{number}")
        sample = every[number % len(every)]
        file = rng.choice(sample.files)
        whole = file.read_bytes()
        _say({"number": number, "sample": sample.name, "file": file.name})
        file.write_bytes(mutant(whole, rng))
        result = _outcome(sample.read, folder)
        file.write_bytes(whole)
        _say(result)


def _outcome(read: Any, folder: Path) -> dict[str, Any]:
    from rtsmlm.errors import RtsmlmError

    started = time.monotonic()
    try:
        read()
        result = {"outcome": "read"}
    except RtsmlmError as error:
        text = str(error)
        is_clear = text.isprintable() and 15 < len(text) <= 2000
        result = {"outcome": "refused" if is_clear else "unclear", "text": text}
    except AssertionError:
        result = {"outcome": "impossible value", "text": traceback.format_exc()}
    except BaseException:  # this is what is looked for
        result = {"outcome": "traceback", "text": traceback.format_exc()}
    rss_mb = _rss_mb()
    if (folder / "ran").exists():
        (folder / "ran").unlink()
        result = {"outcome": "code ran"}
    elif rss_mb > MOST_RSS_MB:
        result = {"outcome": "memory", **{k: v for k, v in result.items() if k == "text"}}
    if result["outcome"] == "refused":
        del result["text"]
    return {**result, "s": round(time.monotonic() - started, 3), "rss_mb": rss_mb}


def _limit_memory() -> None:
    if os.name == "posix":
        import resource

        most = MOST_ADDRESSES_MB << 20
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _rss_mb() -> int:
    if os.name != "posix":
        return 0
    import resource

    return int(
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        / (2**20 if sys.platform == "darwin" else 1024)
    )


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
