"""Networks that make an image of localizations, as `rtsmlm.protocols.ImageReconstructor`.

Their graph gets the number of `localizations` in each pixel, (n, 1, height, width), and answers
with an image of the same size. It may ask for more: `level`, the density of the field
(`models.dense_images.level`), (n, 1); `structure`, 1 for what the sample shows, (n, structures);
`widefield`, the light of the same field on the same pixels, 0 where there is none.

How sure an answer is comes from the data alone: the localizations of alternate blocks of frames are
two lists of half the size, which were found independently. Half the difference of their two
answers is the standard deviation of the answer to all.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from rtsmlm.calibration import CameraCalibration
from rtsmlm.engines.blended_parts import OnPart, in_parts
from rtsmlm.engines.graph_runner import open_graph
from rtsmlm.engines.image_field import RowBounds, field_of, frames_field
from rtsmlm.engines.widefield_light import WidefieldLight
from rtsmlm.errors import ConfigError, FileFormatError
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import F32, Localizations
from rtsmlm.models.dense_images.level import level_of
from rtsmlm.models.manifest import ONNX_NAME
from rtsmlm.protocols import ImageLayer

BLOCK_FRAMES = 20
"""Longer than an emitter usually shines, so that its localizations fall into one half."""
_GROUPS = 4
_SPLITS = (((0, 1), (2, 3)), ((0, 2), (1, 3)))
"""Ways to make two halves of the groups."""
_SMOOTH_PX = 2.0
"""Blur of the squared differences: two of them alone say little of a pixel."""
PART_PX = 1024
"""Largest side of what is computed at once: a few hundred MB within a network."""
_MOST = np.iinfo(np.uint16).max


def _go_on(done: int, total: int) -> None:
    """Let the image go on, whatever is done of it."""


class LocalizationImage:
    """A network of localizations on one run.

    Parameters
    ----------
    folder
        The model folder.
    engine
        As `localizer.engine`.
    calibration
        Camera calibration.
    shape
        Height and width of the frames in camera pixels; None where they are not known.
    bounds
        Of the rows to come, if they are known: the image is of the place where these lie. None
        takes the field of the frames.
    structure
        What the localizations show; asked for if the model names structures.
    channel
        Whose localizations are taken; None takes all.
    name
        Of the layer; None takes that of the model.
    widefield
        Light of the field in camera pixels, (height, width); the network is given it where it
        resembles the localizations.
    threads
        Of the engine on a CPU; None takes as many as it likes.

    Raises
    ------
    ConfigError
        If the model does something else, does not know the structure, or the engine cannot run it;
        if the field is too large, or neither frames nor rows say where it is.
    FileFormatError
        If the model is damaged, or asks for something that is not known.
    """

    takes_frames = False

    def __init__(
        self,
        folder: Path,
        engine: str,
        calibration: CameraCalibration,
        shape: tuple[int, int] | None,
        *,
        bounds: RowBounds | None = None,
        structure: str | None = None,
        channel: int | None = None,
        name: str | None = None,
        widefield: F32 | None = None,
        threads: int | None = None,
    ) -> None:
        self._manifest, self._run = open_graph(folder, engine, threads=threads)
        self._asked = tuple(entry.name for entry in self._manifest.inputs)
        if unknown := set(self._asked) - {"localizations", "level", "structure", "widefield"}:
            raise FileFormatError(
                f"{self._manifest.name} asks for {', '.join(sorted(unknown))}; a network of images "
                "takes frames, or localizations with level, structure and widefield"
            )
        self._structure, self._channel = structure, channel
        self._one_hot = _one_hot(structure, self._manifest.name, self._manifest.structures)
        self._name = name or self._manifest.name
        camera_nm = calibration.pixel_nm
        self._pixel_nm = self._manifest.image_pixel_nm or camera_nm / self._manifest.upsampling
        frames = None if shape is None else frames_field(shape, camera_nm, self._pixel_nm)
        field = frames if bounds is None else field_of(frames, bounds, self._pixel_nm)
        if field is None:
            raise ConfigError("neither frames nor localizations say where the image is")
        self._field = field
        self._counts = np.zeros((_GROUPS, *field.shape), dtype=np.uint16)
        self._n_rows = self._n_outside = 0
        light = widefield if "widefield" in self._asked else None
        if light is not None and frames is None:
            raise ConfigError(
                "results.widefield is an image of the frames, whose size the table does not state; "
                "leave it out"
            )
        self._widefield = WidefieldLight(light, camera_nm, frames or field, field)
        self._sha256 = next(f.sha256 for f in self._manifest.files if f.name == ONNX_NAME)

    @property
    def name(self) -> str:
        """Name of the layer."""
        return self._name

    @property
    def n_localizations(self) -> int:
        """Localizations within the field that were added."""
        return self._n_rows

    @property
    def remarks(self) -> dict[str, str]:
        """What the user should know of the last layer, by what it is about."""
        found = {}
        if self._n_outside:
            found["field"] = (
                f"{self._n_outside} of {self._n_outside + self._n_rows} localizations lie outside "
                f"of the field of the image ({self._field.text()}) and are left out of it"
            )
        if self._widefield.remark is not None:
            found["widefield"] = self._widefield.remark
        return found

    def resume(self, layer: ImageLayer) -> bool:
        """Return False: localizations are read again from the table, which is soon done."""
        del layer
        return False

    def clear(self) -> None:
        """Forget all localizations."""
        self._counts[:] = 0
        self._n_rows = self._n_outside = 0

    def add_frames(self, batch: FrameBatch) -> None:
        """Do nothing: it is made of localizations."""

    def add_localizations(self, localizations: Localizations) -> None:
        """Add the localizations of its channel."""
        rows = localizations
        if self._channel is not None:
            rows = rows.take(rows.channel == self._channel)
        inside, (row, column) = self._field.pixels(rows)
        height, width = self._field.shape
        group = (rows.frame[inside] // BLOCK_FRAMES) % _GROUPS
        places, more = np.unique((group * height + row) * width + column, return_counts=True)
        flat = self._counts.reshape(-1)
        flat[places] = np.minimum(flat[places] + more, _MOST)
        self._n_rows += len(row)
        self._n_outside += len(rows) - len(row)

    def layer(self, on_part: OnPart = _go_on) -> ImageLayer:
        """Return the image that is predicted of all that was added.

        Parameters
        ----------
        on_part
            Called before each part of the image; what it raises ends the image.

        Raises
        ------
        LocalizerError
            If the engine fails.
        """
        self._widefield.compare(self._counts.sum(axis=0, dtype=np.float32))
        return self._made(self._predicted(tuple(range(_GROUPS)), on_part))

    def uncertainty(self, on_part: OnPart = _go_on) -> ImageLayer:
        """Return the standard deviation of each pixel of the last layer, from halves of the data.

        It says how far the image depends on which localizations came, not what the network always
        makes up. It takes four times as long as the layer.

        Parameters
        ----------
        on_part
            As for `layer`.

        Raises
        ------
        LocalizerError
            If the engine fails.
        """
        squares = np.zeros(self._counts.shape[1:], dtype=np.float32)
        for k, halves in enumerate(_SPLITS):
            one, other = (
                self._predicted(half, _one_of(2 * k + i, 2 * len(_SPLITS), on_part))
                for i, half in enumerate(halves)
            )
            squares += (0.5 * (one - other)) ** 2
        ndimage.gaussian_filter(squares, _SMOOTH_PX, output=squares)
        image = np.sqrt(squares / np.float32(len(_SPLITS)))
        return replace(self._made(image), quantity="uncertainty")

    def _made(self, image: F32) -> ImageLayer:
        return ImageLayer(
            name=self._name,
            pixel_nm=self._pixel_nm,
            image=image,
            version=self._manifest.version,
            sha256=self._sha256,
            n_localizations=self._n_rows,
            structure=self._structure or "",
            widefield=self._widefield.is_given,
            corner_nm=self._field.corner_nm,
            n_outside=self._n_outside,
        )

    def _predicted(self, groups: tuple[int, ...], on_part: OnPart) -> F32:
        """Return the image of the localizations of some groups of frames."""
        height, width = self._counts.shape[1:]
        block = self._manifest.block_px
        counts = np.zeros((height + -height % block, width + -width % block), dtype=np.float32)
        for group in groups:
            counts[:height, :width] += self._counts[group]
        given = {"level": np.array([[level_of(counts)]], dtype=np.float32)}
        if self._one_hot is not None:
            given["structure"] = self._one_hot[None]

        def predict(part: tuple[slice, slice]) -> F32 | None:
            if not counts[part].any():
                return None
            images = {"localizations": counts[part][None, None]}
            if "widefield" in self._asked:
                images["widefield"] = self._widefield.part(part)
            answer: F32 = self._run({k: v for k, v in (given | images).items() if k in self._asked})
            image: F32 = answer[0, 0]
            return image

        side_px = PART_PX // block * block
        image = in_parts(counts, predict, side_px, self._manifest.overlap_px, on_part)
        return image[:height, :width]


def _one_of(k: int, n: int, on_part: OnPart) -> OnPart:
    """Return what counts the parts of one of several images of one size among those of all."""
    return lambda done, total: on_part(k * total + done, n * total)


def _one_hot(structure: str | None, name: str, known: tuple[str, ...]) -> F32 | None:
    if not known:
        return None
    if structure not in known:
        raise ConfigError(unknown_structure(structure, name, known))
    chosen: F32 = np.eye(len(known), dtype=np.float32)[known.index(structure)]
    return chosen


def unknown_structure(structure: str | None, name: str, known: tuple[str, ...]) -> str:
    """Return why a network makes no image of what a channel shows."""
    stated = "is not given" if structure is None else f"names {structure}"
    return (
        f"results.structures {stated}, and {name} completes only what it has learned "
        f"({', '.join(known)}): set results.structures to what each channel shows, or leave "
        f"{name} out of results.image_models"
    )
