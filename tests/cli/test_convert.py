"""A table goes from any program to any other by one command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rtsmlm.cli.convert import convert
from rtsmlm.errors import ConfigError
from rtsmlm.files.tables.export import FILE_NAMES, export
from rtsmlm.files.tables.read import Table, read_table
from rtsmlm.localizations import Localizations


@pytest.fixture
def bead() -> Table:
    columns = {"frame": np.arange(4, 7), "x_nm": np.full(3, 1234.5), "y_nm": np.full(3, 567.8)}
    columns |= {"photons": np.full(3, 1500.0), "std_x_nm": np.full(3, 7.0)}
    columns |= {"std_y_nm": np.full(3, 9.0), "background": np.full(3, 11.0)}
    metadata = {"pixel_nm": 108.3, "shape": [40, 64], "n_frames": 100}
    return Table(Localizations.from_columns(columns), metadata)


@pytest.mark.parametrize("first", FILE_NAMES)
def test_a_bead_is_at_its_place_whichever_programs_it_has_passed(
    bead: Table, tmp_path: Path, first: str
) -> None:
    (source,) = export(bead, [first], tmp_path / "first")

    convert(source, ",".join(FILE_NAMES), tmp_path / "second", None)

    for name in FILE_NAMES.values():
        rows = read_table(tmp_path / "second" / name).localizations
        assert rows.frame.tolist() == [4, 5, 6], name
        np.testing.assert_allclose(rows.x_nm, 1234.5, atol=2e-3, err_msg=name)
        np.testing.assert_allclose(rows.y_nm, 567.8, atol=2e-3, err_msg=name)
        np.testing.assert_allclose(rows.std_y_nm, 9.0, atol=1e-4, err_msg=name)


def test_an_unknown_format_is_refused_with_those_that_there_are(
    bead: Table, tmp_path: Path
) -> None:
    (source,) = export(bead, ["parquet"], tmp_path)

    with pytest.raises(ConfigError, match="smlm"):
        convert(source, "excel", tmp_path, None)
