"""The cameras behind the camera of a run: itself, or those that it joins, side by side."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from pymmcore_plus import CMMCorePlus

from rtsmlm.calibration import StatedCalibration, StatedPart, agreed
from rtsmlm.drivers.micromanager.core import describe_camera, stated_calibration
from rtsmlm.errors import DeviceError
from rtsmlm.settings.camera import MicroManagerSettings

logger = logging.getLogger(__name__)

_ALIKE = 0.02
"""Relative difference of exposures that cameras round differently."""


@dataclass(frozen=True, slots=True)
class PhysicalCameras:
    """One camera, or those that Multi Camera joins, whose frames lie side by side.

    Micro-Manager keeps frames of one size, so that all are as large as each other.
    """

    core: CMMCorePlus
    label: str
    """Of the camera that is started."""
    labels: tuple[str, ...]
    """By which frames name their camera, from left to right; one camera is itself."""
    devices: tuple[str, ...]
    """Labels under which the core answers for each; a simulated camera answers for both."""

    @property
    def are_several(self) -> bool:
        """Whether each frame is made of one of each camera."""
        return len(self.labels) > 1

    @property
    def part_shape(self) -> tuple[int, int]:
        """Height and width of the frames of one camera."""
        return self.core.getImageHeight(), self.core.getImageWidth()

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of a frame."""
        height, width = self.part_shape
        return height, width * len(self.labels)

    @property
    def exposure_ms(self) -> float:
        """Exposure; the longest where cameras differ.

        Raises
        ------
        DeviceError
            If a camera states none that can be.
        """
        return max(self.exposures_ms().values())

    def exposures_ms(self) -> dict[str, float]:
        """Return the exposure of each device.

        Raises
        ------
        DeviceError
            If a camera states none that can be.
        """
        # Multi Camera itself states 0 where those that it joins differ.
        exposures = {device: float(self.core.getExposure(device)) for device in self.devices}
        for device, exposure_ms in exposures.items():
            if not (math.isfinite(exposure_ms) and exposure_ms >= 0):
                raise DeviceError(
                    f"camera {device} states an exposure of {exposure_ms:g} ms; set it in "
                    "acquisition.exposure_ms"
                )
        return exposures

    def warn_of_exposures(self, wanted_ms: float | None) -> None:
        """Log cameras that expose otherwise than wanted, or than each other."""
        exposures = self.exposures_ms()
        if wanted_ms is not None:
            for device, exposure_ms in exposures.items():
                if not math.isclose(exposure_ms, wanted_ms, rel_tol=_ALIKE):
                    logger.warning("%s exposes %g ms", device, exposure_ms)
        elif not math.isclose(min(exposures.values()), max(exposures.values()), rel_tol=_ALIKE):
            listed = ", ".join(f"{device} {ms:g} ms" for device, ms in exposures.items())
            logger.warning(
                "the cameras expose differently: %s; set acquisition.exposure_ms for all", listed
            )

    def set_regions(self, settings: MicroManagerSettings) -> None:
        """Set the regions of interest that the settings state.

        Raises
        ------
        DeviceError
            If a camera does not exist or refuses.
        """
        unknown = [label for label in settings.rois if label not in self.devices]
        if unknown:
            raise DeviceError(
                f"micromanager.rois names {', '.join(unknown)}; the cameras of this run are "
                f"{', '.join(self.devices)}"
            )
        for device in self.devices:
            roi = settings.rois.get(device, settings.roi)
            if roi is None:
                continue
            try:
                if self.core.getCameraDevice() == device:
                    self.core.setROI(*roi)
                else:
                    self.core.setROI(device, *roi)
            except Exception as error:  # vendor code may raise anything
                raise DeviceError(
                    f"camera {device} did not take the region of interest: {error}"
                ) from error
            if tuple(self.core.getROI(device)) != roi:
                logger.warning("camera %s did not take exactly region %s", device, roi)

    def check(self) -> None:
        """Raise `DeviceError` unless all give gray values of one kind and frames of one size."""
        sizes = self._sizes()
        if len(set(sizes.values())) > 1:
            listed = ", ".join(f"{label} {w} x {h}" for label, (w, h) in sizes.items())
            raise DeviceError(
                f"the cameras that {self.label} joins have frames of different sizes: {listed} "
                "(width x height), and Micro-Manager keeps frames of one size only; give them one "
                "binning and regions of one size (micromanager.properties, micromanager.rois)"
            )
        colours, per_pixel = self.core.getNumberOfComponents(), self.core.getBytesPerPixel()
        if self.are_several and per_pixel == 0:
            raise DeviceError(
                f"the cameras {', '.join(self.labels)} give pixels of different types; choose one "
                "of 8 or 16 bits for all (micromanager.properties)"
            )
        if colours != 1 or per_pixel not in (1, 2):
            raise DeviceError(
                f"camera {self.label} gives {colours} colour(s), {per_pixel} bytes per pixel; "
                "only one gray value of 8 or 16 bits can be localized: choose such a pixel type "
                "(micromanager.properties)"
            )

    def _sizes(self) -> dict[str, tuple[int, int]]:
        """Return width and height of the frames of each device that states them."""
        sizes = {}
        for device in self.devices if len(self.devices) > 1 else ():
            with suppress(Exception):  # an adapter may know no region
                _, _, width, height = (int(side) for side in self.core.getROI(device))
                sizes[device] = (width, height)
        return sizes

    def stated(self) -> StatedCalibration:
        """Return what the camera states of its calibration."""
        whole = stated_calibration(self.core, self.label)
        if not self.are_several:
            return whole
        height, width = self.part_shape
        parts = [whole for _ in self.labels]
        if len(self.devices) > 1:
            parts = [stated_calibration(self.core, device) for device in self.devices]
        return agreed([StatedPart((width, height), part) for part in parts])

    def describe(self) -> Mapping[str, str]:
        """Return names, versions and properties, as text."""
        facts = describe_camera(self.core, self.label)
        if self.are_several:
            facts["cameras, from left to right"] = ", ".join(self.labels)
        for device in self.devices:
            if device != self.label:
                own = describe_camera(self.core, device)
                facts |= {k: v for k, v in own.items() if k.startswith(f"{device}.")}
                facts |= {f"{device}: {k}": own[k] for k in _OF_EACH}
        return facts


_OF_EACH = ("adapter", "device", "exposure_ms", "binning", "roi")


def physical_cameras(
    core: CMMCorePlus, label: str, wanted: tuple[str, ...], *, python_camera: bool
) -> PhysicalCameras:
    """Return the cameras behind a camera of the core.

    Parameters
    ----------
    core
        The core, with this camera as the current one.
    label
        Label of the camera.
    wanted
        Labels of those that it joins, from left to right; empty takes the order of its channels.
    python_camera
        Whether it is written in Python: the core cannot ask such a camera what it joins.

    Raises
    ------
    DeviceError
        If it joins other cameras than those that are wanted, or none at all.
    """
    if python_camera:
        return PhysicalCameras(core, label, wanted or (label,), (label,))
    joined = _joined(core, label)
    if not joined:
        raise DeviceError(
            f"camera {label} joins no camera; set its properties Physical Camera 1, 2, ... "
            "(micromanager.properties)"
        )
    if wanted and set(wanted) != set(joined):
        raise DeviceError(
            f"micromanager.cameras names {', '.join(wanted)}, but camera {label} gives frames of "
            f"{', '.join(joined)}; name those, or take a Multi Camera of the adapter Utilities as "
            "micromanager.camera, whose properties Physical Camera 1, 2, ... name the cameras"
        )
    labels = wanted or joined
    return PhysicalCameras(core, label, labels, labels)


def _joined(core: CMMCorePlus, label: str) -> tuple[str, ...]:
    """Return the labels of the cameras that a camera joins; of any other, its own."""
    n = core.getNumberOfCameraChannels()
    if n == 1 and core.getDeviceName(label) != _MULTI_CAMERA:
        return (label,)
    name: Callable[[int], str] = partial(core.getCameraChannelName)
    return tuple(str(name(k)) for k in range(n))


_MULTI_CAMERA = "Multi Camera"
