"""The line that adds an extra fits the way in which rtsmlm was installed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from rtsmlm.settings import installation
from rtsmlm.settings.installation import install_line

ROOT = Path(__file__).parents[2]


class Distribution:
    """What pip has noted."""

    def __init__(self, note: object) -> None:
        self._note = note

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return None if self._note is None else json.dumps(self._note)


FOLDER = Path.home() / "my clone"


@pytest.mark.parametrize(
    ("note", "line"),
    [
        (None, 'pip install "rtsmlm[gpu]"'),
        (
            {"url": FOLDER.as_uri(), "dir_info": {"editable": True}},
            f'pip install -e "{FOLDER}[gpu]"',
        ),
        ({"url": FOLDER.as_uri(), "dir_info": {}}, f'pip install "{FOLDER}[gpu]"'),
        ({"url": Path.cwd().as_uri(), "dir_info": {"editable": True}}, 'pip install -e ".[gpu]"'),
        (
            {"url": "https://example.org/r.git", "vcs_info": {"vcs": "git", "commit_id": "0"}},
            'pip install "rtsmlm[gpu] @ git+https://example.org/r.git"',
        ),
        (
            {"url": "https://example.org/rtsmlm.whl", "archive_info": {}},
            'pip install "rtsmlm[gpu] @ https://example.org/rtsmlm.whl"',
        ),
        (["damaged"], 'pip install "rtsmlm[gpu]"'),
    ],
)
def test_an_extra_comes_from_where_rtsmlm_came_from(
    monkeypatch: pytest.MonkeyPatch, note: object, line: str
) -> None:
    monkeypatch.setattr(installation, "distribution", lambda _name: Distribution(note))

    assert install_line("gpu") == line


def test_no_message_and_no_page_takes_an_extra_from_the_package_index() -> None:
    files = [
        *ROOT.glob("*.md"),
        *(p for d in ("docs", "examples") for p in (ROOT / d).rglob("*.md")),
        *(p for d in ("rtsmlm", "drivers", "models") for p in (ROOT / d).rglob("*.py")),
    ]
    wrong = [str(f) for f in files if re.search(r"rtsmlm\[\w", f.read_text(encoding="utf-8"))]

    assert wrong == []
