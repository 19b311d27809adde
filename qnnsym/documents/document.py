"""The document of one derivation and its run: everything that a page says, before any form is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qnnsym.checks.check import FAIL, NOT_APPLICABLE, PASS, Check
from qnnsym.documents.formulas import Line, lines


@dataclass(frozen=True)
class Equation:
    """A displayed formula.

    Attributes:
        number: as printed beside it; the same formula has the same number wherever it is shown.
        title: a few words.
        tex: LaTeX without delimiters.
    """

    number: int
    title: str
    tex: str

    @property
    def lines(self) -> list[Line]:
        """The formula in lines that fit on a page."""
        return lines(self.tex)


@dataclass(frozen=True)
class Datum:
    """One row of data: a name and its value, as text or as LaTeX."""

    name: str
    text: str
    tex: str = ""


@dataclass(frozen=True)
class ProvedStep:
    """A step of the derivation with its formulas numbered, and what its proof found."""

    number: int
    title: str
    sentence: str
    before: Equation | None
    after: Equation | None
    assumption: str
    holds: bool
    method: str
    found: str


@dataclass(frozen=True)
class Term:
    """A row of the table of terms: hbar^power times a coefficient times derivatives that act on the field."""

    power: int
    coefficient: str
    dx: tuple[int, ...]
    dp: tuple[int, ...]


@dataclass(frozen=True)
class Figure:
    """A figure as it lies beside the page.

    Attributes:
        number: as printed.
        file: name of the PNG.
        caption, alt: what it shows, and what to say where it cannot be seen.
        check: name of the check that it belongs to, "" for none.
        png: its bytes, where the form embeds figures.
        size: width and height in pixels of the page.
    """

    number: int
    file: str
    caption: str
    alt: str
    check: str = ""
    png: bytes = b""
    size: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class CheckGroup:
    """The rows of one check, with the figures that belong to it."""

    name: str
    rows: tuple[Check, ...]
    figures: tuple[Figure, ...]

    @property
    def title(self) -> str:
        """The name with a capital letter."""
        return capitalised(self.name)

    @property
    def source(self) -> str:
        """The source of the expectations, where all rows have the same; else empty."""
        found = {row.source for row in self.rows}
        return found.pop() if len(found) == 1 else ""

    @property
    def verdict(self) -> str:
        """The worst of its rows."""
        found = {row.verdict for row in self.rows}
        return next((v for v in (FAIL, PASS, NOT_APPLICABLE) if v in found), FAIL)


@dataclass(frozen=True)
class Document:
    """What a page says.

    Attributes:
        name: of the model.
        title, subtitle: of the page; the subtitle may be empty.
        abstract: what was derived and checked, in a few sentences.
        data: the model as it was run.
        equations: the results of the derivation, numbered first.
        steps: the derivation.
        assumptions: (assumption, numbers of the steps that make it).
        terms: the table of terms, where the derivation has one.
        groups: the checks.
        figures: those that belong to no check.
        run: how the solution went: status, counts, diagnostics.
        warnings: what should not be overlooked; notes: what should be known.
        kernel, signature: text and content hash of the generated kernels.
        commands: (what it does, command) that reproduce everything.
        versions: of what computed the results.
        references: where the model comes from.
    """

    name: str
    title: str
    subtitle: str = ""
    abstract: str = ""
    data: Sequence[Datum] = ()
    equations: Sequence[Equation] = ()
    steps: Sequence[ProvedStep] = ()
    assumptions: Sequence[tuple[str, tuple[int, ...]]] = ()
    terms: Sequence[Term] = ()
    groups: Sequence[CheckGroup] = ()
    figures: Sequence[Figure] = ()
    run: Sequence[Datum] = ()
    warnings: Sequence[str] = ()
    notes: Sequence[str] = ()
    kernel: str = ""
    signature: str = ""
    commands: Sequence[tuple[str, str]] = ()
    versions: Sequence[Datum] = ()
    references: Sequence[str] = ()

    @property
    def counts(self) -> dict[str, int]:
        """{verdict: number of rows of the table of checks}."""
        return count_verdicts([row for group in self.groups for row in group.rows])

    @property
    def all_figures(self) -> list[Figure]:
        """Every figure, in the order of their numbers."""
        found = [*(f for group in self.groups for f in group.figures), *self.figures]
        return sorted(found, key=lambda figure: figure.number)


def count_verdicts(checks: Sequence[Check]) -> dict[str, int]:
    """{verdict: number of rows}, passes first."""
    return {verdict: sum(c.verdict == verdict for c in checks) for verdict in (PASS, FAIL, NOT_APPLICABLE)}


def steps_named(numbers: Sequence[int]) -> str:
    """ "step 3", or "steps 1, 4"."""
    return f"step{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"


def capitalised(text: str) -> str:
    """The text with a capital first letter, the rest as it is."""
    return text[:1].upper() + text[1:]
