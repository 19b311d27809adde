"""Names of mathematics in ordinary sentences: found once, then set as each form of the document sets them.

Checks and figures name quantities in plain text, "order in hbar of |W - W_cl|/|W|". What is certainly a name is set as
one (Greek letters, single letters, means in angle brackets, with their scripts); everything else stays a word.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape
from typing import NamedTuple

from qnnsym.documents.plain import GREEK

SIGNS = {**GREEK, "varepsilon": "ε", "varphi": "φ", "vartheta": "ϑ", "hbar": "ħ"}
# Letters that look Latin have no command of their own.
_LATIN = dict(
    zip("Alpha Beta Epsilon Zeta Eta Iota Kappa Mu Nu Omicron Rho Tau Chi".split(), "ABEZHIKMNOPTX", strict=True)
)
TEX = {name: rf"\mathrm{{{_LATIN[name]}}}" if name in _LATIN else rf"\{name}" for name in SIGNS} | {"omicron": "o"}
_GREEK = "|".join(sorted(SIGNS, key=len, reverse=True))
# Articles and the first person are letters only before a sign of equality, initials and "e.g." never.
_NAME = re.compile(
    rf"""(?<![\w\\'.])(?:
        (?P<greek>{_GREEK})(?![A-Za-z0-9])
      | (?P<mantissa>\d+(?:\.\d+)?)e(?P<exponent>[+-]?\d+)
      | <(?P<mean>[A-Za-z])>
      | (?P<indexed>[A-Za-z])(?=\d(?![\w.]))
      | (?P<scripted>[A-Za-z])(?=_|\^|\*\*)
      | (?P<lone>[B-HJ-Zb-z]|[AaI](?=\s?=))(?!['\w]|\.(?!\s*$))
    )
    (?:(?P<index>\d)|_(?P<sub>[A-Za-z0-9]+)|_\{{(?P<subs>[A-Za-z0-9\ ,+-]*)\}})?
    (?:(?:\^|\*\*)(?:(?P<sup>-?[A-Za-z0-9]+)|\((?P<sups>[A-Za-z0-9\ ,+/-]*)\)))?
    (?![\w'])""",
    re.VERBOSE,
)
_CODE = re.compile(r"`([^`]+)`")
# What plain text writes for signs that it does not have.
_PLAIN = (
    (re.compile(r"(?<=\d) x (?=\d)"), " \u00d7 "),
    (re.compile(r"(?<= )\+-(?= )"), "\u00b1"),
    (re.compile(r"(?<= )-(?= )|(?<![^\s=(,])-(?=[\w.])"), "\u2212"),
    (re.compile(r"(?<=[|)])\^2\b"), "\u00b2"),
    (re.compile(r"\biint (?=\S)"), "\u222c "),
    (re.compile(r"\bint (?=\S)"), "\u222b "),
)


class Piece(NamedTuple):
    """A stretch of words (then `name` is empty), a name with its scripts, a number with its power of ten, or code."""

    words: str
    name: str = ""
    sub: str = ""
    sup: str = ""
    exponent: str = ""
    mean: bool = False
    code: bool = False


def pieces(text: str) -> list[Piece]:
    """A sentence as words, names, numbers and code (between backticks), which is kept to the letter."""
    found: list[Piece] = []
    for number, part in enumerate(_CODE.split(text)):
        found += [Piece(part, code=True)] if number % 2 else _named(part)
    return found


def _named(text: str) -> list[Piece]:
    for pattern, sign in _PLAIN:
        text = pattern.sub(sign, text)
    found, at = [], 0
    for match in _NAME.finditer(text):
        if match.start() > at:
            found.append(Piece(text[at : match.start()]))
        group = match.groupdict(default="")
        kinds = ("greek", "mantissa", "mean", "indexed", "scripted", "lone")
        name = next(group[kind] for kind in kinds if group[kind])
        sub, sup = group["index"] or group["sub"] or group["subs"], group["sup"] or group["sups"]
        found.append(Piece("", name, sub, sup, group["exponent"], bool(group["mean"])))
        at = match.end()
    return [*found, Piece(text[at:])] if at < len(text) else found


def typeset(
    text: str, words: Callable[[str], str], name: Callable[[Piece], str], code: Callable[[str], str] | None = None
) -> str:
    """A sentence with its words, names and code set by functions; code is words where there is no third one."""
    return "".join(
        name(piece) if piece.name else (code if piece.code and code else words)(piece.words) for piece in pieces(text)
    )


def name_html(piece: Piece) -> str:
    """A name in HTML, which Markdown takes as well."""
    if piece.exponent:
        mantissa = "" if piece.name == "1" else f"{piece.name} \u00d7 "
        return f"{mantissa}10<sup>{int(piece.exponent)}</sup>".replace("-", "\u2212").replace(" ", "\u00a0")
    text = _letter_html(piece.name)
    text = f"⟨{text}⟩" if piece.mean else text
    text += f"<sub>{_letter_html(piece.sub)}</sub>" if piece.sub else ""
    return text + (f"<sup>{_letter_html(piece.sup).replace('-', chr(0x2212))}</sup>" if piece.sup else "")


def name_tex(piece: Piece) -> str:
    """A name in LaTeX without delimiters."""
    if piece.exponent:
        return (rf"{piece.name} \times " if piece.name != "1" else "") + f"10^{{{int(piece.exponent)}}}"
    text = _letter_tex(piece.name)
    text = rf"\langle {text}\rangle" if piece.mean else text
    text += f"_{{{_letter_tex(piece.sub)}}}" if piece.sub else ""
    return text + (f"^{{{_letter_tex(piece.sup)}}}" if piece.sup else "")


def sentence_html(text: str) -> str:
    """A sentence in HTML."""
    return typeset(text, _escaped, name_html, lambda code: f"<code>{_escaped(code)}</code>")


def _escaped(words: str) -> str:
    return escape(words, quote=False)


def _letter_html(text: str) -> str:
    if text in SIGNS:
        return SIGNS[text]
    return f"<i>{text}</i>" if len(text) == 1 and text.isalpha() else escape(text)


def _letter_tex(text: str) -> str:
    if text in TEX:
        return TEX[text]
    return rf"\mathrm{{{text}}}" if len(text) > 1 and text.isalpha() else text
