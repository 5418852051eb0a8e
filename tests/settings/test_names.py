"""Names of run folders: shown as they are, and possible on every system."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsmlm.errors import ConfigError
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.settings.load import from_mapping
from rtsmlm.settings.names import check_folder_name, folder_name_of

BAD = [
    "", ".", "..", "a\n", "a\x1b[31m", "a\u202eb", "a\u200bb", "a\udcffb", "a.", "a ", "CON", "con",
    "NUL.txt", "com1", "COM1.a.b", "lpt9", "aux", "CONIN$", "x" * 300,
]  # fmt: skip


@pytest.mark.parametrize("name", BAD, ids=ascii)
def test_a_name_that_misleads_or_cannot_be_made_everywhere_is_refused(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(ConfigError) as error:
        RunFolder.create(tmp_path, name)

    assert str(error.value).isprintable()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match=r"results\.name"):
        from_mapping({"results": {"name": name}})


@pytest.mark.parametrize("out", ["/", ".", "", "..", "out/..", "a\x1b[2J/run"])
def test_an_out_that_names_no_folder_of_its_own_is_refused(out: str) -> None:
    path = Path(out)

    with pytest.raises(ConfigError, match="--out"):
        RunFolder.create(path.parent, path.name)
    with pytest.raises(ConfigError, match="--out"):
        RunFolder.create_free(path.parent, path.name)


@pytest.mark.parametrize("name", ["cell_3", "-x", "Ünïcödé 3", "a.b", "conrad", "com10", "x" * 200])
def test_other_names_are_taken(tmp_path: Path, name: str) -> None:
    assert RunFolder.create(tmp_path, name).path.is_dir()


@given(st.text(st.characters(exclude_characters="/\0"), max_size=300))
def test_the_name_of_any_movie_becomes_one_that_a_folder_may_have(text: str) -> None:
    check_folder_name(folder_name_of(text))


def test_the_name_of_a_movie_stays_where_it_may() -> None:
    assert folder_name_of("cell 3, DNA-PAINT") == "cell 3, DNA-PAINT"
    assert folder_name_of("con") == "movie_con"
