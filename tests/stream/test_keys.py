"""Keys for another machine: made by one command, private, and the only way in."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rtsmlm.cli import app
from rtsmlm.errors import ConfigError
from rtsmlm.files.tables.arrow_schema import schema
from rtsmlm.stream.keys import load_client_keys, make_keys
from rtsmlm.stream.publisher import Publisher
from rtsmlm.stream.subscriber import Subscriber


def is_let_in(out: Publisher, keys: Path | None) -> bool:
    """Return whether the first message comes."""
    with Subscriber(out.address, timeout_s=3.0 if keys else 0.5, curve_keys=keys) as reader:
        return bool(reader._socket.poll(3000 if keys and keys.name != "other" else 500))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    result = CliRunner().invoke(
        app, ["keys", str(tmp_path / "keys"), "--client", "office", "--client", "lab-2"]
    )
    assert result.exit_code == 0, result.output
    return tmp_path / "keys"


def test_the_keys_of_the_command_let_in_who_has_them_and_nobody_else(
    folder: Path, tmp_path: Path
) -> None:
    make_keys(tmp_path / "stranger", ["other"])
    stranger = tmp_path / "stranger" / "other"
    (stranger / "server.key").write_bytes((folder / "office" / "server.key").read_bytes())
    out = Publisher(
        "tcp://127.0.0.1:*", schema=schema({}), settings={}, curve_keys=folder / "server"
    )
    out.start()
    try:
        assert is_let_in(out, folder / "office")
        assert is_let_in(out, folder / "lab-2")
        assert is_let_in(out, folder / "server"), "the window of the run itself"
        assert not is_let_in(out, stranger)
        assert not is_let_in(out, None)
    finally:
        out.close()


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="modes are of POSIX")
def test_no_other_user_can_read_a_secret(folder: Path) -> None:
    secrets = list(folder.rglob("*.key_secret"))
    assert len(secrets) == 4
    for path in secrets:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_machine_can_be_added_and_the_keys_of_the_others_stay(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    made = make_keys(folder, ["office", "third"])

    assert made == [folder / "third"]
    assert all(path.read_bytes() == data for path, data in before.items())
    assert load_client_keys(folder / "third")[0] == load_client_keys(folder / "office")[0]


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\\b", "server", "client", "-x", "a\x1bb", "ä"])
def test_a_name_that_is_none_for_a_folder_makes_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be the name of a machine"):
        make_keys(tmp_path / "keys", [name])
    assert list(tmp_path.iterdir()) == []


def test_keys_that_are_not_there_are_named_with_the_command_that_makes_them(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError, match=r"server\.key .*rtsmlm keys makes all that is needed"):
        Subscriber("tcp://127.0.0.1:9", curve_keys=tmp_path)
