"""Decoding on a GPU's terms finds what the CPU finds, row for row."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the decoder of GPUs is written in torch")

from rtsmlm.localizations import F32  # noqa: E402
from rtsmlm.models.flagship.decode import rows_of  # noqa: E402
from rtsmlm.models.flagship.decode_on_device import DeviceDecoder  # noqa: E402
from rtsmlm.models.flagship.maps import Map, background_channel_of  # noqa: E402
from rtsmlm.models.rows import DecodeSettings, Row  # noqa: E402

SHAPE = (60, 44)
SETTINGS = DecodeSettings(min_probability=0.3)


def device_rows(maps: F32, *, axial: bool, capacity: int = 4096) -> tuple[list[F32], list[int]]:
    decoder = DeviceDecoder(SETTINGS, SHAPE, background_channel_of(axial=axial), capacity)
    rows, counts, found = decoder(torch.from_numpy(maps))
    tables = [rows[k, :n].numpy() for k, n in enumerate(counts.tolist())]
    return tables, found.tolist()


@pytest.mark.parametrize("axial", [False, True])
@pytest.mark.parametrize("level", [-3.0, -1.0, 1.0])
def test_rows_are_those_of_the_cpu(axial: bool, level: float, rng: np.random.Generator) -> None:
    """Noise in every channel: crowds, corners, duplicates in chains, all there is."""
    maps = rng.normal(0.0, 0.7, (4, 40, 32, 24)).astype(np.float32)
    maps[:, :4] = rng.normal(level, 2.5, (4, 4, 32, 24))
    maps[0, :4] = np.round(maps[0, :4])  # equal neighbours
    maps[1, 4:12] *= 3.0  # far from the centres of their pixels: many are too close
    expected = rows_of(maps, SHAPE, axial=axial, settings=SETTINGS)

    found, _ = device_rows(maps, axial=axial)

    assert sum(map(len, expected)) > 100
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(b, a, rtol=2e-4, atol=2e-4)


def test_a_frame_without_emitters_gives_no_rows() -> None:
    maps = np.full((1, 32, 32, 24), -9.0, dtype=np.float32)

    found, candidates = device_rows(maps, axial=False)

    assert len(found[0]) == 0
    assert candidates == [0]


def test_more_candidates_than_room_are_reported_and_not_forgotten(
    rng: np.random.Generator,
) -> None:
    maps = rng.normal(1.0, 2.5, (1, 32, 32, 24)).astype(np.float32)

    _, candidates = device_rows(maps, axial=False, capacity=16)

    assert candidates[0] > 16


def test_of_a_chain_of_rows_those_stay_that_no_kept_one_is_near() -> None:
    """0.9 beats its neighbour 0.8, which then beats nobody: the third stays."""
    maps = np.zeros((1, 32, 32, 24), dtype=np.float32)
    maps[:, :4] = -12.0
    for column, p, x in ((20, 0.9, 20.5), (21, 0.8, 21.0), (22, 0.7, 21.5)):
        channel, cell = column % 2, column // 2
        maps[0, channel, 10, cell] = math.log(p / (1 - p))
        maps[0, 4 * Map.DX + channel, 10, cell] = math.atanh(x - column)
    settings_rows = rows_of(maps, SHAPE, axial=False, settings=DecodeSettings())[0]

    np.testing.assert_allclose(settings_rows[:, Row.X], [20.5, 21.5], atol=1e-3)
