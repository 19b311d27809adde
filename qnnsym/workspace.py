"""Where derivations, kernels and results are found and kept: the user's folder, and what is shipped (never written).

A folder has `derivations/` (the source of truth), `generated/` (committed kernels), `results/`, and `.qnnsym/` for
what can be made again. The shipped folder has the first two. Listing reads files and executes none of them.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
import inspect
import json
import linecache
import os
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING

from qnnsym.errors import InputError, StorageError
from qnnsym.storage import atomic_write

if TYPE_CHECKING:
    from qnnsym.derivation.model import Model


# One shipped derivation of each pillar, for a first look.
TOUR = ("quartic_oscillator", "recurrent_network")


@dataclass(frozen=True)
class Entry:
    """One derivation file.

    Arguments:
        name: its stem; the model, the generated folder and the results carry it.
        path: the file.
        origin: "here" or "shipped".
        title: the first line of its docstring.
        generated: the folder of its committed kernels, there or not.
    """

    name: str
    path: Path
    origin: str
    title: str
    generated: Path


@dataclass(frozen=True)
class Workspace:
    """A folder with derivations and what is made from them.

    Arguments:
        root: the folder, absolute.
    """

    root: Path

    @classmethod
    def find(cls, folder: str | os.PathLike[str] | None = None) -> Workspace:
        """The workspace in a folder, the current one when none is given.

        Raises:
            InputError: when there is no such folder.
        """
        root = Path(folder or ".").resolve()
        if not root.is_dir():
            raise InputError(f"There is no folder {folder}; make it, or name another one.")
        return cls(root)

    @property
    def derivations(self) -> Path:
        """One readable file per model."""
        return self.root / "derivations"

    @property
    def generated(self) -> Path:
        """Committed kernels, one folder per model."""
        return self.root / "generated"

    @property
    def results(self) -> Path:
        """What runs wrote, one folder per model."""
        return self.root / "results"

    @property
    def kernels(self) -> Path:
        """Kernels built for a run, one folder per signature; they can be deleted at any time."""
        return self.root / ".qnnsym" / "kernels"

    @property
    def cache(self) -> Path | None:
        """The folder of compiled machine code, made when it is first asked for; None where nothing can be written."""
        return self._cache[0]

    @property
    def cache_note(self) -> str:
        """Why there is no cache, a sentence; empty when there is one."""
        return self._cache[1]

    @property
    def _cache(self) -> tuple[Path | None, str]:
        return _cache_folder(self.root / ".qnnsym" / "cache")

    # Derivations -------------------------------------------------------------------------------------------

    def entries(self, origin: str | None = None) -> list[Entry]:
        """The derivations here, then the shipped ones that none of these hides; none is executed.

        Arguments:
            origin: "here" or "shipped" for only these (hidden ones included); None for both.
        """
        shipped = shipped_root()
        here = _entries(self.root, "here") if origin != "shipped" or shipped == self.root else []
        if origin == "here" or shipped is None or shipped == self.root:
            return here
        hidden = {entry.name for entry in here}
        return here + [entry for entry in _entries(shipped, "shipped") if entry.name not in hidden]

    def resolve(self, name: str | Entry, origin: str | None = None) -> Entry:
        """The derivation that a name means: a path to a .py file, a file in ./derivations, or a shipped one.

        Arguments:
            name: path, name, or an entry, which is returned as it is.
            origin: "here" or "shipped" to look only there; paths are taken as they are.

        Raises:
            InputError: when there is none, with the nearest name.
        """
        if isinstance(name, Entry):
            return name
        text = str(name)
        if text.endswith(".py") or "/" in text or os.sep in text:
            return self._at_path(text)
        entries = self.entries(origin)
        for entry in entries:
            if entry.name == text:
                return entry
        close = difflib.get_close_matches(text, [e.name for e in entries], 1)
        hint = f"Did you mean {close[0]}? " if close else ""
        where = {"here": "in ./derivations", "shipped": "among the shipped ones"}.get(
            origin or "", "in ./derivations or among the shipped ones"
        )
        raise InputError(f"There is no derivation {text!r} {where}. {hint}`qnnsym list` shows them all.")

    def _at_path(self, text: str) -> Entry:
        try:
            path = Path(self.root, text).resolve()
            if path.suffix != ".py":
                path = path.with_name(f"{path.name}.py")
            there = path.is_file()
        except (OSError, RuntimeError, ValueError):  # a loop of links, a name too long, the root folder
            there = False
        if not there:
            raise InputError(f"There is no derivation file {text}; give the path of a .py file, or a name that "
                             "`qnnsym list` shows.")
        shipped = shipped_root()
        if shipped is not None and shipped != self.root and path.parent == shipped / "derivations":
            return _entry(path, "shipped", shipped)
        return _entry(path, "here", self.root)

    def load_model(self, entry: Entry) -> Model:
        """Execute a derivation file (trusted Python) in a module of its own and return the model it defines.

        Nothing stays in `sys.modules`, and no bytecode is written beside the file.

        Raises:
            InputError: for errors in the file (with line and message, the original as `__cause__`), when it defines
                no model or several, or when the model is not called as the file is.
        """
        from qnnsym.derivation.model import Model

        source = _read(entry.path)
        with _Reading(entry.path) as module:
            exec(compile(source, str(entry.path), "exec", dont_inherit=True), vars(module))
        found = {name: value for name, value in vars(module).items() if isinstance(value, Model)}
        models = list({id(model): model for model in found.values()}.values())
        if "model" in found:
            model = found["model"]
        elif len(models) == 1:
            model = models[0]
        else:
            what = f"several models ({', '.join(sorted(found))})" if models else "no model"
            raise InputError(f"{entry.path} defines {what}; call the one to be run `model`: model = Model(...).")
        if model.name != entry.name:
            raise InputError(
                f"{entry.path} defines the model {model.name!r}; give it the name of its file, {entry.name!r}, "
                "or rename the file."
            )
        return model if model.description else model.changed(description=inspect.cleandoc(module.__doc__ or ""))

    # Where things go ---------------------------------------------------------------------------------------

    def source_hash(self, entry: Entry) -> str:
        """Content hash of a derivation file, 32 hexadecimal digits; line ends do not count."""
        return hashlib.sha256(_read(entry.path).replace(b"\r\n", b"\n")).hexdigest()[:32]

    def results_dir(
        self, name: str, overrides: Mapping[str, str] | None = None, out: str | os.PathLike[str] | None = None
    ) -> Path:
        """The folder of a run's results; it is not made here.

        Arguments:
            name: of the model.
            overrides: {name: text} that change it; order and blanks do not count.
            out: a folder the user chose, taken as it is.
        """
        if out is not None:
            return Path(self.root, out)
        if not overrides:
            return self.results / name
        plain = sorted((key, "".join(str(value).split())) for key, value in overrides.items())
        return self.results / name / hashlib.sha256(json.dumps(plain).encode()).hexdigest()[:12]

    def generated_for(self, entry: Entry) -> Path:
        """The folder of an entry's committed kernels; to be written only where `writable` says so."""
        return entry.generated

    def writable(self, entry: Entry) -> bool:
        """Whether `generate` may write the entry's kernels: what is shipped is never written to."""
        return entry.generated.parent == self.generated and _packaged() not in [self.root, *self.root.parents]


@lru_cache
def _cache_folder(folder: Path) -> tuple[Path | None, str]:
    """(the folder, or None where nothing can be written; why not), found out once in a process."""
    try:
        # Asking for permissions is not enough: a full disk or a read-only mount shows only when written to.
        atomic_write(folder / ".writable", f"{os.getpid()}\n")
    except StorageError as error:
        return None, f"Kernels are compiled anew in every process, because there is no cache: {error}"
    return folder, ""


def shipped_root() -> Path | None:
    """The folder whose derivations and kernels come with qnnsym: inside the installed package, or the checkout."""
    packaged = _packaged()
    if packaged.is_dir():
        return packaged
    checkout = packaged.parent.parent
    if (checkout / "derivations").is_dir() and (checkout / "pyproject.toml").is_file():
        return checkout
    return None


def _packaged() -> Path:
    import qnnsym

    return Path(qnnsym.__file__).resolve().parent / "_shipped"


def _entries(root: Path, origin: str) -> list[Entry]:
    files = sorted((root / "derivations").glob("*.py"))
    return [_entry(path, origin, root) for path in files if not path.name.startswith(("_", "."))]


def _entry(path: Path, origin: str, root: Path) -> Entry:
    return Entry(path.stem, path, origin, _title(path), root / "generated" / path.stem)


def _title(path: Path) -> str:
    try:
        docstring = ast.get_docstring(ast.parse(_read(path)))
    except SyntaxError as error:
        place = f", line {error.lineno}" if error.lineno else ""
        return f"(cannot be read: {error.msg}{place})"
    except InputError:
        return "(cannot be read)"
    except (ValueError, RecursionError, MemoryError):
        return "(cannot be read: no Python text)"
    lines = (docstring or "").strip().splitlines()
    return lines[0].strip() if lines else ""


def _read(path: Path) -> bytes:
    # A pipe would be waited for without end.
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is no file; move it away, or put a derivation file there.")
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; check the file and its permissions.") from error


class _Reading:
    """Executing a user's file: what it needs around it, and its errors as sentences that name file and line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.module = ModuleType(f"_qnnsym_derivation_{path.stem}")
        self.module.__file__ = str(path)

    def __enter__(self) -> ModuleType:
        self.bytecode, self.modules = sys.dont_write_bytecode, set(sys.modules)
        sys.dont_write_bytecode = True
        sys.path.insert(0, str(self.path.parent))  # helper files beside it are importable, as in a notebook
        sys.modules[self.module.__name__] = self.module  # dataclasses and enums look their module up
        linecache.checkcache(str(self.path))  # tracebacks show the file as it is now
        return self.module

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.dont_write_bytecode = self.bytecode
        folder = str(self.path.parent)
        if folder in sys.path:
            sys.path.remove(folder)
        for name in set(sys.modules) - self.modules:
            origin = getattr(sys.modules[name], "__file__", None)
            if origin is not None and Path(origin).parent == self.path.parent:
                del sys.modules[name]
        # Ctrl-C is the user's wish, not the file's mistake; a file that calls sys.exit is one.
        if error is not None and not isinstance(error, KeyboardInterrupt):
            raise InputError(self._sentence(error)) from error

    def _sentence(self, error: BaseException) -> str:
        file, line = str(self.path), 0
        message = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        for frame in traceback.extract_tb(error.__traceback__):
            if frame.filename == file:
                line = frame.lineno or 0
        if isinstance(error, SyntaxError):
            message = f"SyntaxError: {error.msg}"
            if error.filename == file or not line:
                file, line = error.filename or file, error.lineno or 0
        elif isinstance(error, InputError):
            message = str(error)
        elif isinstance(error, SystemExit):
            message = "it ends the program; a derivation file only defines a model"
        place = f"{file}, line {line}" if line else file
        return f"{place}: {message}"
