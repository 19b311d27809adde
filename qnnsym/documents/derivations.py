"""A derivation by itself, as `qnnsym derive` prints it: text for the terminal, LaTeX, Markdown or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from textwrap import fill
from typing import Any

from qnnsym.documents.assemble import derived
from qnnsym.documents.document import Document, Equation
from qnnsym.documents.formulas import lines
from qnnsym.documents.markdown import markdown_page
from qnnsym.documents.plain import plain_text
from qnnsym.documents.tex import tex_page
from qnnsym.documents.wording import Piece, name_tex, typeset
from qnnsym.errors import InputError

WIDTH = 88
_INDENT = "   "


def derivation_text(derivation: Any, form: str = "text") -> str:
    """A derivation as text.

    Arguments:
        derivation: with its steps and their proofs.
        form: "text", "latex", "markdown" or "json".

    Raises:
        InputError: for another form.
    """
    if form not in FORMS:
        raise InputError(f"The form {form!r} is unknown; give one of {', '.join(FORMS)}.")
    return FORMS[form](derivation)


def _text(derivation: Any) -> str:
    document = derived(derivation)
    blocks = [f"{document.title}\n{'=' * len(document.title)}"]
    for step in document.steps:
        said = [f"{step.number}. {_sentence(step.title)}", _filled(step.sentence)]
        said += [line for e in (step.before, step.after) if e for line in _formula(e)]
        said.append(_filled(f"{'proved' if step.holds else 'NOT PROVED'}: {step.method}: {step.found}"))
        said += [_filled(f"assumed: {step.assumption}")] if step.assumption else []
        blocks.append("\n".join(said))
    if document.terms:
        blocks.append(_terms(document, derivation))
    if document.equations:
        blocks.append("\n".join(["Equations", *(line for e in document.equations for line in _titled(e))]))
    return "\n\n".join(blocks)


def _titled(equation: Equation) -> list[str]:
    return [f"{_INDENT}{_sentence(equation.title)}", *(f"{_INDENT}{line}" for line in _formula(equation))]


def _formula(equation: Equation) -> list[str]:
    """The lines of a formula; fractions are longer in one row, so that it may be broken more often than on a page."""
    found: list[str] = []
    for limit in (WIDTH, 0.7 * WIDTH, 0.5 * WIDTH, 0.35 * WIDTH):
        found = [
            f"{2 * _INDENT}{_INDENT * line.indented}{plain_text(line.tex).removeprefix('{}').strip()}"
            for line in lines(equation.tex, limit)
        ]
        if max(map(len, found)) <= WIDTH:
            break
    return found


def _terms(document: Document, derivation: Any) -> str:
    rows: list[Sequence[str]] = [("hbar^", "coefficient", "d/dx", "d/dp")]
    rows += [
        (str(t.power), str(row.coefficient), ", ".join(map(str, t.dx)), ", ".join(map(str, t.dp)))
        for t, row in zip(document.terms, derivation.results["terms"], strict=True)
    ]
    widths = [max(len(row[n]) for row in rows) for n in range(4)]
    table = (
        f"{_INDENT}{'  '.join(f'{cell:<{w}}' for cell, w in zip(row, widths, strict=True))}".rstrip() for row in rows
    )
    return "\n".join(["Table of terms", *table])


def _filled(text: str) -> str:
    return fill(_sentence(text), WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT)


def _sentence(text: str) -> str:
    return typeset(text, str, _name, lambda code: f"`{code}`")


def _name(piece: Piece) -> str:
    return f"{piece.name}e{piece.exponent}" if piece.exponent else plain_text(name_tex(piece))


def _json(derivation: Any) -> str:
    terms = [
        {"hbar_power": t.power, "coefficient": str(row.coefficient), "latex": t.coefficient, "dx": t.dx, "dp": t.dp}
        for t, row in zip(derived(derivation).terms, derivation.results.get("terms", ()), strict=True)
    ]
    steps = [
        {
            "title": step.title, "sentence": step.sentence, "before": step.before, "after": step.after,
            "assumption": step.assumption,
            "proof": {"holds": proof.holds, "method": proof.method, "detail": proof.detail},
        }
        for step, proof in derivation.steps
    ]  # fmt: skip
    found = {"name": derivation.name, "equations": derivation.latex, "steps": steps, "terms": terms}
    return json.dumps(found, indent=2, ensure_ascii=False)


FORMS: dict[str, Callable[[Any], str]] = {
    "text": _text,
    "latex": lambda derivation: tex_page(derived(derivation)),
    "markdown": lambda derivation: markdown_page(derived(derivation)),
    "json": _json,
}
