"""Rehearsals of laws, which several files of tests look at."""

from __future__ import annotations

import pytest

from rtsmlm.bench.control.comparison import LawTable, compare_laws
from rtsmlm.bench.control.scenarios import LAWS


@pytest.fixture(scope="session")
def our_law() -> LawTable:
    """Our law in all scenarios, on five seeds."""
    return compare_laws(range(5), {"rtsmlm": LAWS["rtsmlm"]})


@pytest.fixture(scope="session")
def all_laws(our_law: LawTable) -> LawTable:
    """Our law and those of the peers, on the first two seeds."""
    others = {name: make for name, make in LAWS.items() if name != "rtsmlm"}
    peers = compare_laws(our_law.seeds[:2], others)
    ours = our_law.figures["rtsmlm"][: len(peers.seeds)]
    return LawTable(peers.seeds, {"rtsmlm": ours, **peers.figures})
