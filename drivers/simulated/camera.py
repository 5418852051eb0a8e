"""The simulated microscope's camera, as a device that any pymmcore-plus program can load."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import DTypeLike
from pymmcore_plus.experimental.unicore.devices._camera import CameraDevice

from rtsmlm.drivers.simulated.frame_code import encode_index
from rtsmlm.drivers.simulated.hub import Attached
from rtsmlm.drivers.simulated.microscope import SimMicroscope
from rtsmlm.drivers.simulated.properties import add_property, to_bool, to_int
from rtsmlm.drivers.simulated.settings import LARGEST_NA, EmissionName, PsfName
from rtsmlm.drivers.simulated.two_cameras import LOSERS, frames_of_two
from rtsmlm.errors import DeviceError
from rtsmlm.frames import Pixels
from rtsmlm.physics.camera import SensorType
from rtsmlm.physics.dyes import DyeName
from rtsmlm.physics.structures import StructureName

logger = logging.getLogger(__name__)

EXPOSURE_LIMITS_MS = (0.1, 1000.0)
"""The core waits two seconds for a camera to stop, and this one stops between frames."""

WARN_BEHIND_NS = 500_000_000
"""Shorter delays are hiccups that the next frames make up for."""

FRAME_NUMBER_TAG = "rtsmlm-FrameNumber"
EXPOSURE_END_TAG = "rtsmlm-ExposureEnd-ns"

_NUMBERS: tuple[tuple[str, str, type, tuple[float, float]], ...] = (
    ("Seed", "seed", int, (0, 2**31 - 1)),
    ("Width", "width", int, (8, 4096)),
    ("Height", "height", int, (8, 4096)),
    ("PixelSize_nm", "pixel_nm", float, (10, 1000)),
    ("EmitterCount", "emitter_count", int, (0, 5_000_000)),
    ("LabelDensity_per_um2", "label_density_per_um2", float, (0, 100_000)),
    ("Depth_nm", "depth_nm", float, (0, 10_000)),
    ("Imager_nM", "imager_nm", float, (0, 1000)),
    ("PsfSigma_nm", "psf_sigma_nm", float, (20, 1000)),
    ("Astigmatism_nm", "astigmatism_nm", float, (-500, 500)),
    ("Aberration_nm", "aberration_nm", float, (-500, 500)),
    ("NA", "na", float, (0.1, LARGEST_NA)),
    ("Wavelength_nm", "wavelength_nm", float, (200, 2000)),
    ("Readout_ms", "readout_ms", float, (0, 1000)),
    ("Background", "background", float, (0, 10_000)),
    ("Focus_nm", "focus_nm", float, (-10_000, 10_000)),
    ("Views", "views", int, (1, 2)),
    ("Dispersion_nm_per_px", "dispersion_nm_per_px", float, (0, 100)),
    ("SecondShare", "second_share", float, (0, 1)),
    ("Dichroic_nm", "dichroic_nm", float, (400, 900)),
    ("DichroicWidth_nm", "dichroic_width_nm", float, (0.1, 200)),
    ("Haze", "haze", float, (0, 100)),
    ("BeamFwhm_um", "beam_fwhm_um", float, (1, 10_000)),
    ("Drift_nm_per_s", "drift_nm_per_s", float, (-10_000, 10_000)),
    ("DriftZ_nm_per_s", "drift_z_nm_per_s", float, (-10_000, 10_000)),
    ("DriftWalk_nm", "drift_walk_nm", float, (0, 10_000)),
)
_NAMES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Dye", "dye", get_args(DyeName)),
    ("Structure", "structure", get_args(StructureName)),
    ("Emission", "emission", get_args(EmissionName)),
    ("SecondEmission", "second_emission", ("", *get_args(EmissionName))),
    ("SecondStructure", "second_structure", get_args(StructureName)),
    ("PSF", "psf", get_args(PsfName)),
    ("NoiseModel", "sensor", get_args(SensorType)),
)


@dataclass(slots=True)
class _Drill:
    """How frames are paced, marked and, for drills, perturbed."""

    fast: bool = False
    encode_index: bool = False
    stall_after: int = 0
    shape_after: int = 0
    drop_every: int = 0
    drop_camera: int = 0
    cameras: int = 1


class SimCamera(CameraDevice):
    """A camera that images the simulated sample.

    The properties of sample and optics are those of `MicroscopeSettings`. Frames come on
    schedule: deadlines count from the start of the sequence, and a frame that is late does not
    delay those after it for longer than it takes to make up. Simulated time is the frame number,
    so a slow computer sees the same frames, later; `LateFrames` counts them.

    Parameters
    ----------
    microscope
        The microscope; not given takes that of the core.
    """

    def __init__(self, microscope: SimMicroscope | None = None) -> None:
        super().__init__()
        self._microscope = Attached(self, microscope)
        self._drill = _Drill()
        self._late_frames = 0
        self._has_warned = False
        # Set when the running sequence has to end although its frames are not taken.
        self._ended = threading.Event()
        self._add_settings()
        self._add_stated()
        self._add_drills()
        self.set_property_limits("Exposure", EXPOSURE_LIMITS_MS)

    # Properties

    def _add_settings(self) -> None:
        for name, field, kind, limits in _NUMBERS:
            get, put = self._access(field, to_int if kind is int else float)
            add_property(self, name, kind, get, put, limits=limits)
        for name, field, choices in _NAMES:
            get, put = self._access(field, str)
            add_property(self, name, str, get, put, choices=choices)
        get, put = self._access("psf_file", str)
        add_property(self, "PSFFile", str, get, put)
        get, put = self._access("all_on", to_bool)
        add_property(self, "StartAllOn", int, lambda: int(get()), put, choices=("0", "1"))

    def _access(
        self, field: str, convert: Callable[[Any], Any]
    ) -> tuple[Callable[[], Any], Callable[[Any], None]]:
        def get() -> Any:
            return getattr(self._microscope().settings, field)

        def put(value: Any) -> None:
            self._microscope().configure(**{field: convert(value)})

        return get, put

    def _add_stated(self) -> None:
        def mean(field: str) -> Callable[[], float]:
            return lambda: float(np.mean(getattr(self._microscope().calibration(), field)))

        add_property(self, "Offset_ADU", float, mean("offset_adu"))
        add_property(self, "ElectronsPerADU", float, mean("e_per_adu"))
        add_property(self, "EMGain", float, mean("em_gain"))
        add_property(self, "ReadNoise_e", float, self._read_noise_e)
        add_property(self, "LateFrames", int, lambda: self._late_frames)

    def _read_noise_e(self) -> float:
        """Return the root mean square over all pixels, as data sheets state it."""
        noise = np.asarray(self._microscope().calibration().read_noise_e, dtype=np.float64)
        return float(np.sqrt(np.mean(noise**2)))

    def _add_drills(self) -> None:
        drill = self._drill

        def pace(value: Any) -> None:
            drill.fast = str(value) == "fast"

        def encode(value: Any) -> None:
            drill.encode_index = to_bool(value)

        add_property(
            self,
            "Pacing",
            str,
            lambda: "fast" if drill.fast else "realtime",
            pace,
            choices=("realtime", "fast"),
        )
        add_property(
            self,
            "EncodeFrameIndex",
            int,
            lambda: int(drill.encode_index),
            encode,
            choices=("0", "1"),
        )
        self._add_fault("FaultStallAfter", "stall_after")
        self._add_fault("FaultShapeAfter", "shape_after")
        self._add_fault("FaultDropEvery", "drop_every")
        self._add_fault("FaultDropCamera", "drop_camera", ("0", "1", "2"))
        self._add_fault("Cameras", "cameras", ("1", "2"))

    def _add_fault(self, name: str, field: str, choices: Sequence[str] | None = None) -> None:
        def put(value: Any) -> None:
            self._set_fault(field, to_int(value))

        limits = (0, 2**31 - 1) if choices is None else None
        add_property(
            self, name, int, lambda: getattr(self._drill, field), put,
            limits=limits, choices=choices,
        )  # fmt: skip

    def _set_fault(self, field: str, frames: int) -> None:
        stalled = field == "stall_after" and self._drill.stall_after > 0 and frames == 0
        setattr(self._drill, field, frames)
        if stalled:
            self._ended.set()

    # Camera

    def initialize(self) -> None:
        """Compile now what the first frame would have to wait for."""
        self._microscope().prepare()

    def shutdown(self) -> None:
        """End a stalled sequence and let go of the microscope."""
        self._ended.set()
        self._microscope.release()

    def get_exposure(self) -> float:
        """Return the exposure in ms."""
        return self._microscope().settings.exposure_ms

    def set_exposure(self, exposure: float) -> None:
        """Set the exposure in ms."""
        low, high = EXPOSURE_LIMITS_MS
        if not low <= exposure <= high:
            raise DeviceError(f"exposure of {exposure} ms; the camera takes {low} to {high} ms")
        self._microscope().configure(exposure_ms=float(exposure))

    def shape(self) -> tuple[int, int]:
        """Return height and width of the frames; of two cameras, of one of them."""
        height, width = self._microscope().shape
        return height, width // self._drill.cameras

    def dtype(self) -> DTypeLike:
        """Return uint16."""
        return np.uint16

    def get_roi(self) -> tuple[int, int, int, int]:
        """Return x, y, width and height of the part that is read out."""
        x, y, width, height = self._microscope().roi
        return x, y, width // self._drill.cameras, height

    def set_roi(self, x: int, y: int, width: int, height: int) -> None:
        """Read out a part of the chip."""
        if self._drill.cameras == 2:
            raise DeviceError("the simulated chip has no region while it is two cameras (Cameras)")
        self._microscope().set_roi((x, y, width, height))

    def clear_roi(self) -> None:
        """Read out the whole chip."""
        self._microscope().set_roi(None)

    def start_sequence(
        self,
        n: int | None,
        get_buffer: Callable[[Sequence[int], DTypeLike], Pixels],
    ) -> Iterator[Mapping[str, str]]:
        """Yield the metadata of each frame after its exposure; see `CameraDevice`."""
        # In the thread of the caller, who is told what is wrong with a setting.
        self._microscope().prepare()
        return self._frames(n, get_buffer)

    def _frames(
        self, n: int | None, get_buffer: Callable[[Sequence[int], DTypeLike], Pixels]
    ) -> Iterator[Mapping[str, str]]:
        microscope = self._microscope()
        microscope.begin_sequence()
        self._ended.set()
        self._ended = ended = threading.Event()
        self._late_frames, self._has_warned = 0, False
        shape = microscope.shape
        unseen = np.empty(shape, dtype=np.uint16)
        delivered = 0
        due_ns = time.perf_counter_ns()
        while (n is None or delivered < n) and not ended.is_set():
            drill = self._drill
            if drill.stall_after and delivered >= drill.stall_after:
                ended.wait()
                break
            lost = drill.drop_every > 0 and (microscope.frame + 1) % drill.drop_every == 0
            wrong = drill.shape_after > 0 and delivered >= drill.shape_after
            both = drill.cameras == 2
            # The laser that is on when the exposure begins is in force for all of it.
            pixels = unseen if lost or wrong or both else get_buffer(shape, np.uint16)
            number = microscope.expose(pixels)
            if drill.encode_index:
                encode_index(pixels, number)
            if wrong and not lost and not both:
                get_buffer((shape[0] // 2, shape[1]), np.uint16)[:] = unseen[: shape[0] // 2]
            due_ns += int(microscope.settings.period_s * 1e9)
            end_ns = self._await(due_ns, drill.fast)
            tags = {FRAME_NUMBER_TAG: str(number), EXPOSURE_END_TAG: str(end_ns)}
            if both:
                losers = LOSERS[drill.drop_camera] if lost else ()
                swapped = bool(number % 2)
                for each in frames_of_two(unseen, losers, get_buffer, tags, swapped=swapped):
                    delivered += 1
                    yield each
            elif not lost:
                delivered += 1
                yield tags

    def _await(self, due_ns: int, fast: bool) -> int:
        """Sleep until a frame is due; return when its exposure ended."""
        now_ns = time.perf_counter_ns()
        if fast:
            return now_ns
        if now_ns < due_ns:
            time.sleep((due_ns - now_ns) * 1e-9)
            return due_ns
        self._late_frames += 1
        if now_ns - due_ns > WARN_BEHIND_NS and not self._has_warned:
            self._has_warned = True
            logger.warning(
                "the simulated camera is %.1f s behind: this computer takes longer than the "
                "frame period; frames come late, none is left out (LateFrames counts them)",
                (now_ns - due_ns) * 1e-9,
            )
        return now_ns
