"""What the tags of a frame say: its number, and when its exposure ended."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from rtsmlm.errors import DeviceError
from rtsmlm.realtime.clock import now_ns
from rtsmlm.realtime.frame_numbers import steps_across_wrap

Tags: TypeAlias = Callable[[str], str | None]
"""The metadata of one frame: text by tag name, None where there is no such tag."""

EXPOSURE_END_TAG = "rtsmlm-ExposureEnd-ns"
"""Tag by which a camera states the end of its exposure on the clock of `realtime.clock.now_ns`."""

NUMBER_TAGS = ("rtsmlm-FrameNumber", "PVCAM-FrameNr")
"""Frame numbers of the camera itself, which show frames lost on the way into the core."""

_STARTS = {"PVCAM-FrameNr": 1}
"""First number of a sequence, where it is not 0."""

CORE_NUMBER_TAG = "ImageNumber"
"""Number that the core gives each frame of a sequence."""
CAMERA_TAG = "Camera"
"""Label of the camera that a frame is from."""
CHANNEL_NAME_TAG = "CameraChannelName"
"""The same by a camera that joins others, with its own label and a hyphen before it."""
_CORE_TIME = "TimeReceivedByCore"
_REANCHOR_NS = 1_000_000_000
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the core writes local time without a zone
_MICROSECOND = timedelta(microseconds=1)


class FrameNumbers:
    """Camera frame numbers from 0, out of the tag that the first frame shows to be there.

    A counter of 16 or 32 bits that wraps is continued. Numbers that fall or repeat are passed on as
    they are, for the acquisition to account for.

    Parameters
    ----------
    camera
        Label of the camera; some adapters put it before the names of their tags.
    tag
        Name of the tag to use; None tries the known ones.
    from_start
        Count from the start of the sequence, and not from the first frame that is read.
    """

    def __init__(self, camera: str, tag: str | None = None, *, from_start: bool = False) -> None:
        self._camera = camera
        self._wanted = (tag,) if tag else (*NUMBER_TAGS, CORE_NUMBER_TAG)
        self._tag: str | None = None
        self._zero: int | None = None  # the number of the tag that is our 0
        self._from_start = from_start
        self._stated = 0
        self.last = -1
        """Number of the frame before; -1 at the start."""

    def next(self, tags: Tags) -> int:
        """Return the number of the next frame.

        Raises
        ------
        DeviceError
            If the tag is missing or no number.
        """
        stated = self._read(tags)
        if self._zero is None:
            tag = (self._tag or "").removeprefix(f"{self._camera}-")
            self._zero = _STARTS.get(tag, 0) if self._from_start else stated
        elif stated < self._stated:
            steps = steps_across_wrap(self._stated, stated)
            if steps is not None:
                self._zero -= self._stated + steps - stated
        self._stated = stated
        self.last = stated - self._zero
        return self.last

    def _read(self, tags: Tags) -> int:
        if self._tag is None:
            names = [n for tag in self._wanted for n in (tag, f"{self._camera}-{tag}")]
            self._tag = next((name for name in names if tags(name) is not None), None)
            if self._tag is None:
                raise DeviceError(
                    f"frames of camera {self._camera} carry no tag "
                    f"{' or '.join(self._wanted)}; name the tag of its frame numbers with "
                    "micromanager.frame_number_tag"
                )
        text = tags(self._tag)
        try:
            return int(text)  # type: ignore[arg-type]  # None ends in the error below
        except (TypeError, ValueError) as error:
            raise DeviceError(
                f"camera {self._camera} gave {text!r} as frame number after {self.last}; "
                f"tag {self._tag} must be a whole number in every frame"
            ) from error


def _local_time() -> datetime:
    return datetime.now(UTC).astimezone().replace(tzinfo=None)


class ExposureClock:
    """When exposures ended, on the clock of `realtime.clock.now_ns`.

    The camera's own statement where there is one, else the local time at which the core
    received the frame, else now. Local time is brought onto the monotonic clock by readings
    of both, one a second: the smallest of the last 32 differences is taken, since the
    system time that Python sees may lag by its resolution (16 ms on Windows). Times never
    lie in the future and never run backwards; where the system time was set, the readings
    start again.

    Parameters
    ----------
    clock
        Monotonic time in ns.
    local_time
        Local time of day, without zone.
    """

    def __init__(
        self,
        clock: Callable[[], int] = now_ns,
        local_time: Callable[[], datetime] = _local_time,
    ) -> None:
        self._clock = clock
        self._local_time = local_time
        self._offsets: deque[int] = deque(maxlen=32)
        self._offset_ns = 0
        self._read_ns = 0
        self._last_ns = 0
        self._read_clocks()

    def end_ns(self, tags: Tags) -> int:
        """Return the end of the exposure of the frame with these tags."""
        now = self._clock()
        if stated := tags(EXPOSURE_END_TAG):
            end = int(stated)
        elif received := tags(_CORE_TIME):
            end = self._from_local(received, now)
        else:
            end = now
        self._last_ns = min(max(end, self._last_ns), now)
        return self._last_ns

    def _from_local(self, text: str, now: int) -> int:
        try:
            local_ns = _ns(datetime.fromisoformat(text))
        except ValueError:
            return now
        if now - self._read_ns > _REANCHOR_NS:
            self._read_clocks()
        end = local_ns + self._offset_ns
        if not self._last_ns <= end <= now:
            self._offsets.clear()
            self._read_clocks()
            end = local_ns + self._offset_ns
        return end

    def _read_clocks(self) -> None:
        local_ns = _ns(self._local_time())
        self._read_ns = self._clock()
        self._offsets.append(self._read_ns - local_ns)
        self._offset_ns = min(self._offsets)


def _ns(local: datetime) -> int:
    return (local - _EPOCH) // _MICROSECOND * 1000
