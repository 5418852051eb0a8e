"""Maps of physical quantities become rows: one for each maximum, in the units that they state."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsmlm.errors import FileFormatError, LocalizerError
from rtsmlm.models.manifest import ChannelEntry, Manifest, TrainingEntry, ValidRanges
from rtsmlm.models.pixel_maps.architecture import channels_of
from rtsmlm.models.pixel_maps.decode import NEEDED, rows_of
from rtsmlm.models.rows import COLUMNS, DecodeSettings, Row, localizations_of

CHANNELS = {name: k for k, name in enumerate((*NEEDED, "background", "std_x", "z"))}
SHAPE = (24, 32)


def maps_with(*emitters: tuple[int, int, float], n: int = 1) -> np.ndarray:
    """Maps of frames that all have emitters at these rows and columns, of this probability."""
    maps = np.zeros((n, len(CHANNELS), 32, 40), dtype=np.float32)
    for row, column, p in emitters:
        maps[:, CHANNELS["probability"], row, column] = p
        maps[:, CHANNELS["dx"], row, column] = 0.25
        maps[:, CHANNELS["dy"], row, column] = -0.5
        maps[:, CHANNELS["photons"], row, column] = 1000.0 + row
        maps[:, CHANNELS["background"], row, column] = 20.0
        maps[:, CHANNELS["std_x"], row, column] = 0.1
        maps[:, CHANNELS["z"], row, column] = 0.5
    return maps


@given(
    place=st.tuples(st.integers(0, SHAPE[0] - 1), st.integers(0, SHAPE[1] - 1)),
    p=st.floats(0.55, 1.0),
)
def test_a_lone_emitter_is_one_row_where_it_is(place: tuple[int, int], p: float) -> None:
    row, column = place

    (rows,) = rows_of(maps_with((row, column, p)), SHAPE, CHANNELS, DecodeSettings())

    assert rows.shape == (1, COLUMNS)
    assert rows[0, Row.X] == pytest.approx(column + 0.25)
    assert rows[0, Row.Y] == pytest.approx(row - 0.5)
    assert rows[0, Row.PHOTONS] == pytest.approx(1000.0 + row)
    assert rows[0, Row.PROBABILITY] == pytest.approx(p, rel=1e-5)
    assert rows[0, Row.CROWD] == pytest.approx(0.0, abs=1e-5)
    assert np.isnan(rows[0, Row.STD_Y]), "what is not stated is not made up"


def test_four_pixels_that_share_an_emitter_at_their_corner_are_one_row() -> None:
    maps = maps_with((10, 10, 0.27), (10, 11, 0.25), (11, 10, 0.24), (11, 11, 0.23))

    (rows,) = rows_of(maps, SHAPE, CHANNELS, DecodeSettings())

    assert len(rows) == 1
    assert rows[0, Row.PROBABILITY] == pytest.approx(0.99, abs=1e-5)


def test_what_lies_in_the_padding_is_no_emitter() -> None:
    (rows,) = rows_of(
        maps_with((SHAPE[0], 3, 1.0), (3, 36, 1.0)), SHAPE, CHANNELS, DecodeSettings()
    )

    assert len(rows) == 0


def test_of_two_rows_at_one_place_the_more_probable_stays() -> None:
    maps = maps_with((10, 10, 0.9), (10, 12, 0.8))
    maps[0, CHANNELS["dx"], 10, 10] = 1.0
    maps[0, CHANNELS["dx"], 10, 12] = -1.0

    (rows,) = rows_of(maps, SHAPE, CHANNELS, DecodeSettings())

    assert rows[:, Row.PROBABILITY] == pytest.approx([0.9])
    far = rows_of(maps, SHAPE, CHANNELS, DecodeSettings(merge_px=0.0))[0]
    assert len(far) == 1 or far[:, Row.PROBABILITY].min() > 0.5


def test_numbers_that_are_none_give_no_rows() -> None:
    maps = np.full((2, len(CHANNELS), 32, 40), np.nan, dtype=np.float32)

    assert [len(rows) for rows in rows_of(maps, SHAPE, CHANNELS, DecodeSettings())] == [0, 0]


def test_maps_that_do_not_cover_the_frames_are_refused() -> None:
    with pytest.raises(LocalizerError, match="do not cover"):
        rows_of(maps_with()[:, :, :10], SHAPE, CHANNELS, DecodeSettings())
    with pytest.raises(LocalizerError, match="names 7 channels"):
        rows_of(maps_with()[:, :3], SHAPE, CHANNELS, DecodeSettings())


def test_rows_that_state_no_error_of_the_photons_are_kept() -> None:
    rows = rows_of(maps_with((5, 6, 0.6)), SHAPE, CHANNELS, DecodeSettings())
    rows[0][:, Row.STD_PHOTONS] = np.nan

    found = localizations_of(rows, np.array([7]), pixel_nm=100.0)

    assert found.frame.tolist() == [7]
    assert found.x_nm.tolist() == pytest.approx([625.0])
    assert found.std_x_nm.tolist() == pytest.approx([10.0])


def manifest(*names: str) -> Manifest:
    return Manifest(
        name="mine", version="1", size="any", parameters=1, kmac_per_px=1.0, inputs=(), outputs=(),
        channels=tuple(
            ChannelEntry(name=name, first=k, count=1, unit="1", activation="none")
            for k, name in enumerate(names)
        ),
        valid=ValidRanges(sigma_px=(1, 2), photons=(1, 2), background=(1, 2), density_um2=(0, 1)),
        training=TrainingEntry(steps=1, windows=1, seconds=1.0, hardware="", recipe={}), files=(),
    )  # fmt: skip


def test_a_manifest_that_lacks_a_channel_or_has_a_foreign_one_says_which() -> None:
    assert channels_of(manifest("dx", "dy", "photons", "probability"))["probability"] == 3
    with pytest.raises(FileFormatError, match="no photons"):
        channels_of(manifest("probability", "dx", "dy"))
    with pytest.raises(FileFormatError, match="unknown colour"):
        channels_of(manifest(*NEEDED, "colour"))
