"""`rtsmlm mcp`: a client lists tools, asks about a run, and can change nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

mcp = pytest.importorskip("mcp")
from mcp import ClientSession, StdioServerParameters, stdio_client  # noqa: E402

from rtsmlm.errors import ConfigError  # noqa: E402
from rtsmlm.session.session import Session  # noqa: E402
from rtsmlm.settings.run import RunSettings  # noqa: E402
from rtsmlm.viewer.docs_search import search_documents  # noqa: E402

TOOLS = {
    "status", "density", "ledger", "resolution", "validity", "last_image", "search_docs",
}  # fmt: skip
PNG = b"\x89PNG\r\n\x1a\n"


def ask(
    where: str, questions: list[tuple[str, dict[str, Any]]], after_s: float = 1.0
) -> tuple[list[Any], list[Any]]:
    """Start a server as a client does; return its tools, and its answers to some questions."""
    server = StdioServerParameters(
        command=sys.executable, args=["-P", "-m", "rtsmlm.cli", "mcp", where]
    )

    async def talk() -> tuple[list[Any], list[Any]]:
        async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
            await session.initialize()
            tools = (await session.list_tools()).tools
            await anyio.sleep(after_s)
            return tools, [await session.call_tool(name, values) for name, values in questions]

    return anyio.run(talk)


def files_of(folder: Path) -> dict[str, bytes]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


@pytest.fixture
def run_over(
    quick_settings: Callable[..., RunSettings], spot_camera: Callable[..., Any], tmp_path: Path
) -> Path:
    """Return the folder of a simulated run of 200 frames."""
    with Session(spot_camera(), quick_settings("acquisition.frames=200")) as session:
        assert session.wait(60)
    return tmp_path / "run"


def test_a_run_that_goes_on_is_asked_through_its_stream(
    quick_settings: Callable[..., RunSettings], spot_camera: Callable[..., Any]
) -> None:
    with Session(spot_camera(period_s=0.005), quick_settings()) as session:
        assert session.stream_address is not None
        tools, (status, camera) = ask(
            session.stream_address, [("status", {}), ("last_image", {"kind": "camera"})], 2.0
        )
        is_running = not session.camera_ended.is_set()

    assert {tool.name for tool in tools} == TOOLS
    assert json.loads(status.content[0].text)["status"]["totals"]["received"] > 50
    assert camera.content[0].mime_type == "image/png"
    assert is_running


def test_a_client_lists_tools_and_asks_about_a_run_and_changes_no_file(run_over: Path) -> None:
    before = files_of(run_over)
    questions: list[tuple[str, dict[str, Any]]] = [
        ("status", {}),
        ("ledger", {}),
        ("last_image", {}),
        ("validity", {}),
        ("resolution", {}),
        ("density", {"estimates": 2}),
        ("search_docs", {"query": "calibrate camera dark frames"}),
    ]

    tools, answers = ask(str(run_over), questions)

    assert {tool.name for tool in tools} == TOOLS
    assert all(tool.annotations.read_only_hint for tool in tools)
    assert not any(answer.is_error for answer in answers), answers
    status, ledger, image, *_, found = (answer.content[0] for answer in answers)
    totals = json.loads(status.text)["status"]["totals"]
    assert totals["received"] == totals["localized"] == 200
    assert json.loads(ledger.text)["totals"]["received"] == 200
    assert image.mime_type == "image/png"
    assert json.loads(found.text)[0]["text"]
    assert files_of(run_over) == before


def test_documents_are_found_by_their_words() -> None:
    found = search_documents("crowding density", most=3)

    assert 1 <= len(found) <= 3
    assert any("densit" in (one.title + one.text).casefold() for one in found)
    assert search_documents("xyzzyplugh") == []


def test_without_the_package_a_sentence_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from rtsmlm.cli.mcp import mcp as command

    monkeypatch.setitem(sys.modules, "mcp.server.mcpserver", None)

    with pytest.raises(ConfigError, match=r"\[mcp\]"):
        command(str(tmp_path))
