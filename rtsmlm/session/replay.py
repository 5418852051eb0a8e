"""Camera driver `replay`: opens a recording and plays it as a camera.

It stands here because it joins two rooms that do not know each other: `drivers.replay`, which
plays any recording, and `files.movies`, which reads it.
"""

from __future__ import annotations

import logging
from pathlib import Path
from threading import Event

from rtsmlm.drivers.follow import FollowCamera
from rtsmlm.drivers.replay import ReplayCamera
from rtsmlm.errors import ConfigError
from rtsmlm.files.movies.growing import GrowingMovie
from rtsmlm.files.movies.open import open_movie
from rtsmlm.plugins import CameraFactory
from rtsmlm.settings.run import RunSettings

_log = logging.getLogger(__name__)


def open_camera(settings: RunSettings) -> ReplayCamera | FollowCamera:
    """Open the recording of `replay.movie` as a camera.

    Raises
    ------
    ConfigError
        If no recording is named, or there is no file of that name.
    FileFormatError
        If the recording cannot be read.
    """
    if settings.replay.timing == "follow":
        growing = growing_movie(settings)
        try:
            first = growing.wait_for_first(Event())
            _log.info("following %s: frames of %s pixels", growing.path, first.shape)
            return FollowCamera(growing, first)
        except BaseException:
            growing.close()
            raise
    path = _path_of(settings)
    try:
        movie = open_movie(path, settings.movie)
    except OSError as error:
        raise ConfigError(f"cannot open the recording {path}: {error}") from error
    _log.info("replaying %s: %d frames of %s pixels", path, movie.n_frames, movie.shape)
    return ReplayCamera(movie, settings.replay.timing)


def growing_movie(settings: RunSettings) -> GrowingMovie:
    """Return the recording of `replay.movie`, which another program is still writing.

    Raises
    ------
    ConfigError
        If no recording is named.
    """
    return GrowingMovie(
        _path_of(settings),
        lambda path: open_movie(path, settings.movie),
        idle_s=settings.replay.idle_s,
    )


def _path_of(settings: RunSettings) -> Path:
    if settings.replay.movie is None:
        raise ConfigError("replay needs a recording: set replay.movie to its path")
    return settings.replay.movie


def _conforms() -> CameraFactory:
    return open_camera
