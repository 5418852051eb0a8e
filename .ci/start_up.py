"""How long the command line takes to answer, beside what it is made of: `python .ci/start_up.py`.

Run it with the Python in which rtsmlm is installed; exit code 1 if `rtsmlm --version` takes more
than three times `import typer, rich`.
"""

from __future__ import annotations

import subprocess
import sys
import time

LIMIT = 3.0
RUNS = 10


def seconds(*arguments: str) -> float:
    """Return the wall time of a Python process."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-P", *arguments], check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> int:
    """Print both times and their ratio; return the exit code."""
    parts, whole = [], []
    for _ in range(RUNS):  # in turn, so that a busy machine is as hard on both
        parts.append(seconds("-c", "import typer, rich"))
        whole.append(seconds("-m", "rtsmlm.cli", "--version"))
    # The fastest of each: what else the machine does only adds.
    ratio = min(whole) / min(parts)
    print(f"import typer, rich  {1e3 * min(parts):.0f} ms")
    print(f"rtsmlm --version    {1e3 * min(whole):.0f} ms, {ratio:.2f} times that; <= {LIMIT:g}")
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
