"""The calibration of frames that several cameras make together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rtsmlm.calibration import CalibratedPart, CameraCalibration, Map, map_or_number
from rtsmlm.errors import CalibrationError


def side_by_side(parts: Sequence[CalibratedPart]) -> CameraCalibration:
    """Return the calibration of frames that several cameras make together, from left to right.

    A frame has one pixel size, that of the first camera, and one EM gain: other gains go into the
    electrons per ADU and the read noise of their part, which leaves photons and noise as they are.

    Raises
    ------
    CalibrationError
        If the parts differ in height, or only some cameras multiply electrons.
    """
    first = parts[0].calibration
    heights = sorted({part.size[1] for part in parts})
    if len(heights) > 1:
        raise CalibrationError(
            f"the cameras side by side are {' and '.join(map(str, heights))} pixels high "
            "(camera.each.size, width and height); they need one height"
        )
    if len({part.calibration.has_em_gain for part in parts}) > 1:
        gains = ", ".join(f"{part.calibration.em_gain:g}" for part in parts)
        raise CalibrationError(
            f"the cameras have EM gains of {gains}; a frame of several cameras needs all of them "
            "with EM gain or all without, since the noise differs: switch it off, or run the "
            "cameras one by one"
        )

    def together(name: str) -> Map:
        values: list[Map] = []
        for part in parts:
            is_gain = name != "offset_adu"
            factor = first.em_gain / part.calibration.em_gain if is_gain else 1.0
            value: Map = getattr(part.calibration, name)
            values.append(value if factor == 1.0 else map_or_number(np.asarray(value) * factor))
        numbers = {float(value) for value in values if np.ndim(value) == 0}
        if len(numbers) == 1 and all(np.ndim(value) == 0 for value in values):
            return numbers.pop()
        maps = [
            np.broadcast_to(np.asarray(value, np.float32), part.size[::-1])
            for value, part in zip(values, parts, strict=True)
        ]
        return np.ascontiguousarray(np.hstack(maps))

    masks = [
        np.zeros(part.size[::-1], np.bool_) if own is None else own
        for part in parts
        for own in [part.calibration.masked]
    ]
    masked = np.hstack(masks)
    return CameraCalibration(
        pixel_nm=first.pixel_nm,
        offset_adu=together("offset_adu"),
        e_per_adu=together("e_per_adu"),
        em_gain=first.em_gain,
        read_noise_e=together("read_noise_e"),
        notes=tuple(dict.fromkeys(note for part in parts for note in part.calibration.notes)),
        parts=tuple(parts),
        masked=masked if masked.any() else None,
    )
