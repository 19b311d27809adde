"""One row of the table of checks, and how a model's specifications become rows."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from qnnsym.errors import ObligationFailed, SolverError, StorageError

PASS, FAIL, NOT_APPLICABLE = "pass", "fail", "not applicable"


@dataclass(frozen=True)
class Check:
    """A quantity held against what is expected of it.

    Attributes:
        name: the statement checked.
        quantity: what was measured, in words.
        expected, found: numbers, or text where there is no number.
        tolerance: largest deviation allowed; None where it does not apply.
        verdict: "pass", "fail" or "not applicable".
        source: where the expectation comes from.
        detail: how it was measured.
    """

    name: str
    quantity: str
    expected: Any
    found: Any
    tolerance: float | None
    verdict: str
    source: str
    detail: str = ""

    @classmethod
    def close(
        cls, name: str, quantity: str, expected: float, found: float, tolerance: float, source: str, detail: str = ""
    ) -> Check:
        """found = expected within the tolerance; a NaN fails."""
        verdict = PASS if abs(found - expected) <= tolerance else FAIL
        return cls(name, quantity, float(expected), float(found), float(tolerance), verdict, source, detail)

    @classmethod
    def below(cls, name: str, quantity: str, found: float, bound: float, source: str, detail: str = "") -> Check:
        """An error or drift that is zero within the bound."""
        return cls.close(name, quantity, 0.0, found, bound, source, detail)

    @classmethod
    def not_applicable(cls, name: str, quantity: str, reason: str, source: str = "") -> Check:
        """A check that says nothing about this model, and why."""
        return cls(name, quantity, "", "", None, NOT_APPLICABLE, source, reason)

    def to_json(self) -> dict[str, Any]:
        """The row with plain values; numbers that are not finite become null."""
        row = asdict(self)
        for key in ("expected", "found", "tolerance"):
            if isinstance(row[key], float) and not math.isfinite(row[key]):
                row[key] = None
        return row


@dataclass
class Context:
    """What a specification is run with.

    Attributes:
        model, derivation, kernels, solution: of the run.
        full: whether heavier settings are wanted.
        figures: descriptions of figures, added to by the checks.
    """

    model: Any
    derivation: Any = None
    kernels: Any = None
    solution: Any = None
    full: bool = False
    figures: list[dict[str, Any]] = field(default_factory=list)


class Specification(Protocol):
    """What `limits` hand to a model: a statement that can be checked on it."""

    @property
    def name(self) -> str: ...

    def applies(self, model: Any) -> str | None:
        """None, or the sentence saying why the statement does not concern this model."""
        ...

    def run(self, context: Context) -> list[Check]: ...


def run_checks(specifications: Iterable[Specification], context: Context) -> list[Check]:
    """The rows of all specifications; a solver that gives up is a failed row, an error of the program is an error."""
    rows: list[Check] = []
    for specification in specifications:
        reason = specification.applies(context.model)
        if reason is not None:
            rows.append(Check.not_applicable(specification.name, "", reason))
            continue
        known = len(context.figures)
        try:
            rows += specification.run(context)
        except (ObligationFailed, SolverError) as error:
            rows.append(Check(specification.name, "the check itself", "", "", None, FAIL, "", str(error)))
        for figure in context.figures[known:]:
            figure.setdefault("check", specification.name)
    return rows


def failed(checks: Iterable[Check]) -> list[Check]:
    """The rows that failed."""
    return [check for check in checks if check.verdict == FAIL]


def summary(checks: Sequence[Check]) -> str:
    """Counts in words: "12 pass, 1 fails, 2 not applicable"."""
    counts = {v: sum(c.verdict == v for c in checks) for v in (PASS, FAIL, NOT_APPLICABLE)}
    parts = [f"{counts[PASS]} pass"]
    if counts[FAIL]:
        parts.append(f"{counts[FAIL]} fail")
    if counts[NOT_APPLICABLE]:
        parts.append(f"{counts[NOT_APPLICABLE]} not applicable")
    return ", ".join(parts)


def write_checks(path: str | Path, checks: Sequence[Check]) -> Path:
    """Write the rows as a JSON list, whole or not at all."""
    from qnnsym.storage import atomic_write

    return atomic_write(path, json.dumps([c.to_json() for c in checks], indent=2, allow_nan=False) + "\n")


def read_checks(path: str | Path) -> list[Check]:
    """Read what `write_checks` wrote.

    Raises:
        StorageError: when the file is missing or damaged.
    """
    try:
        rows = json.loads(Path(path).read_text(encoding="utf-8"))
        if not isinstance(rows, list):
            raise ValueError("it is no list")
        return [_checked(Check(**row)) for row in rows]
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise StorageError(f"{path} cannot be read as a list of checks ({error}); run the model again.") from error


def _checked(check: Check) -> Check:
    texts = (check.name, check.quantity, check.source, check.detail)
    if not all(isinstance(t, str) for t in texts) or check.verdict not in (PASS, FAIL, NOT_APPLICABLE):
        raise ValueError("a row is no check")
    return check


def shown(value: Any) -> str:
    """A value as it stands in tables."""
    if isinstance(value, float):
        return f"{value + 0.0:.4g}"
    return "" if value is None else str(value)


def rows_of(checks: Sequence[Check] | Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """(name, quantity, expected, found, tolerance, verdict) of every check, as text."""
    return [
        (c.name, c.quantity, shown(c.expected), shown(c.found), shown(c.tolerance), c.verdict)
        for c in (check if isinstance(check, Check) else Check(**check) for check in checks)
    ]
