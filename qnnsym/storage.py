"""Writes that are whole or absent: temporary sibling, fsync, rename, under a lock that dies with its holder.

Leftovers of a killed process carry the target's name: `.tmp-<token>-<name>` was never finished and is removed by
the next writer of that target, with what stands for an atomic write into it; `.old-<token>-<name>` is the previous
folder, moved aside for the moment between two renames, and comes back when the new one did not arrive. Only the
holder of the target's lock touches them.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from qnnsym.errors import QnnsymError, StorageError

# Longer than any single write; whoever waits this long is told who to look for.
PATIENCE = 600.0
ADVICE = {
    errno.ENOSPC: "the disk is full; free some space and run again",
    errno.EDQUOT: "the disk quota is used up; free some space and run again",
    errno.EACCES: "writing there is not permitted; choose a folder of your own or change its permissions",
    errno.EPERM: "writing there is not permitted; choose a folder of your own or change its permissions",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.ENOTDIR: "a file stands where a folder is needed; move it away or choose another folder",
    errno.EEXIST: "a file stands where a folder is needed; move it away or choose another folder",
    errno.EISDIR: "a folder stands where the file should go; move it away or choose another name",
    errno.ENAMETOOLONG: "the name is too long for the file system; choose a shorter one",
    errno.EFBIG: "the file is larger than is allowed here; raise the limit or choose another folder",
    errno.EIO: "the device reports an input/output error; check it before you trust what it holds",
}
_DEVICE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO)
_held = threading.local()


@contextmanager
def locked(path: str | os.PathLike[str], timeout: float = PATIENCE) -> Iterator[None]:
    """Hold the only right to write a file or folder; other processes and threads wait, this thread may enter again.

    The lock is `.<name>.lock` beside the target. The operating system drops it when its holder dies, so nothing has
    to be cleaned up by hand; the file itself goes away with the last holder.

    Arguments:
        path: the file or folder that is protected; its parent folder is made if need be.
        timeout: seconds to wait for another holder.

    Raises:
        StorageError: when the folder cannot be written, or another holder does not let go in time.
    """
    target = _resolved(path)
    lock = target.with_name(f".{target.name}.lock")
    # The process is part of the key: a forked child inherits the table, not the right.
    key, counts = (os.getpid(), str(lock)), vars(_held).setdefault("counts", {})
    if key in counts:
        counts[key] += 1
        try:
            yield
        finally:
            counts[key] -= 1
        return
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _acquire(lock, target, timeout)
    counts[key] = 1
    try:
        yield
    finally:
        del counts[key]
        with suppress(OSError):  # Windows keeps a file that others have open; it is reused then
            lock.unlink()
        os.close(descriptor)


def atomic_write(path: str | os.PathLike[str], content: str | bytes) -> Path:
    """Write a file so that readers find the old content or the new one, whenever the process ends.

    Arguments:
        path: the file; a symbolic link is followed.
        content: text (written as UTF-8, line ends as given) or bytes.

    Returns:
        The path written.

    Raises:
        StorageError: when the disk refuses; the old content is still there then.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    return Path(path)


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary file name with the same ending, for libraries that write by name; it becomes `path` at the end.

    Raises:
        StorageError: when the disk refuses; an error in the body leaves the old content.
    """
    target = _resolved(path)
    with locked(target):
        if target.is_dir():
            raise StorageError(f"Cannot write {path}: {ADVICE[errno.EISDIR]}.")
        with disk_errors(target):
            _sweep(target)
        temporary = _sibling(target, "tmp")
        try:
            with _body_errors(target, temporary):
                yield temporary
            with disk_errors(target):
                _sync(temporary)
                os.replace(temporary, target)
                _sync(target.parent)
        finally:
            with suppress(OSError):
                temporary.unlink()


@contextmanager
def atomic_directory(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield an empty sibling folder that replaces `target` at the end; what was in `target` before is gone then.

    Arguments:
        target: the folder; a symbolic link is followed. Its parents are made.

    Raises:
        StorageError: when the disk refuses, or `target` is a file. Any error in the body leaves the old folder.
    """
    folder = _resolved(target)
    with locked(folder):
        with disk_errors(folder):
            if folder.exists() and not folder.is_dir():
                raise StorageError(f"Cannot write the folder {target}: {ADVICE[errno.ENOTDIR]}.")
            _sweep(folder)
            temporary = _sibling(folder, "tmp")
            temporary.mkdir()
        try:
            with _body_errors(folder, temporary):
                yield temporary
            with disk_errors(folder):
                _sync_tree(temporary)
                _exchange(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def in_use(target: str | os.PathLike[str]) -> bool:
    """True while somebody writes the file or folder, or after such a writer was killed; only looked at."""
    path = _resolved(target)
    if not path.parent.is_dir():
        return False
    return path.with_name(f".{path.name}.lock").exists() or any(_leftovers(path, "old") + _leftovers(path, "tmp"))


def recover(target: str | os.PathLike[str]) -> bool:
    """Bring back a folder whose writer was killed between its two renames; True when the target is there afterwards.

    Raises:
        StorageError: when the place cannot be written.
    """
    folder = _resolved(target)
    if not folder.parent.is_dir() or not (folder.exists() or any(_leftovers(folder, "old"))):
        return False
    with locked(folder), disk_errors(folder):
        _sweep(folder)
    return folder.exists()


@contextmanager
def disk_errors(path: str | os.PathLike[str], action: str = "write") -> Iterator[None]:
    """Turn every OSError of the body into a StorageError that names the path and says what to do."""
    try:
        yield
    except QnnsymError:
        raise
    except OSError as error:
        raise _storage_error(path, error, action) from error


@contextmanager
def _body_errors(target: Path, temporary: Path) -> Iterator[None]:
    """The same for a caller's body, which may fail for reasons of its own: only what concerns this write is turned."""
    try:
        yield
    except QnnsymError:
        raise
    except OSError as error:
        ours = error.filename is not None and Path(os.fsdecode(error.filename)).is_relative_to(temporary)
        # HDF5 reports the reason in its text alone.
        full = os.strerror(errno.ENOSPC) in str(error)
        if ours or full or error.errno in _DEVICE:
            raise _storage_error(target, OSError(errno.ENOSPC, "") if full else error, "write") from error
        raise


def _storage_error(path: str | os.PathLike[str], error: OSError, action: str) -> StorageError:
    reason = ADVICE.get(error.errno or 0) if action == "write" else None
    return StorageError(f"Cannot {action} {os.fspath(path)}: {reason or error.strerror or error}.")


def _resolved(path: str | os.PathLike[str]) -> Path:
    # A link to a larger disk stays a link: its target is what is replaced, and lives where the rename is atomic.
    return Path(os.path.realpath(path))


def _sibling(target: Path, kind: str) -> Path:
    return target.with_name(f".{kind}-{secrets.token_hex(8)}-{target.name}")


def _leftovers(target: Path, kind: str) -> list[Path]:
    name, token = re.escape(target.name), "[0-9a-f]{16}"
    # A write into the temporary file has a temporary file and a lock of its own, named after it.
    nested = rf"|(\.tmp-{token}-){{2}}{name}|\.\.tmp-{token}-{name}\.lock" if kind == "tmp" else ""
    pattern = re.compile(rf"\.{kind}-{token}-{name}{nested}")
    return sorted(p for p in target.parent.iterdir() if pattern.fullmatch(p.name))


def _sweep(target: Path) -> None:
    """Undo what a killed writer of this target left; the caller holds its lock."""
    previous = _leftovers(target, "old")
    if previous and not target.exists():
        os.rename(previous.pop(), target)
    for path in [*previous, *_leftovers(target, "tmp")]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _exchange(temporary: Path, folder: Path) -> None:
    if not folder.exists():
        os.rename(temporary, folder)
        _sync(folder.parent)
        return
    previous = _sibling(folder, "old")
    os.rename(folder, previous)
    try:
        os.rename(temporary, folder)
    except BaseException:
        os.rename(previous, folder)
        raise
    _sync(folder.parent)
    # A file held open by a reader may stay on some systems; the next writer removes it.
    shutil.rmtree(previous, ignore_errors=True)


def _sync_tree(folder: Path) -> None:
    for root, _, names in os.walk(folder):
        for name in names:
            _sync(Path(root, name))
        _sync(Path(root))


def _sync(path: Path) -> None:
    if sys.platform == "win32" and path.is_dir():
        return  # folders cannot be opened there
    descriptor = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot flush a folder; the rename itself was ordered by the server.
        if not (error.errno == errno.EINVAL and path.is_dir()):
            raise
    finally:
        os.close(descriptor)


def _acquire(lock: Path, target: Path, timeout: float) -> int:
    deadline, pause = time.monotonic() + timeout, 0.002
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            # The last holder unlinks the file before it lets go: a lock on an unlinked file protects nothing.
            if _try_lock(descriptor) and _still_there(descriptor, lock):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        if time.monotonic() > deadline:
            raise StorageError(
                f"Another process has been writing {target} for {timeout:g} s; wait for it or end it, then run again."
            )
        time.sleep(pause)
        pause = min(2 * pause, 0.1)


def _still_there(descriptor: int, lock: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(lock))
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EDEADLK):
                return False
            raise
        return True

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
