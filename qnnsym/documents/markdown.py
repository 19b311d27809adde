"""Markdown as code-hosting sites show it: formulas between dollar signs, tables, figures as files beside the page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import quote

from qnnsym.checks.check import shown
from qnnsym.documents.document import CheckGroup, Datum, Document, Equation, Figure, ProvedStep, steps_named
from qnnsym.documents.wording import name_html, typeset

# Some sites treat a backslash before punctuation as Markdown's before they see the formula; words are safe everywhere.
_WORDS = {
    r"\{": r"\lbrace", r"\}": r"\rbrace", r"\,": r"\thinspace", r"\;": r"\thickspace", r"\:": r"\medspace",
    r"\!": r"\negthinspace", r"\|": r"\Vert", r"\\": r"\cr", r"\ ": r"\space", "<": r"\lt", ">": r"\gt",
}  # fmt: skip
_SPECIAL = re.compile(r"([\\`*_\[\]|~$#])")


def markdown_page(document: Document) -> str:
    """The document as Markdown."""
    blocks = [
        f"# {_sentence(document.title)}",
        f"*{_sentence(document.subtitle)}*" if document.subtitle else "",
        _sentence(document.abstract),
        _quoted("Do not overlook", document.warnings),
        _quoted("Notes", document.notes),
        *_section("Model", [_data(document.data)]),
        *_section("Equations", _equations(document.equations)),
        *_section("Derivation", [*_steps(document.steps), *_terms(document)]),
        *_section("Assumptions", [_list(f"{_sentence(t)} ({steps_named(n)})" for t, n in document.assumptions)]),
        *_section("Checks", (block for group in document.groups for block in _group(group))),
        *_section("Figures", map(_figure, document.figures)),
        *_section("Solution and diagnostics", [_data(document.run)]),
        *_section("Kernel", _kernel(document)),
        *_section("How to reproduce", _commands(document)),
        *_section("References", [_list(map(_words, document.references))]),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _section(title: str, blocks: Iterable[str]) -> list[str]:
    found = [block for block in blocks if block]
    return [f"## {title}", *found] if found else []


def _equations(equations: Iterable[Equation]) -> Iterator[str]:
    for equation in equations:
        yield f"**{_sentence(equation.title)}**"
        yield _displayed(equation)


def _displayed(equation: Equation) -> str:
    lines = [(r"& \quad " if line.indented else "& ") + _safe(line.tex) for line in equation.lines]
    if len(lines) == 1:
        body = lines[0].removeprefix("& ")
    else:
        body = "\\begin{aligned}\n" + " \\cr\n".join(lines) + "\n\\end{aligned}"
    return f"$$\n{body} \\tag{{{equation.number}}}\n$$"


def _steps(steps: Sequence[ProvedStep]) -> Iterator[str]:
    for step in steps:
        yield f"### {step.number}. {_sentence(step.title)}"
        yield _sentence(step.sentence)
        yield _displayed(step.before) if step.before else ""
        yield "gives" if step.before and step.after else ""
        yield _displayed(step.after) if step.after else ""
        proof = "Proof" if step.holds else "Not proved"
        yield f"> **{proof}**, by {_sentence(step.method)}: {_sentence(step.found)}."
        yield f"> **Assumed:** {_sentence(step.assumption)}" if step.assumption else ""


def _terms(document: Document) -> list[str]:
    if not document.terms:
        return []
    rows = [
        (str(t.power), f"${_safe(t.coefficient, bars=True)}$", ", ".join(map(str, t.dx)), ", ".join(map(str, t.dp)))
        for t in document.terms
    ]
    return ["### Table of terms", _table(("power of ħ", "coefficient", "order in *x*", "order in *p*"), rows)]


def _group(group: CheckGroup) -> Iterator[str]:
    yield f"### {_sentence(group.title)}: {group.verdict}"
    yield _table(
        ("quantity", "expected", "found", "tolerance", "verdict", "how", "source"),
        [
            (
                _sentence(row.quantity or row.name), *(_sentence(shown(v)) for v in (row.expected, row.found)),
                _sentence(shown(row.tolerance)), f"**{row.verdict}**", _sentence(row.detail), _sentence(row.source),
            )
            for row in group.rows
        ],
    )  # fmt: skip
    yield from map(_figure, group.figures)


def _figure(figure: Figure) -> str:
    image = f"![{_words(figure.alt)}]({quote(figure.file)})"
    return f"{image}\n\n*Figure {figure.number}.* {_sentence(figure.caption)}"


def _data(rows: Sequence[Datum]) -> str:
    if not rows:
        return ""
    return _table(("", ""), [(_sentence(r.name), f"${_safe(r.tex)}$" if r.tex else _sentence(r.text)) for r in rows])


def _kernel(document: Document) -> list[str]:
    if not document.kernel:
        return []
    # A fence is longer than any run of backticks within.
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", document.kernel)), default=0))
    text = document.kernel.rstrip("\n")
    return [
        f"Generated from the equations and compiled; signature `{document.signature}`.",
        f"<details><summary>Text of the kernel</summary>\n\n{fence}python\n{text}\n{fence}\n\n</details>",
    ]


def _commands(document: Document) -> Iterator[str]:
    for what, command in document.commands:
        yield f"{_words(what)}:\n\n```sh\n{command}\n```"
    if document.versions:
        yield f"Computed with {', '.join(_words(f'{row.name} {row.text}') for row in document.versions)}."


def _quoted(title: str, lines: Sequence[str]) -> str:
    return "\n".join([f"> **{title}**", ">", *(f"> - {_sentence(line)}" for line in lines)]) if lines else ""


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(' '.join(cell.split()) for cell in line)} |" for line in lines)


def _sentence(text: str) -> str:
    return typeset(text, _words, name_html, lambda code: f"`{code}`")


def _words(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))


def _safe(tex: str, bars: bool = False) -> str:
    r"""The formula without backslashes before punctuation; bars would end the cell of a table."""
    words = {**_WORDS, "|": r"\vert"} if bars else _WORDS
    found = re.sub(r"\\[A-Za-z]+|\\.|[<>|]", lambda m: f"{words[m[0]]} " if m[0] in words else m[0], tex)
    return " ".join(found.split())
