"""Numbers from foreign metadata: finite, in our units, or not stated at all."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtsmlm.errors import FileFormatError
from rtsmlm.files.movies.metadata import (
    NM_PER,
    PLAUSIBLE_PIXEL_NM,
    Statements,
    add_micromanager,
    add_ome_xml,
    add_picasso,
    as_int,
    as_number,
    flat_yaml,
)

words = st.text("0123456789.e-+ nax", max_size=8)
anything = st.none() | st.booleans() | st.integers() | st.floats() | words


@given(anything)
def test_a_number_is_finite_or_none(value: Any) -> None:
    number, whole = as_number(value), as_int(value)

    assert number is None or math.isfinite(number)
    assert whole is None or whole == number
    if isinstance(value, bool) or value is None:
        assert number is None, "true is no number of pixels"


@given(st.integers(-(10**15), 10**15))
def test_a_whole_number_may_come_as_text_or_with_a_point(number: int) -> None:
    assert as_int(number) == as_int(str(number)) == as_int(f"{number}.0") == number


@given(st.floats(*PLAUSIBLE_PIXEL_NM), st.sampled_from(sorted(NM_PER)))
def test_a_pixel_is_the_same_in_every_unit(pixel_nm: float, unit: str) -> None:
    stated = Statements()

    stated.state_pixel(pixel_nm / NM_PER[unit], f" {unit.upper()} ", "a test")

    low, high = PLAUSIBLE_PIXEL_NM
    if low < float(f"{pixel_nm:.9g}") < high and unit.upper().lower() == unit:
        assert stated.stated.pixel_nm == pytest.approx(pixel_nm, rel=1e-8)


@pytest.mark.parametrize(
    ("unit", "nm"),
    [("nm", 1), ("nanometre", 1), ("um", 1e3), ("µm", 1e3), ("\u03bcm", 1e3), ("\\u00B5m", 1e3),
     ("micron", 1e3), ("Microns", 1e3), ("micrometer", 1e3), ("mm", 1e6), ("millimeter", 1e6),
     ("cm", 1e7), ("m", 1e9), ("inch", 25.4e6), ("Å", 0.1), ("angstrom", 0.1)],
)  # fmt: skip
def test_a_unit_of_length_has_the_size_of_the_metric_system(unit: str, nm: float) -> None:
    stated = Statements()

    stated.state_pixel(130.0 / nm, unit, "a test")

    assert stated.stated.pixel_nm == pytest.approx(130.0)


@given(st.floats(1e-3, 1e5))
def test_an_exposure_is_the_same_in_every_unit(exposure_ms: float) -> None:
    for unit, factor in (("s", 1e-3), ("ms", 1.0), ("us", 1e3), ("µs", 1e3), ("ns", 1e6)):
        stated = Statements()
        stated.state_exposure(repr(exposure_ms * factor), unit)
        assert stated.exposure_ms == pytest.approx(exposure_ms, rel=1e-8)


@given(
    st.dictionaries(
        st.sampled_from(
            ["Camera", "PixelSizeUm", "Exposure-ms", "Cam-Exposure", "Cam-Gain", "Cam-EMSwitch",
             "Cam-Port", "Cam-MultiplierGain", "Cam-Binning", "Cam-CONVERSION FACTOR COEFF",
             "Cam-CONVERSION FACTOR OFFSET", "Core-Camera"]
        ),
        anything | st.sampled_from(["Cam", "On", "Off", "EM", "1x1"]),
    )
)  # fmt: skip
def test_whatever_micro_manager_writes_only_possible_values_are_stated(
    tags: dict[str, Any],
) -> None:
    found = Statements()

    add_micromanager(found, tags)

    low, high = PLAUSIBLE_PIXEL_NM
    stated = found.stated
    assert stated.pixel_nm is None or low <= stated.pixel_nm <= high
    assert stated.em_gain is None or stated.em_gain >= 1
    assert stated.e_per_adu is None or stated.e_per_adu > 0
    assert stated.offset_adu is None or stated.offset_adu >= 0
    assert found.exposure_ms is None or found.exposure_ms > 0
    assert all(isinstance(text, str) and len(text) <= 100 for text in found.details.values())


@settings(max_examples=60)
@given(st.text("<>/=\"' PixelsPlaneExposureTimeSX0.1µ:", max_size=200))
def test_no_xml_is_too_broken_to_be_passed_over(text: str) -> None:
    found = Statements()

    add_ome_xml(found, f'<OME><Pixels PhysicalSizeX="0.1"/>{text}')

    assert found.stated.pixel_nm == 100.0


@given(st.dictionaries(st.sampled_from(["Pixelsize", "Baseline", "Sensitivity", "Gain"]),
                       st.text("0123456789.-einfa", max_size=6)))  # fmt: skip
def test_a_picasso_sidecar_states_a_camera_that_can_be(keys: dict[str, str]) -> None:
    found = Statements()

    add_picasso(found, keys)

    assert found.stated.em_gain is None or found.stated.em_gain >= 1
    assert found.stated.e_per_adu is None or found.stated.e_per_adu > 0


names = st.text("abcXYZ ", min_size=1, max_size=10).map(lambda text: f"K{text.strip()}")
values = st.text("abc0123456789.: <>'-", min_size=1, max_size=20).map(str.strip).filter(
    lambda text: bool(text) and text[0] not in "'\""
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(keys=st.dictionaries(names, values, max_size=6))
def test_flat_sidecars_give_every_key_its_text(tmp_path: Path, keys: dict[str, str]) -> None:
    path = tmp_path / "movie.yaml"
    path.write_text("".join(f"{key}: {value}\n" for key, value in keys.items()), encoding="utf-8")

    assert flat_yaml(path) == keys


def test_quotes_around_a_value_are_not_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "movie.yaml"
    path.write_text("Byte Order: '<'\nCamera: \"Cam 1\"\nNote: 'open\n")

    assert flat_yaml(path) == {"Byte Order": "<", "Camera": "Cam 1", "Note": "'open"}


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"Height: \xc3\x28\n"])
def test_a_sidecar_that_is_no_text_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "movie.yaml"
    path.write_bytes(content)

    with pytest.raises(FileFormatError, match=r"movie\.yaml cannot be read as a sidecar"):
        flat_yaml(path)
    with pytest.raises(FileFormatError, match=r"none\.yaml cannot be read as a sidecar"):
        flat_yaml(tmp_path / "none.yaml")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("tag", ["<Plane ", "<Pixels ", "<a:Plane ExposureTime=", "<" + "w" * 50])
def test_a_text_made_of_beginnings_of_tags_is_searched_in_time(tag: str) -> None:
    statements = Statements()

    add_ome_xml(statements, tag * 200_000)

    assert statements.exposure_ms is None
