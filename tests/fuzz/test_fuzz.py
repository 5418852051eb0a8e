"""Damaged files of every format end in rows, pixels or one sentence: a part of the campaign.

`RTSMLM_FUZZ=10000` reads more of them; `python tests/fuzz/fuzz.py --mutants 10000` shows the
counts.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MUTANTS = int(os.environ.get("RTSMLM_FUZZ", "500"))


@pytest.mark.timeout(60 + MUTANTS)
def test_no_damaged_file_ends_in_a_traceback_a_hang_a_gigabyte_or_a_value_that_cannot_be() -> None:
    command = [sys.executable, "-P", str(HERE / "fuzz.py"), "--mutants", str(MUTANTS)]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    summary = json.loads(done.stdout)
    assert summary["mutants"] == MUTANTS
    # Damage that nothing notices, or that makes everything unreadable, would test nothing.
    assert min(summary["outcomes"]["read"], summary["outcomes"]["refused"]) > MUTANTS / 10


def test_the_same_seed_damages_in_the_same_way() -> None:
    sys.path.insert(0, str(HERE))
    try:
        from mutations import mutant
    finally:
        sys.path.remove(str(HERE))
    data = bytes(range(256)) * 4 + b'"shape": [32, 32], "dtype": "<u2"'

    made = [[mutant(data, random.Random(f"{seed}:{k}")) for k in range(50)] for seed in (1, 1, 2)]

    assert made[0] == made[1] != made[2]
    assert sum(m != data for m in made[0]) > 45
