"""Settings, plans, programs and commands that the documents show work as far as they can here."""

from __future__ import annotations

import ast
import re
import shlex
import textwrap
import tomllib
from pathlib import Path

import pytest
import typer
import useq
import yaml

from rtsmlm.cli import app
from rtsmlm.cli.lazy_commands import LazyCommand
from rtsmlm.errors import ConfigError
from rtsmlm.session.positions import _channel_settings, _check_end, load_sequence
from rtsmlm.settings.load import from_mapping, load, load_over
from rtsmlm.settings.run import RunSettings

ROOT = Path(__file__).parents[1]
PAGES = [page for where in (ROOT.glob("*.md"), *((ROOT / folder).rglob("*.md") for folder in (
    "docs", "examples", "rtsmlm"))) for page in sorted(where)]  # fmt: skip


def blocks(language: str) -> list[tuple[str, str]]:
    """Return (page, text) of every block of a language that is no excerpt of a file."""
    block = rf"(?<!\.py -->\n)^ *```{language}\n(.*?)^ *```"
    return [
        (page.relative_to(ROOT).as_posix(), textwrap.dedent(code))
        for page in PAGES
        for code in re.findall(block, page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    ]


def test_every_block_of_settings_is_valid_settings() -> None:
    checked = 0
    for page, text in blocks("toml"):
        data = tomllib.loads(text)
        if set(data) <= set(RunSettings.model_fields) and "feedback" not in data:
            from_mapping(data, page)
            checked += 1
        elif "feedback" in data:
            lasers = data.setdefault("lasers", {})
            lasers.setdefault(str(data["feedback"].get("laser", "activation")), {"device": "Laser"})
            from_mapping(data, page)
            checked += 1

    assert checked


def test_every_plan_of_positions_is_accepted_as_it_is_written() -> None:
    plans = [(page, yaml.safe_load(text)) for page, text in blocks("yaml")]
    plans = [(page, plan) for page, plan in plans if "stage_positions" in plan]

    assert plans
    for _page, plan in plans:
        sequence = useq.MDASequence(**plan)
        changes = _channel_settings(sequence)
        for channel in {e.channel.config if e.channel else "" for e in sequence}:
            _check_end(load_over(load(Path("hil_sim.toml")), changes.get(channel, ())), channel)


def test_every_program_can_be_read_by_python() -> None:
    programs = blocks("python")

    assert programs
    for _page, text in programs:
        ast.parse(text)


def test_every_command_line_names_a_command_and_options_that_there_are() -> None:
    group = typer.main.get_command(app)
    lines = [
        (page, line.partition(" #")[0].strip())
        for page, text in blocks("sh")
        for line in text.replace("\\\n", " ").splitlines()
        if line.strip().startswith("rtsmlm ")
    ]

    assert len(lines) > 20
    for page, line in lines:
        words = shlex.split(line)[1:]
        command = group
        with command.make_context("rtsmlm", [], resilient_parsing=True) as context:
            while words and hasattr(command, "get_command"):
                found = command.get_command(context, words[0])
                assert found is not None, f"{page}: {line}"
                command = found.load() if isinstance(found, LazyCommand) else found
                words = words[1:]
        there = {name for p in command.params for name in (*p.opts, *p.secondary_opts)} | {"--help"}
        for word in words:
            if word.startswith("--"):
                assert word.partition("=")[0] in there, f"{page}: {line}: {word}"


def test_the_readme_says_how_it_is_done_on_every_system() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")

    for word in ("Windows", "macOS", "PowerShell", r".venv\Scripts\Activate.ps1"):
        assert word in text
    shown = re.sub(r"<!--.*?-->", "", text)
    assert len(shown.split()) < 1200, "figures and methods stand in docs/"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_packaged_configuration_that_a_command_names_is_there(page: Path) -> None:
    names = re.findall(
        r"rtsmlm (?:live|hil) ((?:demo|mm|hil|sim)\w*\.toml)", page.read_text(encoding="utf-8")
    )
    for name in names:
        load(Path(name))


def test_a_plan_that_is_not_there_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no plan .*nope\.yaml"):
        load_sequence(tmp_path / "nope.yaml")
