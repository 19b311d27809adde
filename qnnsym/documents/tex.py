"""LaTeX that compiles with a plain installation: amsmath, graphicx, booktabs, longtable, listings, hyperref."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from qnnsym.checks.check import shown
from qnnsym.documents.document import CheckGroup, Datum, Document, Equation, Figure, ProvedStep, steps_named
from qnnsym.documents.wording import SIGNS, TEX, name_tex, typeset

PREAMBLE = r"""\documentclass[11pt,a4paper]{article}
\usepackage[utf8]{inputenc}
\usepackage[margin=2.5cm]{geometry}
\usepackage{amsmath,amssymb,array,booktabs,graphicx,listings,longtable}
\usepackage[hidelinks]{hyperref}
\newcolumntype{L}[1]{>{\raggedright\arraybackslash}p{#1}}
\lstset{basicstyle=\ttfamily\small,breaklines=true,breakatwhitespace=false,columns=fullflexible,keepspaces=true,
  showstringspaces=false,upquote=false}
\allowdisplaybreaks
\setlength{\parindent}{0pt}
\setlength{\parskip}{4pt plus 2pt}
\setlength{\emergencystretch}{4em}
\setlength{\LTleft}{0pt}
\setlength{\tabcolsep}{4pt}
\renewcommand{\labelitemi}{$\bullet$}
\raggedbottom
"""
# Inches; the text is 16 cm wide.
WIDEST = 6.25
_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"''", "`": r"\textasciigrave{}", "\u2018": "`", "\u2019": "'", "\u201c": "``",
    "\u201d": "''", "\u2013": "--", "\u2014": "---", "\u2026": r"\ldots{}", "\u00a0": "~", "\u00df": r"\ss{}",
    "\u00f8": r"\o{}", "\u00d8": r"\O{}", "\u0142": r"\l{}", "\u0141": r"\L{}", "\u00e6": r"\ae{}",
    "\u0153": r"\oe{}", "\u0131": r"\i{}",
}  # fmt: skip
_MATHEMATICAL = {
    **{sign: TEX[name] for name, sign in reversed(SIGNS.items())},
    "\u210f": r"\hbar", "\u2212": "-", "\u00d7": r"\times", "\u00b1": r"\pm", "\u00b7": r"\cdot", "\u222b": r"\int",
    "\u222c": r"\iint", "\u27e8": r"\langle", "\u27e9": r"\rangle", "\u2192": r"\to", "\u2264": r"\le",
    "\u2265": r"\ge", "\u2248": r"\approx", "\u2260": r"\ne", "\u221e": r"\infty", "\u2202": r"\partial",
    "\u2211": r"\sum", "\u221a": r"\surd", "\u00b2": "{}^2", "\u00b3": "{}^3", "\u00b0": r"{}^\circ",
}  # fmt: skip
# Combining signs, as decomposed letters carry them.
_ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u", "\u0307": ".",
    "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0327": "c",
}  # fmt: skip


def tex_page(document: Document) -> str:
    """The document as LaTeX; its figures are files beside it."""
    blocks = [
        rf"\begin{{center}}{{\LARGE\bfseries {_sentence(document.title)}\par}}"
        + (rf"\medskip{{\large\itshape {_sentence(document.subtitle)}\par}}" if document.subtitle else "")
        + r"\end{center}",
        _sentence(document.abstract),
        _list("Do not overlook", document.warnings),
        _list("Notes", document.notes),
        *_section("Model", [_data(document.data)]),
        *_section("Equations", _equations(document.equations)),
        *_section("Derivation", [*_steps(document.steps), _terms(document)]),
        *_section("Assumptions", [_items(f"{_sentence(t)} ({steps_named(n)})" for t, n in document.assumptions)]),
        *_section("Checks", (block for group in document.groups for block in _group(group))),
        *_section("Figures", map(_figure, document.figures)),
        *_section("Solution and diagnostics", [_data(document.run)]),
        *_section("Kernel", _kernel(document)),
        *_section("How to reproduce", _commands(document)),
        *_section("References", [_items(map(_words, document.references))]),
    ]
    body = "\n\n".join(block for block in blocks if block)
    return f"{PREAMBLE}\\begin{{document}}\n\n{body}\n\n\\end{{document}}\n"


def _section(title: str, blocks: Iterable[str]) -> list[str]:
    found = [block for block in blocks if block]
    return [rf"\section*{{{title}}}", *found] if found else []


def _equations(equations: Iterable[Equation]) -> Iterator[str]:
    for equation in equations:
        # No blank line: the title stays on the page of its formula.
        yield rf"\textbf{{{_sentence(equation.title)}}}\nopagebreak" + "\n" + _displayed(equation)


def _displayed(equation: Equation) -> str:
    lines = [(r"& \quad " if line.indented else "& ") + _formula(line.tex) for line in equation.lines]
    if len(lines) == 1:
        body = lines[0].removeprefix("& ")
    else:
        body = "\\begin{split}\n" + " \\\\\n".join(lines) + "\n\\end{split}"
    return f"\\begin{{equation}}\n{body}\n\\tag{{{equation.number}}}\n\\end{{equation}}"


def _steps(steps: Sequence[ProvedStep]) -> Iterator[str]:
    for step in steps:
        yield rf"\subsection*{{{step.number}. {_sentence(step.title)}}}"
        formulas = [_displayed(e) for e in (step.before, step.after) if e]
        yield "\n".join([_sentence(step.sentence), "\ngives\n".join(formulas)])
        proof = "Proof" if step.holds else "Not proved"
        yield rf"\textbf{{{proof}}}, by {_sentence(step.method)}: {_sentence(step.found)}."
        yield rf"\textbf{{Assumed:}} {_sentence(step.assumption)}" if step.assumption else ""


def _terms(document: Document) -> str:
    if not document.terms:
        return ""
    rows = [
        (str(t.power), rf"$\displaystyle {_formula(t.coefficient)}$", ", ".join(map(str, t.dx)),
         ", ".join(map(str, t.dp)))
        for t in document.terms
    ]  # fmt: skip
    headers = (r"power of $\hbar$", "coefficient", "order in $x$", "order in $p$")
    return "\\subsection*{Table of terms}\n" + _table((0.15, 0.5, 0.13, 0.13), headers, rows)


def _group(group: CheckGroup) -> Iterator[str]:
    yield rf"\subsection*{{{_sentence(group.title)}: {group.verdict}}}"
    rows: list[Sequence[str]] = []
    for row in group.rows:
        rows.append(
            (
                _sentence(row.quantity or row.name), _sentence(shown(row.expected)), _sentence(shown(row.found)),
                _sentence(shown(row.tolerance)), row.verdict,
            )
        )  # fmt: skip
        source = f"Source: {_sentence(row.source)}" if row.source and not group.source else ""
        told = r" \newline ".join(part for part in (_sentence(row.detail), source) if part)
        if told:
            rows.append((rf"\multicolumn{{5}}{{@{{}}L{{0.98\textwidth}}@{{}}}}{{\footnotesize {told}}}",))
    headers = ("quantity", "expected", "found", "tolerance", "verdict")
    yield _table((0.42, 0.11, 0.17, 0.11, 0.11), headers, rows)
    yield rf"{{\footnotesize Source: {_sentence(group.source)}\par}}" if group.source else ""
    yield from map(_figure, group.figures)


def _figure(figure: Figure) -> str:
    width = min(WIDEST, figure.size[0] / 96) if figure.size[0] else WIDEST
    return (
        "\\begin{center}\\begin{minipage}{\\textwidth}\\centering\n"
        rf"\includegraphics[width={width:.2f}in]{{{figure.file}}}\par\smallskip" + "\n"
        rf"{{\small\textbf{{Figure {figure.number}.}} {_sentence(figure.caption)}\par}}" + "\n"
        "\\end{minipage}\\end{center}"
    )


def _data(rows: Sequence[Datum]) -> str:
    if not rows:
        return ""
    cells = [(_sentence(r.name), f"${_formula(r.tex)}$" if r.tex else _sentence(r.text)) for r in rows]
    return _table((0.28, 0.66), (), cells)


def _kernel(document: Document) -> list[str]:
    if not document.kernel:
        return []
    return [
        rf"Generated from the equations and compiled; signature \texttt{{{_words(document.signature)}}}.",
        _listing(document.kernel, r"basicstyle=\ttfamily\scriptsize"),
    ]


def _commands(document: Document) -> Iterator[str]:
    for what, command in document.commands:
        yield f"{_words(what)}:\n{_listing(command)}"
    if document.versions:
        yield f"Computed with {', '.join(_words(f'{row.name} {row.text}') for row in document.versions)}."


def _listing(text: str, options: str = "") -> str:
    # Listings read bytes: what is not ASCII is written as Python would escape it.
    plain = text.rstrip("\n").encode("ascii", "backslashreplace").decode()
    plain = plain.replace(r"\end{lstlisting", r"\end {lstlisting")
    return f"\\begin{{lstlisting}}[{options}]\n{plain}\n\\end{{lstlisting}}"


def _list(title: str, lines: Sequence[str]) -> str:
    return rf"\textbf{{{title}}}" + "\n" + _items(map(_sentence, lines)) if lines else ""


def _items(items: Iterable[str]) -> str:
    rows = "\n".join(rf"\item {item}" for item in items)
    return f"\\begin{{itemize}}\n{rows}\n\\end{{itemize}}" if rows else ""


def _table(widths: Sequence[float], headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    columns = "".join(rf"L{{{width}\textwidth}}" for width in widths)
    head = f"\\toprule\n{' & '.join(headers)} \\\\\n\\midrule\n\\endhead\n" if headers else "\\toprule\n"
    body = "".join(f"{' & '.join(row)} \\\\\n" for row in rows)
    return f"\\begin{{longtable}}{{@{{}}{columns}@{{}}}}\n{head}{body}\\bottomrule\n\\end{{longtable}}"


def _sentence(text: str) -> str:
    return typeset(
        text, _words, lambda piece: f"${_formula(name_tex(piece))}$", lambda code: rf"\texttt{{{_words(code)}}}"
    )


def _words(text: str) -> str:
    return "".join(map(_sign, text))


def _sign(sign: str) -> str:
    """One sign of ordinary text; what LaTeX has no sign for is named by its number."""
    if sign in _SPECIAL:
        return _SPECIAL[sign]
    if sign in _MATHEMATICAL:
        return f"${_MATHEMATICAL[sign]}$"
    if sign.isascii():
        return sign
    letter, accent = (*unicodedata.normalize("NFD", sign), "", "")[:2]
    if letter.isascii() and accent in _ACCENTS and len(unicodedata.normalize("NFD", sign)) == 2:
        return rf"\{_ACCENTS[accent]}{{{letter}}}"
    return f"[U+{ord(sign):04X}]"


def _formula(tex: str) -> str:
    """A formula whose names may hold letters beyond ASCII."""
    return "".join(
        sign if sign.isascii() else f"{_MATHEMATICAL[sign]} " if sign in _MATHEMATICAL else rf"\text{{{_sign(sign)}}}"
        for sign in tex
    )
