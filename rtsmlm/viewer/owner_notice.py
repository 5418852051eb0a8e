"""OwnerNotice: what the program that owns the runs reports to its window between two of them.

While a run goes on, its status has all there is to say.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from pydantic import TypeAdapter, ValidationError

from rtsmlm.errors import CommandError
from rtsmlm.stream.messages import NoticeLevel

_MOST_SHOWN = 80
"""Characters of a damaged line that an error repeats."""


@dataclass(frozen=True, slots=True)
class OwnerNotice:
    """One sentence, with a picture where one was taken."""

    text: str
    level: NoticeLevel = "information"
    picture: str = ""
    """Path of a TIFF file to show; empty for none."""


_NOTICE: TypeAdapter[OwnerNotice] = TypeAdapter(OwnerNotice)
_KEY = '{"notice": '


def notice_to_line(notice: OwnerNotice) -> str:
    """Return a notice as one line of JSON, without the line end."""
    return f"{_KEY}{json.dumps(asdict(notice))}}}"


def is_notice(line: str) -> bool:
    """Tell whether a line was made by `notice_to_line`."""
    return line.startswith(_KEY)


def notice_from_line(line: str) -> OwnerNotice:
    """Read a line that `notice_to_line` has made.

    Raises
    ------
    CommandError
        If it is none.
    """
    try:
        return _NOTICE.validate_json(line.strip()[len(_KEY) : -1], strict=True)
    except ValidationError as error:
        raise CommandError(
            f"the owner of the run sent {line[:_MOST_SHOWN]!r}, which is no notice"
        ) from error
