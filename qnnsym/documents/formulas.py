"""LaTeX formulas as trees: estimate how wide they are, and break long ones where a mathematician would."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

# Widths are counted in average letters of a formula.
LIMIT = 64.0
INDENT = 3.0

_TOKEN = re.compile(r"\\[A-Za-z]+\*?|\\.|\s+|.", re.DOTALL)
# Commands with arguments, and how many; all others have none.
ARGUMENTS = {
    **dict.fromkeys((r"\frac", r"\tfrac", r"\dfrac", r"\binom"), 2),
    **dict.fromkeys(
        (
            r"\sqrt", r"\hat", r"\widehat", r"\dot", r"\ddot", r"\bar", r"\overline", r"\tilde", r"\vec",
            r"\overleftarrow", r"\overrightarrow", r"\mathcal", r"\mathrm", r"\mathbf", r"\mathbb", r"\boldsymbol",
            r"\text", r"\operatorname", r"\mathrel", r"\underline",
        ),
        1,
    ),
}  # fmt: skip
FRACTIONS = (r"\frac", r"\tfrac", r"\dfrac")
LARGE = (r"\sum", r"\prod", r"\int", r"\iint", r"\oint")
FUNCTIONS = frozenset(
    "sin cos tan cot sec csc sinh cosh tanh coth arcsin arccos arctan exp log ln lim max min det arg sup inf".split()
)
RELATIONS = frozenset(
    ["=", "<", ">"]
    + [rf"\{name}" for name in "to mapsto approx sim simeq equiv leq geq le ge neq ne propto Rightarrow".split()]
)
SIGNS = ("+", "-", r"\pm", r"\mp")
BLANKS = (r"\,", r"\;", r"\:", r"\!", r"\ ", r"\quad", r"\qquad")
SIZES = tuple(rf"\{size}{side}" for size in ("big", "Big", "bigg", "Bigg") for side in "lr")
SEPARATORS = (r"\quad", r"\qquad")
OPENING, CLOSING = ("(", "[", r"\{", r"\langle"), (")", "]", r"\}", r"\rangle")


@dataclass(frozen=True)
class Node:
    """A piece of a formula.

    Attributes:
        name: the token; "{" for a group, "_" and "^" for scripts, "left" for a pair of fences.
        tex: its source.
        parts: what it holds: arguments, the body of a group or of fences.
        fences: the two signs of a pair of fences.
    """

    name: str
    tex: str
    parts: tuple[tuple[Node, ...], ...] = ()
    fences: tuple[str, str] = ("", "")


class Line(NamedTuple):
    """One displayed line; an indented one continues the line before."""

    tex: str
    indented: bool


def parse(tex: str) -> tuple[Node, ...]:
    """The tree of a formula; what is not balanced stays a sequence of signs."""
    return tuple(_Reader(_TOKEN.findall(tex.strip())).sequence(()))


def width(nodes: Iterable[Node], script: bool = False) -> float:
    """Estimated width in average letters.

    Arguments:
        nodes: of a formula.
        script: whether they are set small, where signs have no blanks around them.
    """
    total, beside = 0.0, 0.0
    for node in nodes:
        if node.name in ("_", "^"):
            wide = 0.7 * width(node.parts[0], True)
            # A lower and an upper script, or limits and their sign, stand above each other.
            total, beside = total + max(0.0, wide - beside), max(wide, beside)
            continue
        own = _own_width(node, script)
        beside = own if node.name in LARGE else 0.0
        total += own
    return total


def lines(tex: str, limit: float = LIMIT) -> list[Line]:
    """A formula in lines that fit: statements apart first, then sums, then sums within brackets and numerators.

    Arguments:
        tex: LaTeX without delimiters.
        limit: largest width in average letters.
    """
    nodes = parse(tex)
    if width(nodes) <= limit:
        return [Line(tex.strip(), False)]
    found: list[Line] = []
    for statement in _statements(nodes):
        found += _broken(statement, limit)
    return found


class _Reader:
    """Recursive descent over the tokens."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens, self.at = tokens, 0

    def sequence(self, ends: Sequence[str]) -> Iterator[Node]:
        while self.at < len(self.tokens) and self.tokens[self.at] not in ends:
            if self.tokens[self.at].isspace():
                self.at += 1
                continue
            yield self.node()

    def node(self) -> Node:
        token = self._next()
        if token == "{":
            body = tuple(self.sequence(("}",)))
            self._next()
            return Node("{", f"{{{_source(body)}}}", (body,))
        if token in ("_", "^"):
            body = self._argument()
            return Node(token, f"{token}{_braced(body)}", (body,))
        if token == r"\left":
            return self._fences()
        if token == r"\begin":
            return self._environment()
        if token == r"\sqrt" and self._peek() == "[":
            self._next()
            root = tuple(self.sequence(("]",)))
            self._next()
            body = self._argument()
            return Node(token, rf"\sqrt[{_source(root)}]{_braced(body)}", (body, root))
        count = ARGUMENTS.get(token, 0)
        if token in (r"\text", r"\operatorname", r"\mathrm"):
            return self._words(token)
        parts = tuple(self._argument() for _ in range(count))
        return Node(token, token + "".join(map(_braced, parts)), parts)

    def _argument(self) -> tuple[Node, ...]:
        while self._peek().isspace():
            self.at += 1
        if self.at >= len(self.tokens):
            return ()
        node = self.node()
        return node.parts[0] if node.name == "{" else (node,)

    def _words(self, token: str) -> Node:
        """An argument in which blanks and signs mean themselves."""
        while self._peek().isspace():
            self.at += 1
        if self._peek() != "{":
            return Node(token, f"{token}{{{self._peek()}}}", ((Node(self._peek(), self._next()),),))
        self._next()
        depth, text = 1, ""
        while self.at < len(self.tokens):
            sign = self._next()
            depth += {"{": 1, "}": -1}.get(sign, 0)
            if not depth:
                break
            text += sign
        return Node(token, f"{token}{{{text}}}", (tuple(Node(c, c) for c in text),))

    def _fences(self) -> Node:
        opening = self._sign()
        body = tuple(self.sequence((r"\right",)))
        self._next()
        closing = self._sign()
        tex = rf"\left{_spaced(opening)}{_source(body)} \right{closing}"
        return Node("left", tex, (body,), (opening, closing))

    def _environment(self) -> Node:
        """Matrices and cases are never broken: their source is kept as it is."""
        start, depth = self.at - 1, 1
        while self.at < len(self.tokens) and depth:
            depth += {r"\begin": 1, r"\end": -1}.get(self._next(), 0)
        while self.at < len(self.tokens) and self._next() != "}":
            pass
        return Node(r"\begin", "".join(self.tokens[start : self.at]))

    def _sign(self) -> str:
        while self._peek().isspace():
            self.at += 1
        return self._next() or "."

    def _peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self.at += 1
        return token


def _source(nodes: Iterable[Node]) -> str:
    text = ""
    for node in nodes:
        # A command that ends with a letter must not run into the next one.
        operator = node.name in SIGNS or node.name in RELATIONS
        text += " " if operator or (re.search(r"\\[A-Za-z]+$", text) and node.tex[:1].isalpha()) else ""
        text += f"{node.tex} " if operator else node.tex
    return text.strip()


def _spaced(sign: str) -> str:
    return f"{sign} " if sign[-1:].isalpha() or sign == "." else sign


def _braced(body: Iterable[Node]) -> str:
    return f"{{{_source(body)}}}"


def _own_width(node: Node, script: bool) -> float:
    name = node.name
    if name in FRACTIONS:
        return max(map(width, node.parts)) * (0.75 if name == r"\tfrac" else 1.0) + 0.5
    if name == "left":
        return width(node.parts[0]) + 1.6
    if name == r"\begin":
        rows = [re.sub(r"\\[A-Za-z]+|[{}]", "", row) for row in node.tex.split(r"\\")]
        return float(max(map(len, rows)))
    if name == r"\sqrt":
        return width(node.parts[0]) + 1.5
    if node.parts:
        return max(width(part) for part in node.parts)
    if name in RELATIONS or name in SIGNS:
        return 1.4 if script else 2.2
    if name in BLANKS:
        return {r"\quad": 2.0, r"\qquad": 4.0, r"\!": -0.3}.get(name, 0.5)
    if name in LARGE:
        return 2.8
    if name in SIZES:
        return 0.0
    if name.startswith("\\") and name[1:] in FUNCTIONS:
        return len(name) - 0.5
    return 0.5 if name in ",.;:|!'" else 1.4 if name.lstrip("\\")[:1].isupper() else 1.0


def _statements(nodes: Sequence[Node]) -> list[list[Node]]:
    """What is set apart by wide blanks."""
    found: list[list[Node]] = [[]]
    for node in nodes:
        if node.name in SEPARATORS:
            found.append([])
        else:
            found[-1].append(node)
    return [statement for statement in found if statement]


class _Atom(NamedTuple):
    """What stays together: its source, its width, how deep in brackets it is, and whether a line may begin with it."""

    tex: str
    width: float
    depth: int
    begins: bool


def _broken(statement: Sequence[Node], limit: float) -> list[Line]:
    """A statement in lines; brackets and fractions are opened only as far as it takes."""
    found: list[Line] = []
    for largest in (inf, limit - INDENT, limit / 2, limit / 4):
        found, widths = _filled(_atoms(statement, largest), limit)
        if max(widths) <= limit:
            break
    return found


def _filled(atoms: Sequence[_Atom], limit: float) -> tuple[list[Line], list[float]]:
    """Lines filled one after the other, each broken where the fewest brackets are open; and their widths."""
    found, widths, rest = [], [], list(atoms)
    while rest:
        indent = INDENT if found else 0.0
        end = _end(rest, limit - indent)
        tex = " ".join(a.tex for a in rest[:end])
        found.append(Line(f"{{}} {tex}" if found and rest[0].begins else tex, bool(found)))
        widths.append(indent + sum(a.width for a in rest[:end]))
        rest = rest[end:]
    return found, widths


def _end(atoms: Sequence[_Atom], room: float) -> int:
    """How many atoms go on this line."""
    total, candidates = 0.0, []
    for at, atom in enumerate(atoms):
        if at and atom.begins:
            candidates.append((at, total, atom.depth))
        total += atom.width
        if total > room and candidates:
            # A line that is nearly empty is worse than a break within a bracket.
            full = [c for c in candidates if c[1] >= 0.3 * room] or candidates
            least = min(depth for _, _, depth in full)
            return max(at for at, _, depth in full if depth == least)
    return len(atoms)


def _atoms(nodes: Sequence[Node], largest: float, depth: int = 0) -> list[_Atom]:
    """The nodes in a row, those wider than `largest` opened; scripts stay with what they belong to."""
    found: list[_Atom] = []
    before, related, nodes = "=", False, list(nodes)
    for at, node in enumerate(nodes):
        scripted = at + 1 < len(nodes) and nodes[at + 1].name in ("_", "^")
        if node.name in ("_", "^", "'") and found:
            last = found[-1]
            found[-1] = last._replace(tex=last.tex + node.tex, width=last.width + width([node]))
            continue
        depth -= node.name in CLOSING
        begins = node.name in SIGNS and before not in (*SIGNS, *RELATIONS, *OPENING, ",")
        begins = begins or (node.name in RELATIONS and related and not depth)
        related = related or node.name in RELATIONS
        opened = _opened(node, largest, depth, scripted) if width([node]) > largest else None
        found += opened or [_Atom(node.tex, width([node]), depth, begins)]
        depth += node.name in OPENING
        before = node.name if node.name not in BLANKS else before
    return found


def _opened(node: Node, largest: float, depth: int, scripted: bool) -> list[_Atom] | None:
    """A wide node as atoms: fences of a fixed size, a fraction as a factor before its numerator; None if it stays."""
    if node.name == "left":
        size = "bigg" if any(sign in node.tex for sign in (*FRACTIONS, *LARGE)) else "big"
        return _enclosed(node.parts[0], largest, depth, size, node.fences)
    if node.name == "{" and not scripted:
        return _atoms(node.parts[0], largest, depth)
    if node.name in FRACTIONS and not scripted and width(node.parts[0]) > largest:
        numerator, denominator = node.parts
        factor = _Atom(rf"\frac{{1}}{{{_source(denominator)}}}", width(denominator) + 0.5, depth, False)
        if any(a.begins for a in _atoms(numerator, inf)):
            return [factor, *_enclosed(numerator, largest, depth, "bigg", ("(", ")"))]
        return [factor, *_atoms(numerator, largest, depth)]
    return None


def _enclosed(body: Sequence[Node], largest: float, depth: int, size: str, fences: tuple[str, str]) -> list[_Atom]:
    opening, closing = (
        [_Atom(rf"\{size}{side}{_spaced(sign)}".strip(), 1.0, depth, False)] if sign != "." else []
        for side, sign in zip("lr", fences, strict=True)
    )
    return [*opening, *_atoms(body, largest, depth + 1), *closing]
