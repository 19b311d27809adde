"""Where numba keeps machine code: set only while functions are made, so that nobody else's code is affected."""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path


@contextmanager
def numba_cache(directory: str | Path | None) -> Iterator[str]:
    """Compile with numba's cache in `directory`; yields a sentence for the user, empty when all is well.

    Arguments:
        directory: a folder (made if need be); None, or one that cannot be written, compiles into a folder that goes
            away with the process.
    """
    from numba.core import config

    before, note = config.CACHE_DIR, ""
    folder = None if directory is None else Path(directory)
    if folder is None or not _writable(folder):
        where = "No folder" if folder is None else f"{folder}"
        note = f"{where} can be written for compiled kernels, so they are compiled anew in every process."
        folder = _private(os.getpid())
    config.CACHE_DIR = str(folder)
    try:
        yield note
    finally:
        config.CACHE_DIR = before


@cache
def edition(folder: Path) -> str:
    """Hash of the modules of a folder. Numba keeps a function as long as its own file is unchanged, and with it the
    code of the functions of other files that it calls: machine code of other sources has to lie elsewhere."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


@cache
def _private(pid: int) -> Path:
    """A folder of this process alone: numba executes what it finds there, so nobody else may have made it."""
    folder = Path(tempfile.mkdtemp(prefix="qnnsym-"))

    def remove() -> None:
        if os.getpid() == pid:  # a forked child inherits this function, not the folder
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder
