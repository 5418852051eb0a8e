"""Every error that rtsmlm raises on purpose.

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

A message names the thing, the value, the limit and what to do, in one sentence or two.
"""

from __future__ import annotations


class RtsmlmError(Exception):
    """Base of all errors raised on purpose."""


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
    """A frame differs in shape or type from the frames before it."""


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
