"""Formulas as plain text for the terminal: Unicode where it is certain, brackets where it is not."""

# ruff: noqa: RUF001 - the signs that look like others are meant
from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence

from qnnsym.documents.formulas import BLANKS, FRACTIONS, FUNCTIONS, OPENING, RELATIONS, SIGNS, SIZES, Node, parse

_LETTERS = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon phi chi "
    "psi omega"
).split()
GREEK = {
    spelt(name): unicodedata.lookup(f"GREEK {size} LETTER {name.replace('lambda', 'lamda').upper()}")
    for size, spelt in (("SMALL", str), ("CAPITAL", str.capitalize))
    for name in _LETTERS
}
SYMBOLS = {
    **dict.fromkeys(SIZES, ""),
    **{rf"\{name}": sign for name, sign in GREEK.items()},
    r"\varepsilon": "ε", r"\varphi": "φ", r"\vartheta": "ϑ", r"\hbar": "ħ", r"\partial": "∂", r"\infty": "∞",
    r"\sum": "Σ", r"\prod": "Π", r"\int": "∫", r"\iint": "∬", r"\nabla": "∇", r"\langle": "⟨", r"\rangle": "⟩",
    r"\{": "{", r"\}": "}", r"\|": "‖", r"\lvert": "|", r"\rvert": "|", r"\ldots": "...", r"\dots": "...",
    r"\cdots": "...",
    r"\cdot": "·", r"\times": "×", r"\pm": "±", r"\mp": "∓", r"\to": "→", r"\mapsto": "↦", r"\Rightarrow": "⇒",
    r"\approx": "≈", r"\sim": "~", r"\simeq": "≃", r"\equiv": "≡", r"\leq": "≤", r"\le": "≤", r"\geq": "≥", r"\ge": "≥",
    r"\neq": "≠", r"\ne": "≠", r"\propto": "∝", r"\in": "∈", r"\star": "⋆", r"\otimes": "⊗", r"\dagger": "†",
    r"\ell": "ℓ", r"\prime": "′", "'": "′", "-": "−", ".": ".",
}  # fmt: skip
ACCENTS = {
    r"\dot": "\u0307", r"\ddot": "\u0308", r"\hat": "\u0302", r"\widehat": "\u0302", r"\bar": "\u0304",
    r"\overline": "\u0304", r"\tilde": "\u0303", r"\vec": "\u20d7", r"\overleftarrow": "\u20d6",
    r"\overrightarrow": "\u20d7",
}  # fmt: skip
RAISED = dict(zip("0123456789+-−=()n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ⁿ", strict=True))
LOWERED = dict(zip("0123456789+-−=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True))

_POWER_OF_D = re.compile("∂[⁰¹²³⁴⁵⁶⁷⁸⁹]*$")


def plain_text(tex: str) -> str:
    """A formula as one line of Unicode text.

    Arguments:
        tex: LaTeX without delimiters.
    """
    return " ".join(_row(parse(tex)).split())


def _row(nodes: Sequence[Node]) -> str:
    text, before, unary = "", "", False
    for node in nodes:
        piece = _piece(node)
        if node.name in RELATIONS:
            text = f"{text.rstrip()} {piece} "
        elif node.name in SIGNS:
            unary = before in ("", ",", *OPENING, *RELATIONS)
            text = text + piece if unary else f"{text.rstrip()} {piece} "
        elif node.name == ",":
            text = f"{text.rstrip()}, "
        else:
            text += piece if unary or before in ("d", r"\mathcal") or _touches(text, piece, node) else f" {piece}"
            unary = False
        before = before if node.name in BLANKS else node.name
    return text.strip()


def _touches(text: str, piece: str, node: Node) -> bool:
    """Whether a piece follows without a blank: factors are set apart, digits, scripts and arguments are not."""
    last = text[-1:]
    if not piece or not last or last in " ([{⟨|∂∫/" or node.name in ("_", "^", "'") or piece[0] in ")]}⟩,;:.|/":
        return True
    if node.name == "{":  # the argument of a function: tanh{(u)}
        return piece.startswith("(")
    if piece[0].isdigit() and (last.isdigit() or last == "."):
        return True
    # A bracket of a fixed size holds an argument, f(x), a growing one a factor.
    return (node.name in ("(", "[") and (last.isalpha() or last == "′")) or bool(_POWER_OF_D.search(text))


def _piece(node: Node) -> str:
    if node.name in _SPECIAL:
        return _SPECIAL[node.name](node)
    if node.name in ACCENTS:
        return _accented(node)
    if node.name in BLANKS:
        return {r"\quad": "   ", r"\qquad": "   ", r"\!": ""}.get(node.name, " ")
    if node.name.startswith("\\") and node.name[1:] in FUNCTIONS:
        return node.name[1:]
    if node.parts:
        return "".join(map(_row, node.parts))
    return SYMBOLS.get(node.name, node.name)


def _fraction(node: Node) -> str:
    above, below = (_row(part) for part in node.parts)
    return f"{_enclosed(above, '+−Σ∫')}/{_enclosed(below, ' +−/·')}"


def _enclosed(text: str, signs: str) -> str:
    """The text in brackets where it holds one of the signs outside of brackets."""
    depth = 0
    for sign in text:
        depth += (sign in "([{") - (sign in ")]}")
        if sign in signs and not depth:
            return f"({text})"
    return text


def _script(table: dict[str, str], mark: str) -> Callable[[Node], str]:
    def script(node: Node) -> str:
        text = re.sub(r" ([+−=→]) ", r"\1", _row(node.parts[0]))
        letters = text.replace(" ", "")
        if letters and all(sign in table for sign in letters):
            return "".join(table[sign] for sign in letters)
        return mark + (text if len(text) == 1 else f"({text})" if mark == "^" else f"{{{text}}}")

    return script


def _accented(node: Node) -> str:
    text = _row(node.parts[0])
    return unicodedata.normalize("NFC", text + ACCENTS[node.name]) if len(text) == 1 else f"{node.name[1:]}({text})"


def _fences(node: Node) -> str:
    opening, closing = ("" if sign == "." else SYMBOLS.get(sign, sign) for sign in node.fences)
    return f"{opening}{_row(node.parts[0])}{closing}"


def _root(node: Node) -> str:
    degree = "".join(RAISED.get(sign, sign) for part in node.parts[1:] for sign in _row(part))
    return f"{degree}√({_row(node.parts[0])})"


_SPECIAL: dict[str, Callable[[Node], str]] = {
    **dict.fromkeys(FRACTIONS, _fraction),
    "_": _script(LOWERED, "_"),
    "^": _script(RAISED, "^"),
    "left": _fences,
    r"\sqrt": _root,
    r"\binom": lambda node: f"binom({', '.join(map(_row, node.parts))})",
    r"\text": lambda node: "".join(n.tex for n in node.parts[0]),
    r"\operatorname": lambda node: "".join(n.tex for n in node.parts[0]),
    r"\mathrm": lambda node: "".join(n.tex for n in node.parts[0]),
    r"\mathbb": lambda node: "".join(n.tex for n in node.parts[0]),
    r"\begin": lambda node: node.tex,
}
