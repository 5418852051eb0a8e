"""Scale bars: a round length that fits, written with letters that exist."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsmlm.render.scale_bar import _LETTERS, bar_length_nm, draw_scale_bar, length_text

WIDTHS_NM = st.floats(10, 1e7)
"""From a detail of a filament to a whole slide."""


@given(width_nm=WIDTHS_NM)
def test_a_bar_is_1_2_or_5_times_a_power_of_ten_and_10_to_25_percent_wide(width_nm: float) -> None:
    length_nm = bar_length_nm(width_nm)

    assert 0.0999 * width_nm <= length_nm <= 0.2501 * width_nm
    assert f"{length_nm:.6e}"[0] in "125"
    assert f"{length_nm:.6e}"[1:].startswith(".000000")


@given(width_nm=WIDTHS_NM)
def test_every_letter_of_a_length_can_be_drawn(width_nm: float) -> None:
    assert set(length_text(bar_length_nm(width_nm))) <= set(_LETTERS)


@pytest.mark.parametrize(
    ("length_nm", "text"), [(200, "200 nm"), (1000, "1 µm"), (50_000, "50 µm")]
)
def test_lengths_from_a_micrometre_on_are_in_micrometres(length_nm: float, text: str) -> None:
    assert length_text(length_nm) == text


@given(height=st.integers(1, 300), width=st.integers(1, 300), pixel_nm=st.floats(1, 500))
def test_a_bar_is_as_long_as_it_states_or_not_drawn(
    height: int, width: int, pixel_nm: float
) -> None:
    image = np.full((height, width), 100, np.uint8)

    draw_scale_bar(image, pixel_nm)

    white = image == 255
    if not white.any():
        assert (image == 100).all()
        return
    bar = white[np.flatnonzero(white.any(axis=1))[-1]].sum()
    assert bar == round(bar_length_nm(width * pixel_nm) / pixel_nm)
    assert (image[0] == 100).all(), "it stays clear of the upper edge"
