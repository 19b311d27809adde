"""The identity of generated kernels: their signature, the header of each file, the manifest that guards the folder.

The signature is the hash of what was generated, without headers; it names the same text on every machine. The
manifest beside the files holds the hash of each whole file, so that nothing edited or added is ever loaded.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from qnnsym.errors import KernelRefused
from qnnsym.storage import atomic_directory, disk_errors, in_use, locked, recover

# Raised whenever the same equations would be printed differently, so that older kernels count as stale.
FORMAT_VERSION = 4
MANIFEST = "manifest.json"
_EXCERPT = 12
_WIDTH = 200


@dataclass(frozen=True)
class Manifest:
    """What a folder of generated kernels says about itself.

    Arguments:
        model: name of the model.
        kind: the room it comes from ("phase-space", "neural", ...).
        signature: of the generated bodies, see `signature`.
        files: {file name: SHA-256 of its whole text}.
        functions: names of the compiled functions.
        parameters, sizes: names in `par` and in `dims`, in their order.
        equations: the equations in one line.
        command: what regenerates the folder.
        format: generator format version.
    """

    model: str
    kind: str
    signature: str
    files: Mapping[str, str]
    functions: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    equations: str = ""
    command: str = ""
    format: int = FORMAT_VERSION

    def to_json(self) -> str:
        """The manifest as text: keys sorted, one newline at the end, the same on every run."""
        return json.dumps(asdict(self), sort_keys=True, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str = MANIFEST, command: str = "qnnsym generate") -> Manifest:
        """Read a manifest back.

        Arguments:
            text: the JSON text.
            where: what the error calls it.
            command: what the error says mends it.

        Raises:
            KernelRefused: for text that is no manifest, or one of another format version.
        """
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            raise KernelRefused(f"{where} is damaged: it is not JSON; {command} writes it anew.") from None
        if not isinstance(data, dict) or "format" not in data or "signature" not in data:
            raise KernelRefused(f"{where} is foreign: it is no manifest of qnnsym; {command} writes it anew.")
        if data["format"] != FORMAT_VERSION:
            raise KernelRefused(
                f"{where} has the generator format {str(data['format'])[:20]} and this version of qnnsym reads "
                f"{FORMAT_VERSION}; {command} writes it anew."
            )
        wrong = sorted(set(data) ^ {f.name for f in fields(cls)}) or _ill_typed(data)
        if wrong:
            raise KernelRefused(f"{where} is damaged: look at {', '.join(wrong)}; {command} writes it anew.")
        lists = {key: tuple(data[key]) for key in _LISTS}
        return cls(**{**data, **lists})


_LISTS = ("functions", "parameters", "sizes")
_TEXTS = ("model", "kind", "signature", "equations", "command")


def _ill_typed(data: Mapping[str, Any]) -> list[str]:
    wrong = [k for k in _TEXTS if not isinstance(data[k], str)]
    wrong += [k for k in _LISTS if not (isinstance(data[k], list) and all(isinstance(v, str) for v in data[k]))]
    if not re.fullmatch("[0-9a-f]{32}", str(data["signature"])):
        wrong.append("signature")
    files = data["files"]
    if not isinstance(files, dict) or not all(
        _plain(name) and isinstance(v, str) and re.fullmatch("[0-9a-f]{64}", v) for name, v in files.items()
    ):
        wrong.append("files")
    return wrong


def _plain(name: str) -> bool:
    # A name that leads out of the folder could make a manifest vouch for somebody else's file.
    return re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", name) is not None


def signature(bodies: Mapping[str, str]) -> str:
    """The content hash of generated bodies, 32 hexadecimal digits.

    Arguments:
        bodies: {file name: text without header}; the order does not matter.
    """
    content = json.dumps([FORMAT_VERSION, sorted(bodies.items())])
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def file_hashes(files: Mapping[str, str]) -> dict[str, str]:
    """{file name: SHA-256 of its text}, as the manifest keeps them."""
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in sorted(files.items())}


def header(model: str, equation_line: str, signature: str, command: str) -> str:
    """The docstring at the top of a generated file; it changes only when the model or the generator does.

    Arguments:
        model: name of the model.
        equation_line: its equations; line breaks become spaces.
        signature: see `signature`.
        command: what regenerates the file.
    """
    lines = (
        f"Generated by qnnsym for the model {model}; never edit it, edit the model and run: {command}",
        "",
        f"Equations: {' '.join(equation_line.split())}",
        f"Model signature: {signature}",
        f"Generator format: {FORMAT_VERSION}",
    )
    # Inside a docstring a LaTeX command would be an escape sequence, and a quotation mark could end it.
    text = "\n".join(lines).replace("\\", "\\\\").replace('"', "'")
    return f'"""{text}\n"""\n'


def folder_files(files: Mapping[str, str], manifest: Manifest) -> dict[str, str]:
    """{file name: text} of the whole folder, the manifest included.

    Raises:
        KernelRefused: when the manifest was not made for these files.
    """
    if dict(manifest.files) != file_hashes(files):
        raise KernelRefused(f"The manifest of {manifest.model} does not belong to these files; hash them first.")
    return {**files, MANIFEST: manifest.to_json()}


def write_folder(target: str | Path, files: Mapping[str, str], manifest: Manifest) -> Path:
    """Replace a folder of kernels by these files and their manifest, all at once and under its lock.

    Raises:
        StorageError: when the disk refuses; the old folder is untouched then.
    """
    contents = folder_files(files, manifest)
    with atomic_directory(target) as folder:
        for name, text in contents.items():
            (folder / name).write_bytes(text.encode())
    return Path(target)


def check_folder(folder: str | Path, command: str | None = None) -> Manifest:
    """Read the manifest of a folder and hold every file against it.

    Arguments:
        folder: the folder; one whose writer was killed between two renames is brought back first.
        command: what the refusal says mends it; `qnnsym generate NAME` when not given.

    Returns:
        The manifest; every file listed is there, unchanged, and no other Python file is.

    Raises:
        KernelRefused: naming the file that is missing, tampered with or foreign, or the damaged manifest.
    """
    folder = Path(folder)
    command = command or f"qnnsym generate {folder.name}"
    try:
        return _check(folder, command)
    except KernelRefused:
        # A writer may have exchanged the folder while it was read: only what stays wrong is wrong.
        if not in_use(folder):
            return _check(folder, command)
    recover(folder)
    with locked(folder):
        return _check(folder, command)


def _check(folder: Path, command: str) -> Manifest:
    if not folder.is_dir():
        raise KernelRefused(f"There are no kernels in {folder}; {command} writes them.")
    path = folder / MANIFEST
    text = _text(path)
    if text is None:
        state = "damaged: it is not text" if path.exists() else "missing"
        raise KernelRefused(f"{path} is {state}, so nothing vouches for the kernels beside it; {command} mends it.")
    manifest = Manifest.from_json(text, str(path), command)
    for name, expected in sorted(manifest.files.items()):
        text = _text(folder / name)
        if text is None and not (folder / name).exists():
            raise KernelRefused(f"{folder / name} is missing, although its manifest lists it; {command} mends it.")
        if text is None or hashlib.sha256(text.encode()).hexdigest() != expected:
            raise KernelRefused(
                f"{folder / name} was tampered with: its text is not what its manifest says. Change the model "
                f"instead; {command} mends the folder."
            )
    for path in _contents(folder):
        if path.suffix == ".py" and path.relative_to(folder).as_posix() not in manifest.files:
            raise KernelRefused(
                f"{path} is foreign: the manifest does not list it. Move it elsewhere if you need it; "
                f"{command} mends the folder."
            )
    return manifest


def compare_folders(expected_files: Mapping[str, str], folder: str | Path) -> list[str]:
    """What differs between freshly generated files and a folder, one sentence each; empty when nothing does.

    Arguments:
        expected_files: {file name: text}, the manifest included (see `folder_files`).
        folder: the committed folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        return [f"{folder} is missing; it was never generated."]
    found = {p.relative_to(folder).as_posix() for p in _contents(folder)}
    differences = []
    for name, expected in sorted(expected_files.items()):
        text = _text(folder / name) if name in found else None
        if name not in found:
            differences.append(f"{folder / name} is missing.")
        elif text is None:
            differences.append(f"{folder / name} is not text.")
        elif text != expected:
            differences.append(f"{folder / name} differs from what is generated now:\n{_excerpt(text, expected)}")
    differences += [f"{folder / name} is not generated any more." for name in sorted(found - set(expected_files))]
    return differences


def _excerpt(committed: str, generated: str) -> str:
    pair = committed.splitlines(), generated.splitlines()
    lines = difflib.unified_diff(*pair, "committed", "generated", n=1, lineterm="")
    shown = [f"    {line[:_WIDTH]}" for line in lines]
    if not shown:
        return "    (line ends only)"
    more = len(shown) - _EXCERPT
    return "\n".join([*shown[:_EXCERPT], f"    ... {more} more lines"] if more > 0 else shown)


def _contents(folder: Path) -> Iterator[Path]:
    """Every file below a folder except what Python and version control put there."""
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and "__pycache__" not in parts and not path.name.startswith("."):
            yield path


def _text(path: Path) -> str | None:
    """The text of a file with the line ends it was generated with; None when there is none."""
    try:
        with disk_errors(path, "read"):
            # A checkout may have turned the line ends of the whole repository; that is no tampering.
            return path.read_bytes().decode().replace("\r\n", "\n") if path.is_file() else None
    except UnicodeDecodeError:
        return None
