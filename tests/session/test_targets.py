"""A target that no loop can hold never reaches the loop."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest

from rtsmlm.errors import ConfigError
from rtsmlm.session.session import Session


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.1, 1e9])
def test_the_target_before_stays_in_force(value: float) -> None:
    reached: list[float] = []
    session: Any = SimpleNamespace(_loop=SimpleNamespace(set_target=reached.append))

    with pytest.raises(ConfigError, match="from 0 to below 100"):
        Session.set_target(session, value)
    Session.set_target(session, 0.25)

    assert reached == [0.25]


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0, -1.0, 1.01])
def test_the_gain_before_stays_in_force(value: float) -> None:
    reached: list[float] = []
    session: Any = SimpleNamespace(_loop=SimpleNamespace(set_gain=reached.append))

    with pytest.raises(ConfigError, match="not above 0"):
        Session.set_gain(session, value)

    assert reached == []
