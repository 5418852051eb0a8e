"""Pages ask to be read again when what a reader relies on has changed, and not at every change."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]

BEFORE = '''"""A module."""

from __future__ import annotations

LIMIT_NM = 60.0
"""The farthest."""
_HIDDEN = 3


class Settings:
    """Settings of a thing."""

    gain: float = 0.3
    """Part of the error."""

    def act(self, power: float, *, unit: str = "mW") -> float:
        """Return the power."""
        # A reason.
        return power * _HIDDEN


def _private(x: int) -> int:
    return x
'''


@pytest.fixture(scope="module")
def covered() -> ModuleType:
    spec = importlib.util.spec_from_file_location("covered", ROOT / ".ci" / "covered.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def project(covered: ModuleType, tmp_path: Path) -> Path:
    """Return a project of one page, which has been read."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "thing.py").write_text(BEFORE, encoding="utf-8")
    (tmp_path / "docs" / "page.md").write_text("---\ncovers: code\n---\n\n# Page\n", "utf-8")
    covered.write_record({"docs/page.md": covered.record_of(tmp_path / "docs/page.md", tmp_path)},
                         tmp_path)  # fmt: skip
    return tmp_path


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("gain: float = 0.3", "gain: float = 0.4"),
        ("Part of the error.", "Part of the logarithmic error."),
        ('unit: str = "mW"', 'unit: str = "W"'),
        ("def act", "def do"),
        ("Return the power.", "Return the power in its unit."),
        ("LIMIT_NM = 60.0", "LIMIT_NM = 70.0"),
        ("A module.", "Another module."),
        ("class Settings:", "class Settings(dict):"),
    ],
)
def test_a_page_is_due_when_what_a_reader_relies_on_has_changed(
    covered: ModuleType, project: Path, old: str, new: str
) -> None:
    assert covered.due(project) == {}
    file = project / "code" / "thing.py"
    file.write_text(BEFORE.replace(old, new), encoding="utf-8")

    assert covered.due(project) == {"docs/page.md": ["code/thing.py"]}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return power * _HIDDEN", "hidden = _HIDDEN\n        return hidden * power"),
        ("# A reason.", "# Another reason."),
        ("_HIDDEN = 3", "_HIDDEN = 4"),
        ("_private(x: int)", "_private(x: float)"),
        ('self, power: float, *, unit: str = "mW"',
         '\n        self,\n        power: float,\n        *,\n        unit: str = "mW",\n    '),
        ("Settings of a thing.", "Settings of\n    a thing."),
    ],
)  # fmt: skip
def test_a_page_is_not_due_when_only_the_inside_has_changed(
    covered: ModuleType, project: Path, old: str, new: str
) -> None:
    assert old in BEFORE
    file = project / "code" / "thing.py"
    file.write_text(BEFORE.replace(old, new), encoding="utf-8")

    assert covered.due(project) == {}


def test_a_file_that_comes_or_goes_makes_a_page_due(covered: ModuleType, project: Path) -> None:
    (project / "code" / "more.py").write_text('"""More."""\n', encoding="utf-8")
    assert covered.due(project) == {"docs/page.md": ["code/more.py"]}

    (project / "code" / "more.py").unlink()
    (project / "code" / "thing.py").unlink()
    assert covered.due(project) == {"docs/page.md": ["code/thing.py"]}


def test_a_page_that_covers_nothing_or_what_is_not_there_is_found(
    covered: ModuleType, project: Path
) -> None:
    (project / "docs" / "new.md").write_text("# New\n", encoding="utf-8")
    assert covered.due(project) == {"docs/new.md": []}

    (project / "docs" / "new.md").write_text("---\ncovers: gone.py\n---\n\n# New\n", "utf-8")
    with pytest.raises(FileNotFoundError, match=r"gone\.py"):
        covered.due(project)


def test_configurations_count_by_their_values(covered: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "rig.toml"
    file.write_text("[camera]\npixel_nm = 100  # here\n", encoding="utf-8")
    before = covered.digest(file)
    file.write_text("# Elsewhere\n[camera]\npixel_nm = 100\n", encoding="utf-8")
    assert covered.digest(file) == before

    file.write_text("[camera]\npixel_nm = 107\n", encoding="utf-8")
    assert covered.digest(file) != before


def test_front_matter_is_taken_off_a_page(covered: ModuleType) -> None:
    assert covered.front("---\ncovers: a b\n---\n\n# Page\n") == (["a", "b"], "# Page\n")
    assert covered.front("# Page\n") == ([], "# Page\n")


def test_every_page_was_read_since_what_it_covers_has_changed(covered: ModuleType) -> None:
    due = covered.due()

    asked = "\n".join(f"{page}: {', '.join(changed)}" for page, changed in due.items())
    assert due == {}, (
        "these pages cover what has changed since they were read; read them, mend what is wrong, "
        f"then: python .ci/re_read.py {' '.join(due)}\n{asked}"
    )
    record = covered.read_record()
    assert set(record) == {p.relative_to(ROOT).as_posix() for p in covered.pages()}


def test_the_command_that_records_a_reading_takes_no_page_that_covers_nothing() -> None:
    command = [sys.executable, "-P", ROOT / ".ci" / "re_read.py", "CHANGELOG.md"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "no page" in done.stdout
