"""From equation sets to a folder of kernels: the text, its manifest, and where it is loaded from."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from qnnsym.codegen.emit import emit_numba
from qnnsym.codegen.loops import Function
from qnnsym.codegen.lower import lower
from qnnsym.codegen.manifest import (
    Manifest,
    check_folder,
    file_hashes,
    folder_files,
    header,
    signature,
    write_folder,
)
from qnnsym.equations.indexed import EquationSet
from qnnsym.errors import StorageError

KERNELS = "kernels.py"


@dataclass(frozen=True)
class Source:
    """Generated text and what it says about itself."""

    files: Mapping[str, str]
    manifest: Manifest

    @property
    def folder(self) -> dict[str, str]:
        """{file name: text} of the whole folder, manifest included."""
        return folder_files(self.files, self.manifest)


def render(
    model: str,
    kind: str,
    equations: Mapping[str, EquationSet],
    line: str,
    emit: Callable[[list[Function], str], str] = emit_numba,
) -> Source:
    """The text of a model's kernels; the same on every machine, in every process.

    Arguments:
        model: name of the model.
        kind: its room.
        equations: {kernel name: equation set}.
        line: the equations in one line, for the header.
        emit: `emit_numba`, or `emit_lanes` for the kernels of eight states side by side.
    """
    functions = [lower(e.changed(name=name)) for name, e in equations.items()]
    body = emit(functions, "")
    content = signature({KERNELS: body})
    command = f"qnnsym generate {model}"
    text = header(model, line, content, command) + body
    first = next(iter(equations.values()))
    manifest = Manifest(
        model=model,
        kind=kind,
        signature=content,
        files=file_hashes({KERNELS: text}),
        functions=tuple(equations),
        parameters=tuple(s.name for s in first.scalars),
        sizes=tuple(s.name for s in first.sizes),
        equations=" ".join(line.split()),
        command=command,
    )
    return Source({KERNELS: text}, manifest)


def built(source: Source, root: Path) -> Path:
    """The folder `root/<signature>` with these kernels, written unless it is there and whole.

    Where nothing can be written, a temporary folder takes its place, which lasts as long as the process needs it.

    Raises:
        KernelRefused: when the folder was tampered with.
    """
    folder = root / source.manifest.signature
    command = f"removing {folder} and running again"
    if folder.is_dir():
        check_folder(folder, command)
        return folder
    try:
        return write_folder(folder, source.files, source.manifest)
    except StorageError:
        return write_folder(Path(tempfile.mkdtemp(prefix="qnnsym-")), source.files, source.manifest)
