"""What other users of a machine can read names no folder of the user."""

from __future__ import annotations

import pytest

from rtsmlm.stream.folders import without_folders


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "cannot write /home/kim/out/cell-3/raw.ome.zarr: full",
            "cannot write …/raw.ome.zarr: full",
        ),
        (r"cannot write C:\Users\Kim Lee\out\raw.zarr: full", "cannot write …/raw.zarr: full"),
        ("cannot write C:/Users/kim/raw.zarr", "cannot write …/raw.zarr"),
        (r"the share \\server\lab\kim\a.tif is gone", "the share …/a.tif is gone"),
        ("'/data/a b/c.cfg' is not there", "'…/c.cfg' is not there"),
        ("see ~/keys/server.key", "see …/server.key"),
    ],
)
def test_of_a_path_only_the_last_name_is_left(text: str, shown: str) -> None:
    assert without_folders(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "published on tcp://127.0.0.1:5758",
        "ipc is tcp://[::1]:5757/x",
        "5 frames/s, 3/4 lost",
        "a density of 0.1 /um2",
        "see analysis.log in the run folder",
        "results.out/run is there",
    ],
)
def test_a_sentence_without_a_path_stays_as_it_is(text: str) -> None:
    assert without_folders(text) == text
