"""Every error that rtsmlm raises on purpose, and how names and numbers stand in a message.

::

    RtsmlmError
    ├── ConfigError             a setting is wrong; nothing was started
    ├── FileFormatError         a file is damaged, cut short or of another kind
    ├── CalibrationError        camera calibration and data do not fit each other
    ├── DeviceError             a device refused, failed or vanished
    │   ├── CameraStalledError  the camera stopped yielding frames
    │   ├── CameraOverflowError frames came faster than they could be taken
    │   └── FrameMismatchError  a frame changed its shape or type during a run
    ├── LocalizerError          the localizer failed on a batch
    ├── SinkError               results could not be written
    │   └── RecordingError      raw frames could not be written
    ├── CommandError            a command of the window is damaged, unknown or not possible now
    ├── PipelineError           the analysis process died and could not be brought back
    └── WorkerError             a thread died or did not end in time

A message names the thing, the value, the limit and what to do, in one sentence or two. What it
quotes may come from a foreign file or device, so every message becomes one line without control
characters, of limited length, when the error is made.
"""

from __future__ import annotations

import unicodedata

LONGEST_MESSAGE = 2000
"""Characters: a quoted name may have millions."""


def printable(text: str, keep: str = "") -> str:
    """Return text in which control characters are written out, an escape as its number.

    For all text that comes from elsewhere (names, files, devices) on its way to a terminal, a log
    or a page. Escape sequences, bidirectional overrides, characters of no width, separators of
    lines and lone surrogates are not seen, and change what is seen.

    Parameters
    ----------
    text
        Any text.
    keep
        Control characters that stay as they are, such as line breaks of a page.
    """
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or character in keep or unicodedata.category(character) == "Zs"
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def number_text(value: float, digits: int = 3, thousands: str = "") -> str:
    """Return a number with so many digits, or all of them before the point.

    Parameters
    ----------
    value
        Any number; what is not finite is written `nan` or `inf`.
    digits
        Digits that count, 1 or more. From `10 ** digits` on all digits before the point are
        written, where the format `g` changes to an exponent: `12400`, not `1.24e+04`.
    thousands
        Stands between groups of three digits, such as a comma.

    Examples
    --------
    >>> number_text(0.12345), number_text(999.5), number_text(12400.0, thousands=",")
    ('0.123', '1000', '12,400')
    """
    text = f"{value:.{digits}g}"
    if abs(float(text)) < 10**digits or "e" not in text:
        return text
    return f"{value:,.0f}".replace(",", thousands)


def sentence(text: str) -> str:
    """Return text as one printable line of at most `LONGEST_MESSAGE` characters."""
    line = printable(" ".join(text[: 2 * LONGEST_MESSAGE].split()))
    return line if len(line) <= LONGEST_MESSAGE else line[: LONGEST_MESSAGE - 3] + "..."


class RtsmlmError(Exception):
    """Base of all errors raised on purpose.

    Parameters
    ----------
    message
        What is wrong; it becomes one printable line.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(sentence(message))


class ConfigError(RtsmlmError):
    """A setting is wrong; nothing was started."""


class FileFormatError(RtsmlmError):
    """A file is not of the kind it claims, is cut short, or is of an unknown kind."""


class CalibrationError(RtsmlmError):
    """Camera calibration and data do not fit each other."""


class DeviceError(RtsmlmError):
    """A device refused a command, failed or vanished."""


class CameraStalledError(DeviceError):
    """The camera yielded no frame for longer than the stall time-out."""


class CameraOverflowError(DeviceError):
    """Frames came faster than they were taken; the sequence was stopped, none was overwritten."""


class FrameMismatchError(DeviceError):
    """A frame differs in shape or type from the frames before it.

    Parameters
    ----------
    text
        The sentence for the user.
    numbers
        Camera numbers of the frame, and of those delivered after it that cannot be used.
    """

    def __init__(self, text: str, numbers: tuple[int, ...] = ()) -> None:
        super().__init__(text)
        self.numbers = numbers


class LocalizerError(RtsmlmError):
    """The localizer failed on a batch of frames."""


class SinkError(RtsmlmError):
    """Results could not be written."""


class RecordingError(SinkError):
    """Raw frames could not be written."""


class CommandError(RtsmlmError):
    """A command of the window is damaged, unknown, or cannot be carried out now."""


class PipelineError(RtsmlmError):
    """The analysis process died and could not be brought back."""


class WorkerError(RtsmlmError):
    """A worker thread died or did not end in time."""
