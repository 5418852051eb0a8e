"""Settings: the base of every section of a configuration."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

LONGEST_S = 30 * 86400.0
"""No run and no wait is longer; clocks of threads overflow beyond about 49 days on Windows."""


class Settings(BaseModel):
    """Base of all sections: frozen; an unknown key is an error, and so is NaN or an infinity.

    A comparison with NaN is always false, so a limit that is NaN would be no limit at all.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )
