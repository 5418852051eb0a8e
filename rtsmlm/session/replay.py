"""Camera driver `replay`: opens a recording and plays it as a camera.

It stands here because it joins two rooms that do not know each other: `drivers.replay`, which
plays any recording, and `files.movies`, which reads it.
"""

from __future__ import annotations

import logging

from rtsmlm.drivers.replay import ReplayCamera
from rtsmlm.errors import ConfigError
from rtsmlm.files.movies.open import open_movie
from rtsmlm.plugins import CameraFactory
from rtsmlm.settings.run import RunSettings

_log = logging.getLogger(__name__)


def open_camera(settings: RunSettings) -> ReplayCamera:
    """Open the recording of `replay.movie` as a camera.

    Raises
    ------
    ConfigError
        If no recording is named, or there is no file of that name.
    FileFormatError
        If the recording cannot be read.
    """
    path = settings.replay.movie
    if path is None:
        raise ConfigError("replay needs a recording: set replay.movie to its path")
    try:
        movie = open_movie(path, settings.movie)
    except OSError as error:
        raise ConfigError(f"cannot open the recording {path}: {error}") from error
    _log.info("replaying %s: %d frames of %s pixels", path, movie.n_frames, movie.shape)
    return ReplayCamera(movie, settings.replay.timing)


def _conforms() -> CameraFactory:
    return open_camera
