"""Where compiled code is kept: beside its source or, where that is read-only, with the user.

numba keeps what it has compiled beside the source. Of an installation that is read-only it takes a
folder of its own for all versions of all packages, and where that cannot be written either (a
container, a service without a home) it refuses to import what is to be kept. Kept code does not
know the functions of other files that were compiled into it: a folder holds one version of rtsmlm.

Nothing but the standard library is imported here: this runs before everything else.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

VARIABLE = "RTSMLM_CACHE"
"""Folder of all that rtsmlm keeps for the next run, in place of the cache of the user."""
NUMBA_VARIABLE = "NUMBA_CACHE_DIR"


def user_cache() -> Path:
    """Return where rtsmlm keeps what is slow to make: `RTSMLM_CACHE`, else the user's cache."""
    if stated := os.environ.get(VARIABLE):
        return Path(stated)
    import platformdirs

    return platformdirs.user_cache_path("rtsmlm", appauthor=False)


def keep_compiled_code(package: Path | str, version: str) -> Path | None:
    """Choose where compiled code is kept, before the first function is to be compiled.

    Children of this process, which inherit its environment, keep it there, too.

    Parameters
    ----------
    package
        Folder of the package.
    version
        Of the package.

    Returns
    -------
    :
        The folder, or None where numba keeps it beside the source or where the user says
        (`NUMBA_CACHE_DIR`).
    """
    if os.environ.get(NUMBA_VARIABLE) or _is_writable(Path(package) / "__pycache__"):
        return None
    folder = user_cache() / "compiled" / version
    if not _is_writable(folder):
        folder = _for_this_process()
    os.environ[NUMBA_VARIABLE] = str(folder)
    if numba := sys.modules.get("numba"):  # a host has read its environment already
        numba.config.CACHE_DIR = str(folder)
    return folder


def _for_this_process() -> Path:
    """Return a fresh folder that is removed at the end of this process.

    A private one: kept code is run as it is, and no other user may put any there.
    """
    import atexit
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="rtsmlm-compiled-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _is_writable(folder: Path) -> bool:
    """Tell by trying: permissions do not say it on Windows, nor on a file system mounted so."""
    probe = folder / f".{os.getpid()}.probe"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.open("xb").close()
    except OSError:
        return False
    with suppress(OSError):
        probe.unlink()
    return True
