"""Settings of the experiment: which sample, by whom, and what is to be remembered of it."""

from __future__ import annotations

import re

from pydantic import Field, field_validator

from rtsmlm.errors import printable
from rtsmlm.settings.base import Settings

_LONGEST_LABEL = 40
"""Characters of a sample in the name of a folder, beside date and time."""


class ExperimentSettings(Settings):
    """What no device knows of a run; kept in run.toml, in the tables, and in the report."""

    sample: str = Field(default="", max_length=200)
    """Name of the sample; part of the name of the run folder, where that is not given."""
    operator: str = Field(default="", max_length=200)
    """Who does the experiment."""
    notes: str = Field(default="", max_length=4000)
    """Anything else: buffer, label, passage, lines of text."""

    @field_validator("sample", "operator")
    @classmethod
    def _one_line(cls, text: str) -> str:
        return printable(" ".join(text.split()))

    @field_validator("notes")
    @classmethod
    def _lines(cls, text: str) -> str:
        return "\n".join(printable(line.rstrip()) for line in text.strip().splitlines())

    def stated(self) -> dict[str, str]:
        """Return what is given, by name."""
        return {name: text for name, text in self.model_dump().items() if text}


def folder_label(sample: str) -> str:
    """Return a sample as part of the name of a folder, which every system takes; may be empty."""
    kept = re.sub(r"[^A-Za-z0-9._+-]+", "-", sample)[:_LONGEST_LABEL]
    return kept.strip("-._+")
