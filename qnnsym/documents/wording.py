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

SIGNS = {**GREEK, "hbar": "ħ"}
_GREEK = "|".join(sorted(SIGNS, key=len, reverse=True))
# Articles and the first person are letters only before a sign of equality, initials and "e.g." never.
_NAME = re.compile(
    rf"""(?<![\w\\'.])(?:
        (?P<greek>{_GREEK})(?![A-Za-z0-9])
      | <(?P<mean>\w)>
      | (?P<indexed>[A-Za-z])(?=\d(?![\w.]))
      | (?P<scripted>[A-Za-z])(?=_|\^|\*\*)
      | (?P<lone>[B-HJ-Zb-z]|[AaI](?=\s?=))(?![\w'.])
    )
    (?:(?P<index>\d)|_(?P<sub>[A-Za-z0-9]+)|_\{{(?P<subs>[\w\ ,+-]*)\}})?
    (?:(?:\^|\*\*)(?:(?P<sup>-?\w+)|\((?P<sups>[\w\ ,+/-]*)\)))?
    (?![\w'])""",
    re.VERBOSE,
)


# What plain text writes for signs that it does not have.
_PLAIN = (
    (re.compile(r"(?<=\d) x (?=\d)"), " \u00d7 "),
    (re.compile(r"(?<= )\+-(?= )"), "\u00b1"),
    (re.compile(r"(?<= )-(?= )"), "\u2212"),
    (re.compile(r"\biint (?=\S)"), "\u222c "),
    (re.compile(r"\bint (?=\S)"), "\u222b "),
)


class Piece(NamedTuple):
    """A stretch of words (then `name` is empty), or a name with its scripts."""

    words: str
    name: str = ""
    sub: str = ""
    sup: str = ""
    mean: bool = False


def pieces(text: str) -> list[Piece]:
    """A sentence as words and names."""
    for pattern, sign in _PLAIN:
        text = pattern.sub(sign, text)
    found, at = [], 0
    for match in _NAME.finditer(text):
        group = match.groupdict(default="")
        name = group["greek"] or group["mean"] or group["indexed"] or group["scripted"] or group["lone"]
        if match.start() > at:
            found.append(Piece(text[at : match.start()]))
        sub, sup = group["index"] or group["sub"] or group["subs"], group["sup"] or group["sups"]
        found.append(Piece("", name, sub, sup, bool(group["mean"])))
        at = match.end()
    return [*found, Piece(text[at:])] if at < len(text) else found


def typeset(text: str, words: Callable[[str], str], name: Callable[[Piece], str]) -> str:
    """A sentence with its words and names set by two functions."""
    return "".join(name(piece) if piece.name else words(piece.words) for piece in pieces(text))


def name_html(piece: Piece) -> str:
    """A name in HTML, which Markdown takes as well."""
    text = _letter_html(piece.name)
    text = f"⟨{text}⟩" if piece.mean else text
    text += f"<sub>{_letter_html(piece.sub)}</sub>" if piece.sub else ""
    return text + (f"<sup>{_letter_html(piece.sup).replace('-', chr(0x2212))}</sup>" if piece.sup else "")


def name_tex(piece: Piece) -> str:
    """A name in LaTeX without delimiters."""
    text = _letter_tex(piece.name)
    text = rf"\langle {text}\rangle" if piece.mean else text
    text += f"_{{{_letter_tex(piece.sub)}}}" if piece.sub else ""
    return text + (f"^{{{_letter_tex(piece.sup)}}}" if piece.sup else "")


def sentence_html(text: str) -> str:
    """A sentence in HTML."""
    return typeset(text, lambda words: escape(words, quote=False), name_html)


def _letter_html(text: str) -> str:
    if text in SIGNS:
        return SIGNS[text]
    return f"<i>{text}</i>" if len(text) == 1 and text.isalpha() else escape(text)


def _letter_tex(text: str) -> str:
    if text in SIGNS:
        return text if text in ("omicron", "Omicron") else rf"\{text}" if text[0].islower() else _capital(text)
    return rf"\mathrm{{{text}}}" if len(text) > 1 and text.isalpha() else text


def _capital(name: str) -> str:
    """Capitals that look Latin have no command of their own."""
    own = ("Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi", "Omega")
    return rf"\{name}" if name in own else rf"\mathrm{{{name[0]}}}"
