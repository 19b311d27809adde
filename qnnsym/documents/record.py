"""What a page has to know of a run, as it lies beside the page: pages can be written again without running again."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from qnnsym.checks.check import Check
from qnnsym.documents.document import count_verdicts
from qnnsym.errors import StorageError
from qnnsym.solvers.solution import library_versions

RECORD = "page.json"
FORMAT = 2


@dataclass(frozen=True)
class FigureRecord:
    """A figure beside the page: file, words, the check it belongs to, size in pixels of the page, hash of the file."""

    file: str
    caption: str
    alt: str
    check: str
    width: int
    height: int
    sha256: str

    def __post_init__(self) -> None:
        _check_types(self)
        # A damaged record must not make anybody read or remove files elsewhere.
        if Path(self.file).name != self.file:
            raise ValueError(f"{self.file} does not lie beside it")

    @classmethod
    def of(cls, file: str, png: bytes, size: tuple[int, int], caption: str, alt: str, check: str) -> FigureRecord:
        """The record of a figure as it was drawn."""
        return cls(file, caption, alt, check, *size, _hash(png))

    def matches(self, png: bytes) -> bool:
        """Whether these are the bytes that were drawn."""
        return self.sha256 == _hash(png)


@dataclass(frozen=True)
class Record:
    """A run as its page shows it.

    Attributes:
        name, title: of the model.
        command: what repeats the run.
        equations: {title: LaTeX} that were derived.
        counts: {verdict: number of checks}.
        figures: in the order in which the checks gave them.
        status: how the solution ended; advice: what to do next, where it ended early.
        times: the span of the solution, in words.
        statistics, diagnostics, provenance, warnings: of the solution.
        notes: of the run.
        versions: of the libraries that computed it.
        kernel, signature: text and content hash of the generated kernels.
    """

    name: str
    title: str
    command: str
    equations: dict[str, str]
    counts: dict[str, int]
    figures: tuple[FigureRecord, ...] = ()
    status: str = ""
    advice: str = ""
    times: str = ""
    statistics: dict[str, Any] = field(default_factory=dict)
    diagnostics: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    kernel: str = ""
    signature: str = ""

    def __post_init__(self) -> None:
        _check_types(self)

    @classmethod
    def of(
        cls,
        outcome: Any,
        checks: Sequence[Check],
        figures: Sequence[FigureRecord] = (),
        command: str = "",
        notes: Sequence[str] = (),
    ) -> Record:
        """The record of a run.

        Arguments:
            outcome: as the pipeline leaves it.
            checks: its rows.
            figures: those that were drawn.
            command: what repeats the run.
            notes: added to those of the outcome.
        """
        solution, times = outcome.solution, outcome.solution.times
        span = f"{len(times)} times from {times[0]:g} to {times[-1]:g}" if len(times) else "no time"
        return cls(
            name=outcome.name,
            title=title_of(outcome.model),
            command=command,
            equations=dict(outcome.derivation.latex),
            counts=count_verdicts(checks),
            figures=tuple(figures),
            status=solution.status.name,
            advice="" if solution.success else solution.status.value,
            times=span,
            statistics=_plain(solution.statistics),
            diagnostics=_plain(solution.diagnostics),
            provenance=_plain(solution.provenance),
            warnings=tuple(map(str, solution.warnings)),
            notes=tuple(map(str, [*outcome.notes, *notes])),
            versions=library_versions(),
            kernel=str(getattr(outcome, "kernel", "")),
            signature=str(getattr(outcome, "signature", "")),
        )

    def to_json(self) -> str:
        """The record as text."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def read(cls, folder: Path, command: str = "") -> Record:
        """The record in a folder of results.

        Arguments:
            folder: as a run wrote it.
            command: what the error says to do.

        Raises:
            StorageError: when it is missing, damaged or of another format.
        """
        path = folder / RECORD
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            if data.pop("format") != FORMAT:
                raise ValueError("it has another format")
            unknown = set(data) - {f.name for f in fields(cls)}
            if unknown:
                raise ValueError(f"it holds {', '.join(sorted(unknown))}")
            data["figures"] = tuple(FigureRecord(**figure) for figure in data["figures"])
            return cls(**{key: tuple(v) if isinstance(v, list) else v for key, v in data.items()})
        except (OSError, ValueError, TypeError, KeyError) as error:
            again = f"`{command}` writes it anew" if command else "run the model again"
            raise StorageError(f"{path} cannot be read as the record of a run ({error}); {again}.") from error


def _check_types(record: Any) -> None:
    """A record is read back from a file that anybody may have changed: every field has to be of its type."""
    kinds = {"str": str, "int": int, "dict": dict, "tuple": tuple}
    for f in fields(record):
        kind = kinds[str(f.type).partition("[")[0]]
        if not isinstance(getattr(record, f.name), kind):
            raise TypeError(f"{f.name} is {getattr(record, f.name)!r}")


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def title_of(model: Any) -> str:
    """The first line of the model's description, or its name in words."""
    lines = str(model.description).strip().splitlines()
    return lines[0].strip().rstrip(".") if lines else model.name.replace("_", " ").capitalize()


def _plain(value: Any) -> Any:
    """What JSON knows: NumPy's numbers as Python's, and words for what is not finite."""
    if isinstance(value, Mapping):
        return {str(key): _plain(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, (bool, int, float, str, type(None))) else str(value)
