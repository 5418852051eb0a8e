"""Views and shares in the settings: what fits together, and what is refused."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
import tomli_w

from rtsmlm.channels.first_view import FirstView, field_shape
from rtsmlm.errors import ConfigError
from rtsmlm.frames import FrameBatch
from rtsmlm.settings.load import from_mapping, load
from rtsmlm.settings.run import RunSettings
from rtsmlm.stream.settings_part import SettingsPart

VIEWS = [
    {"name": "short", "region": [32, 8, 32, 40]},
    {"name": "long", "region": [64, 8, 32, 40], "x": [1.0, 1.0, 0.0], "y": [0.5, 0.0, 1.0]},
]
DYES = {"names": ["AF647", "CF680"], "fractions": [[0.6, 0.4], [0.2, 0.8]]}


def settings(**channels: object) -> RunSettings:
    return from_mapping({"channels": {"views": VIEWS, **channels}})


@pytest.mark.parametrize(
    ("channels", "said"),
    [
        ({"fractions": [[0.6, 0.4], [0.2, 0.8]]}, "give a row for each"),
        ({**DYES, "fractions": [[0.6, 0.4], [0.2, 0.7]]}, "sum 0.900"),
        ({**DYES, "fractions": [[0.6, 0.4], [1.0]]}, "has 1 shares; there are 2 views"),
        ({**DYES, "names": ["AF647", "AF647"]}, "a name twice"),
        ({"names": ["a", "b", "c"]}, "3 names for 2 views"),
        ({"names": ["../a", "b"]}, "match pattern"),
        ({"views": [VIEWS[0], {**VIEWS[1], "region": [60, 0, 32, 40]}]}, "share pixels"),
        ({"views": [VIEWS[0], {**VIEWS[1], "x": [0.0, 1.0]}]}, "need 3 or 6 coefficients"),
        ({"views": [{"name": "a", "region": [0, 0, 0, 4]}]}, "is no part of a frame"),
    ],
)
def test_what_does_not_fit_together_is_refused_in_a_sentence(
    channels: dict[str, object], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        settings(**channels)


def test_views_are_channels_by_their_names_where_no_shares_are_stated() -> None:
    assert settings().channels.channel_names() == ("short", "long")
    assert settings(**DYES).channels.channel_names() == ("AF647", "CF680")


def test_a_run_file_gives_the_same_views_again(tmp_path: Path) -> None:
    first = settings(**DYES)
    data = first.model_dump(mode="json", exclude_none=True)
    path = tmp_path / "run.toml"
    path.write_text(tomli_w.dumps(data), encoding="utf-8")

    assert load(path).channels == first.channels
    assert tomllib.loads(path.read_text(encoding="utf-8"))["channels"]["views"][1]["x"]


def test_the_field_is_the_first_view_and_rows_count_from_its_corner() -> None:
    channels = settings().channels
    pixels = np.arange(64 * 128, dtype=np.uint16).reshape(1, 64, 128)

    part = FirstView.of(channels, (64, 128)).frames(FrameBatch.from_pixels(pixels))

    assert field_shape(channels, (64, 128)) == (40, 32)
    assert field_shape(RunSettings().channels, (64, 128)) == (64, 128)
    assert (part.pixels == pixels[:, 8:48, 32:64]).all()
    assert SettingsPart.of(settings()).channels.corner == (32, 8)


def test_a_window_calls_channels_by_their_names() -> None:
    named = SettingsPart.of(settings(**DYES)).channels

    assert [named.name_of(k) for k in (0, 1, 255)] == ["AF647", "CF680", "not decided"]
    assert SettingsPart.of(settings()).channels.name_of(1) == "long"
    assert SettingsPart().channels.name_of(2) == "channel 2"
