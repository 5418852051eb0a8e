"""How this rtsmlm was installed, for the line that adds one of its extras."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

_NAME = "rtsmlm"


def install_line(extra: str) -> str:
    """Return the command that adds an extra to this installation.

    It names the clone, the file or the repository that rtsmlm came from, and the package index only
    where it came from there. Double quotes are understood by every shell, PowerShell included.

    Parameters
    ----------
    extra
        Name of the extra in `pyproject.toml`, such as gpu.
    """
    origin = _origin()
    url = str(origin.get("url", ""))
    if not url:
        return f'pip install "{_NAME}[{extra}]"'
    folder = _folder_of(url)
    if "dir_info" in origin and folder is not None:
        here = "." if folder == Path.cwd() else str(folder)
        editable = "-e " if dict(origin["dir_info"]).get("editable") else ""
        return f'pip install {editable}"{here}[{extra}]"'
    if "vcs_info" in origin:
        url = f"{dict(origin['vcs_info']).get('vcs', 'git')}+{url}"
    return f'pip install "{_NAME}[{extra}] @ {url}"'


def _origin() -> dict[str, dict[str, object]]:
    """Return what pip has noted of where rtsmlm came from; empty for a package index."""
    try:
        text = distribution(_NAME).read_text("direct_url.json")
        found = json.loads(text) if text else {}
    except (PackageNotFoundError, OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _folder_of(url: str) -> Path | None:
    parts = urlsplit(url)
    return Path(url2pathname(unquote(parts.path))) if parts.scheme == "file" else None
