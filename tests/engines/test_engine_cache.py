"""The cache gives back what was put in, and nothing that was built from something else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rtsmlm.engines.engine_cache import VARIABLE, EngineCache, EngineKey, cache_folder
from rtsmlm.errors import SinkError

KEY = EngineKey(
    runtime="tensorrt_rtx 1.7.1",
    target="sm_89",
    model="flagship-2d",
    model_sha256="0" * 64,
    shape=(8, 256, 256),
    precision="f16",
)
ENGINE = bytes(range(256)) * 16


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "engines")


def test_what_was_written_is_read(cache: EngineCache) -> None:
    assert cache.read(KEY) == (None, "")

    path = cache.write(KEY, ENGINE, 1.5)

    assert cache.read(KEY) == (ENGINE, "")
    assert sorted(p.name for p in cache.folder.iterdir()) == [
        f"{KEY.name}.engine",
        f"{KEY.name}.toml",
    ]
    assert path.read_bytes() == ENGINE
    text = path.with_suffix(".toml").read_text(encoding="utf-8")
    assert all(word in text for word in ("sm_89", "flagship-2d", "tensorrt_rtx 1.7.1", "1.5"))


@pytest.mark.parametrize(
    "other",
    [
        replace(KEY, runtime="tensorrt_rtx 1.8.0"),
        replace(KEY, target="sm_120"),
        replace(KEY, model_sha256="1" * 64),
        replace(KEY, shape=(8, 256, 264)),
        replace(KEY, precision="f32"),
    ],
)
def test_another_key_is_another_entry(cache: EngineCache, other: EngineKey) -> None:
    cache.write(KEY, ENGINE, 1.5)

    assert cache.read(other) == (None, "")


def test_a_foreign_entry_is_refused_with_a_reason(cache: EngineCache) -> None:
    other = replace(KEY, target="sm_120")
    path = cache.write(other, ENGINE, 1.5)
    for file in (path, path.with_suffix(".toml")):
        file.rename(file.with_stem(KEY.name))

    engine, reason = cache.read(KEY)

    assert engine is None
    assert "something else" in reason


def test_a_damaged_engine_is_refused_with_a_reason(cache: EngineCache) -> None:
    path = cache.write(KEY, ENGINE, 1.5)
    path.write_bytes(ENGINE[:-1])

    engine, reason = cache.read(KEY)

    assert engine is None
    assert "sha256" in reason
    assert [entry.fault for entry in cache.entries()] == [reason]


@pytest.mark.parametrize("suffix", [".toml", ".engine"])
def test_half_an_entry_is_refused_with_a_reason(cache: EngineCache, suffix: str) -> None:
    cache.write(KEY, ENGINE, 1.5).with_suffix(suffix).unlink()

    engine, reason = cache.read(KEY)

    assert engine is None
    assert "is missing" in reason


def test_a_record_that_is_no_toml_is_refused_with_a_reason(cache: EngineCache) -> None:
    cache.write(KEY, ENGINE, 1.5).with_suffix(".toml").write_bytes(b"\xff\x00 nonsense")

    engine, reason = cache.read(KEY)

    assert engine is None
    assert "cannot be read" in reason


def test_writing_again_replaces(cache: EngineCache) -> None:
    cache.write(KEY, ENGINE, 1.5)
    cache.write(KEY, b"new", 0.1)

    assert cache.read(KEY) == (b"new", "")
    assert len(list(cache.entries())) == 1


def test_clearing_removes_entries_and_nothing_else(cache: EngineCache) -> None:
    assert cache.clear() == 0
    cache.write(KEY, ENGINE, 1.5)
    cache.write(replace(KEY, precision="f32"), ENGINE, 1.5)
    (cache.folder / "notes.txt").write_text("mine")

    assert cache.clear() == 2

    assert [path.name for path in cache.folder.iterdir()] == ["notes.txt"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(SinkError, match=VARIABLE):
        EngineCache(tmp_path / "file" / "engines").write(KEY, ENGINE, 1.5)


def test_the_folder_can_be_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert cache_folder() == tmp_path / "engines"

    monkeypatch.delenv(VARIABLE)
    assert cache_folder().parts[-2:] == ("rtsmlm", "engines") or "rtsmlm" in str(cache_folder())
