"""OutsideView: a run as a program without a window asks for it, in plain values; no Qt here.

It reads a source as a window does, the stream or the files of the folder, and can do nothing else:
there is no command to a device, to the run, or to its files.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rtsmlm.files.run.folder import RunFolder
from rtsmlm.localizations import Localizations
from rtsmlm.offline.report.gathered import json_of
from rtsmlm.render.png import png_bytes
from rtsmlm.stream.messages import DensityMessage, RunMessage, StatusMessage
from rtsmlm.viewer.sources.updates import CameraImage, Connection, RunUpdate, Source

Plain = dict[str, object]
SIDE_PX = 1024
"""Longest side of the image of all localizations."""
FINEST_NM = 10.0
_DENSITIES = 600
_WHITE = 99.5
"""Percentile of the pixels that hold something, which is shown white."""
_POLL_S = 0.2


class OutsideView:
    """Follows a run, and answers what is asked of it.

    Parameters
    ----------
    source
        A stream, or a run folder; closed with this.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._connection: Connection = "waiting"
        self._run: RunMessage | None = None
        self._status: StatusMessage | None = None
        self._densities: deque[DensityMessage] = deque(maxlen=_DENSITIES)
        self._frame: CameraImage | None = None
        self._folder: RunFolder | None = None
        self._image: NDArray[np.uint32] | None = None
        self._image_nm = FINEST_NM
        self._n_rows = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="rtsmlm-outside", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop following. Safe to call more than once."""
        self._stop.set()
        self._thread.join()
        self._source.close()

    def status(self) -> Plain:
        """Return frames, rate, latency, lasers and notices of the newest status."""
        with self._lock:
            run, status = self._run, self._status
            about: Plain = {"connection": self._connection, "run": run.run if run else None}
        if run is not None:
            about |= {"shape": list(run.shape), "pixel_nm": run.pixel_nm}
        if status is None:
            return about | {"status": "nothing has come yet"}
        left_out = {"validity", "latency_ms", "resolution"}
        return about | {"status": status.model_dump(mode="json", exclude=left_out)}

    def density(self, estimates: int = 60) -> Plain:
        """Return the newest estimates of the density, oldest first, in emitters per frame and um2.

        Parameters
        ----------
        estimates
            How many, at most.
        """
        with self._lock:
            newest = list(self._densities)[-max(1, estimates) :]
            loop = None if self._status is None else self._status.loop
        shown = [one.model_dump(mode="json", exclude={"run_id"}) for one in newest]
        target = None if loop is None else loop.target_per_um2
        return {"estimates": shown, "target_per_um2": target}

    def ledger(self) -> Plain:
        """Return what became of every frame: received, recorded, localized, skipped, lost."""
        with self._lock:
            status, folder = self._status, self._folder
        found: Plain = {} if folder is None else dict(json_of(folder.ledger))
        if status is not None:
            found["totals"] = status.model_dump(mode="json")["totals"]
        return found or {"totals": None}

    def resolution(self) -> Plain:
        """Return the resolution as the run measures it, in nm, and its newest frame."""
        with self._lock:
            found = None if self._status is None else self._status.resolution
        if found is None:
            return {"resolution": None, "reason": "the run has not measured any"}
        return {"resolution": found.model_dump(mode="json")}

    def validity(self) -> Plain:
        """Return whether PSF, camera and localizer fit the data, with the findings."""
        with self._lock:
            status = self._status
        if status is None:
            return {"verdict": None}
        return {"model": status.model, **status.validity.model_dump(mode="json")}

    def last_image(self, kind: Literal["localizations", "camera"] = "localizations") -> bytes:
        """Return a PNG of all localizations so far, or of the newest camera frame.

        Raises
        ------
        LookupError
            If there is none yet.
        """
        with self._lock:
            image: NDArray[np.uint32] | NDArray[np.uint16] | None = None
            pixel_nm = self._image_nm
            if kind == "localizations" and self._n_rows:
                image = self._image
            if kind == "camera" and self._frame is not None and self._run is not None:
                image = self._frame.pixels
                pixel_nm = self._run.pixel_nm * self._frame.binning
            if image is None:
                raise LookupError(f"there is no image of the {kind} yet")
            gray = _gray(image, is_count=kind == "localizations")
        return png_bytes(np.repeat(gray[..., np.newaxis], 3, axis=2), pixel_nm)

    # -- following -------------------------------------------------------------------------

    def _follow(self) -> None:
        while not self._stop.is_set():
            update = self._source.poll()
            with self._lock:
                self._take(update)
            if not update.rows:
                self._stop.wait(_POLL_S)

    def _take(self, update: RunUpdate) -> None:
        self._connection = update.connection
        if update.run is not None and update.run != self._run:
            if self._run is None or update.run.run_id != self._run.run_id:
                self._status, self._frame = None, None
                self._densities.clear()
            self._run = update.run
            self._clear_image(update.run)
        if update.restarted and self._run is not None:
            self._clear_image(self._run)
        if update.folder is not None:
            self._folder = RunFolder(update.folder)
        self._status = update.status or self._status
        self._frame = update.frame or self._frame
        self._densities.extend(update.densities)
        for rows in update.rows:
            self._add(rows)

    def _clear_image(self, run: RunMessage) -> None:
        height_nm, width_nm = (side * run.pixel_nm for side in run.shape)
        self._image_nm = max(FINEST_NM, max(height_nm, width_nm) / SIDE_PX)
        shape = (math.ceil(height_nm / self._image_nm), math.ceil(width_nm / self._image_nm))
        self._image, self._n_rows = np.zeros(shape, np.uint32), 0

    def _add(self, rows: Localizations) -> None:
        if self._image is None or self._run is None:
            return
        # The centre of the first camera pixel is the origin; its corner is that of the image.
        corner_nm = self._run.pixel_nm / 2
        y = np.floor((rows.y_nm + corner_nm) / self._image_nm)
        x = np.floor((rows.x_nm + corner_nm) / self._image_nm)
        height, width = self._image.shape
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        where = (y[inside].astype(np.intp), x[inside].astype(np.intp))
        np.add.at(self._image, where, 1)
        self._n_rows += len(rows)


def _gray(image: NDArray[np.uint32] | NDArray[np.uint16], *, is_count: bool) -> NDArray[np.uint8]:
    """Return an image in 256 grays: counts from black, frames from their darkest pixels."""
    values = image.astype(np.float32)
    held = values[values > 0] if is_count else values
    low = 0.0 if is_count else float(np.percentile(values, 1.0))
    high = float(np.percentile(held, _WHITE)) if held.size else 1.0
    return np.asarray(255 * np.clip((values - low) / max(high - low, 1.0), 0, 1), np.uint8)
