"""Every Python block and every command of the pages runs, in their order, in a folder of its own.

Runs are short and without a window (`SHORTER`). What cannot run here says why in the page, in a
comment before its block: `<!-- not run: REASON -->` for the whole block, or for the lines that hold
some words `<!-- not run "WORDS": REASON -->`.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rtsmlm.cli import app

ROOT = Path(__file__).parents[2]
PAGES = [page for where in (ROOT.glob("*.md"), *((ROOT / folder).rglob("*.md") for folder in (
    "docs", "examples", "rtsmlm"))) for page in sorted(where)]  # fmt: skip

MOST_NOT_RUN = 60
"""Commands and programs that say why they do not run: each one more wants a reason to be here."""

LEAST_RUN = 50
"""Commands and programs of the pages that run."""

OTHER_PROGRAMS = ("pip", "pytest", "ruff", "mypy", "python", "dask", ".ci/run", "(cd")
"""These change the environment, or are run by `.ci/run` and other tests."""

NEED_TORCH = "localizer.engine=torch"

QUICK = ("pipeline.process=false", "stream.address=tcp://127.0.0.1:*")
SHORTER: dict[str, tuple[str, ...]] = {
    "live": ("--headless", "--frames", "30", *(w for s in QUICK for w in ("--set", s))),
    "follow": ("--headless", "--idle", "0.5"),
    "init": ("--yes",),
    "hil": ("--only", "camera-rate"),
    "models": ("--no-speed",),
}

ELSEWHERE = {"D:/data/cell-3_1": "movie.tif"}
"""What stands for a path of the reader's own machine."""

LIVE_SO_FAR: set[str] = set()
"""Live runs that another page showed first; what they write is named by the clock and not used."""

FENCE = re.compile(
    r"(?P<marks>(?:^ *<!--[^\n]*-->\n)*)^ *```(?P<language>python|sh)\n(?P<text>.*?)^ *```",
    re.DOTALL | re.MULTILINE,
)
MARK = re.compile(r'<!-- not run(?: "(?P<words>[^"]+)")?: (?P<why>[^\n]+?) -->')


@dataclass(frozen=True)
class Block:
    """A block of a page that is no excerpt of a file."""

    language: str
    text: str
    not_run: tuple[tuple[str, str], ...]
    """Words of the lines that do not run ("" for all) and why."""

    def excused(self, line: str = "") -> bool:
        """Whether this line, or the whole block, says why it is not run."""
        return any(not words or (line and words in line) for words, _ in self.not_run)


def blocks(page: Path) -> list[Block]:
    found = []
    for match in FENCE.finditer(page.read_text(encoding="utf-8")):
        if "<!-- from " in match["marks"]:
            continue
        not_run = tuple((m["words"] or "", m["why"]) for m in MARK.finditer(match["marks"]))
        found.append(Block(match["language"], textwrap.dedent(match["text"]), not_run))
    return found


def lines(block: Block) -> list[str]:
    """Return the commands of a shell block, without comments."""
    text = block.text.replace("\\\n", " ")
    return [cut for line in text.splitlines() if (cut := line.partition(" #")[0].strip())]


def shortened(words: list[str]) -> list[str]:
    """Return a command that ends soon."""
    name = words[0]
    for option in ("--frames", "--seconds"):
        if name == "live" and option in words:
            at = words.index(option)
            words = words[:at] + words[at + 2 :]
    return [*words, *SHORTER.get(name, ())]


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if blocks(page)],
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
def test_what_a_page_shows_runs(
    page: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    provide: Callable[[str, str], None],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RTSMLM_MICROSCOPES", str(tmp_path / "microscopes"))
    names: dict[str, object] = {}
    wrong = []

    def make(text: str) -> None:
        provide(text, page.name)

    for block in blocks(page):
        if block.language == "python" and not block.excused():
            provide(block.text.replace('"', " "), page.name)
            exec(compile(block.text, str(page), "exec"), names)  # noqa: S102
        elif block.language == "sh":
            wrong += [run(line, make) for line in lines(block) if not block.excused(line)]

    assert not [said for said in wrong if said], "\n".join(filter(None, wrong))


def test_what_does_not_run_says_why_and_is_the_exception() -> None:
    excused = ran = 0
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        found = blocks(page)
        marks = [mark for block in found for mark in block.not_run]
        assert len(marks) == text.count("<!-- not run"), f"{page}: a reason stands before no block"
        for block in found:
            shown = lines(block) if block.language == "sh" else [block.text]
            for words, why in block.not_run:
                assert any(words in line for line in shown), f"{page}: no line holds {words!r}"
                for test in re.findall(r"tests/[\w/.]+\w", why):
                    assert (ROOT / test).exists(), f"{page}: there is no {test}"
            ours = [line for line in shown if line.partition(" ")[0] not in OTHER_PROGRAMS]
            excused += sum(block.excused(line) for line in ours)
            ran += sum(not block.excused(line) for line in ours)

    assert excused <= MOST_NOT_RUN
    assert ran > LEAST_RUN


def run(line: str, make: Callable[[str], None]) -> str | None:
    """Run one line of a shell block, shortened, and return what was wrong with it."""
    for there, here in ELSEWHERE.items():
        line = line.replace(there, here)
    program, *words = shlex.split(line)
    if program in OTHER_PROGRAMS:
        return None
    if program != "rtsmlm":
        return f"{line}: what is not rtsmlm says why it does not run"
    if NEED_TORCH in words and importlib.util.find_spec("torch") is None:
        return None
    if words[0] == "live" and "--out" not in words:
        if line in LIVE_SO_FAR:
            return None
        LIVE_SO_FAR.add(line)
    make(line.replace("=", " "))
    done = CliRunner().invoke(app, shortened(words))
    if done.exit_code == 0:
        return None
    return f"{line}\n{done.output[-1500:]}\n{done.exception!r}\n"
