"""HTML: one file that holds style, script, math font and figures, and asks for nothing from the network."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from qnnsym.checks.check import shown
from qnnsym.documents.document import Document, Equation
from qnnsym.documents.formulas import Line, lines
from qnnsym.documents.mathml import math_element
from qnnsym.documents.wording import sentence_html

# Of formulas in tables, in average letters.
CELL = 44.0


@dataclass(frozen=True)
class IndexEntry:
    """One row of the page of all models: words are what the search looks at, in small letters."""

    name: str
    title: str
    link: str
    words: str
    counts: Mapping[str, int]
    equation: Equation | None = None


def html_page(document: Document) -> str:
    """The document as one HTML file."""
    sections = (
        ("model", "Model", True),
        ("equations", "Equations", document.equations),
        ("derivation", "Derivation", document.steps),
        ("assumptions", "Assumptions", document.assumptions),
        ("checks", "Checks", document.groups),
        ("figures", "Figures", document.figures),
        ("solution", "Solution", document.run),
        ("kernel", "Kernel", document.kernel),
        ("reproduce", "How to reproduce", True),
        ("references", "References", document.references),
    )
    return _rendered("page.html", doc=document, sections=sections)


def html_index(entries: Sequence[IndexEntry]) -> str:
    """The page of all models, with a search box."""
    return _rendered("index.html", entries=entries)


def _rendered(template: str, **values: Any) -> str:
    environment = _environment().overlay()
    environment.filters = {**environment.filters, "displayed": _Displayed()}
    return environment.get_template(template).render(
        style=Markup(_part("style.css").decode()),
        script=Markup(_part("script.js").decode()),
        font=b64encode(_part("math.woff2")).decode(),
        **values,
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("qnnsym.documents"), autoescape=True, trim_blocks=True, undefined=StrictUndefined
    )
    environment.filters.update(
        sentence=lambda text: Markup(sentence_html(str(text))),
        formula=_formula,
        cell=_cell,
        value=lambda number: Markup(sentence_html(shown(number))),
        base64=lambda data: b64encode(data).decode(),
    )
    return environment


@cache
def _part(name: str) -> bytes:
    return (files("qnnsym.documents") / "templates" / name).read_bytes()


def _cell(tex: str) -> Markup:
    """A formula in a table, in lines that leave room for the other columns."""
    return _in_lines(lines(tex, CELL), "inline")


def _in_lines(formula: Sequence[Line], display: str) -> Markup:
    return Markup("").join(
        Markup('<div class="line{}">{}</div>').format(
            " indented" * line.indented, Markup(math_element(line.tex, display))
        )
        for line in formula
    )


class _Displayed:
    """A displayed equation; only its first appearance on a page is the target of links."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def __call__(self, equation: Equation) -> Markup:
        anchor = Markup("") if equation.number in self.seen else Markup(' id="eq-{}"').format(equation.number)
        self.seen.add(equation.number)
        return Markup(
            '<div class="equation"{anchor}>{formula}'
            '<div class="tag"><a href="#eq-{number}">({number})</a><button type="button" class="copy" '
            'data-copy="{tex}" aria-label="Copy the TeX of equation {number}">TeX</button></div></div>'
        ).format(anchor=anchor, number=equation.number, formula=_formula(equation), tex=equation.tex)


def _formula(equation: Equation) -> Markup:
    """The lines of a formula in a box that scrolls by itself."""
    return Markup(
        '<div class="scroll formula" tabindex="0" role="region" aria-label="Formula"><div class="lines">{}</div></div>'
    ).format(_in_lines(equation.lines, "block"))
