"""MathML of one displayed line, as browsers render it without scripts: MathML Core, with the TeX in an annotation."""

# ruff: noqa: RUF001 - the signs that look like others are meant
from __future__ import annotations

import re
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from latex2mathml.converter import convert

_NAMESPACE = ' xmlns="http://www.w3.org/1998/Math/MathML"'
_ACCENTS = frozenset("˙¨^~ˆ˜¯‾―←→⃗")
# latex2mathml takes these for letters, or leaves their widths in words; MathML Core has neither.
_BRACKETS = {"⟨": "prefix", "{": "prefix", "⟩": "postfix", "}": "postfix"}
_WIDTHS = {
    "thinmathspace": "0.167em", "mediummathspace": "0.222em", "thickmathspace": "0.278em",
    "negativethinmathspace": "-0.167em", "negativemediummathspace": "-0.222em",
}  # fmt: skip
_OPERANDS = ("mi", "mn", "msub", "msup", "msubsup", "mfrac", "mrow", "mover", "msqrt")
_SIGNS, _TIGHT = ("−", "-", "+", "±", "∓"), ("|", "/")
_TALL = frozenset(("mfrac", "munderover", "munder", "mtable", "msqrt", "mroot"))
_THIN = "0.167em"
_ROMAN = re.compile(r"\\mathrm\s*\{([A-Za-z0-9 ]+)\}")


def math_element(tex: str, display: str = "block") -> str:
    """One `<math>` element, to stand in HTML (which knows its namespace).

    Arguments:
        tex: LaTeX without delimiters, on one line.
        display: "block" or "inline".

    Returns:
        XML text; LaTeX that cannot be read is shown as it is.
    """
    root = Element("math", {"display": display})
    semantics = ElementTree.SubElement(root, "semantics")
    semantics.append(_presentation(tex, display))
    note = ElementTree.SubElement(semantics, "annotation", {"encoding": "application/x-tex"})
    note.text = tex
    return ElementTree.tostring(root, encoding="unicode")


def _presentation(tex: str, display: str) -> Element:
    try:
        # A single roman letter would come out italic; text never does.
        text = convert(_ROMAN.sub(r"\\text{\1}", tex), display=display).replace(_NAMESPACE, "", 1)
        row = next(iter(ElementTree.fromstring(text)))
    except Exception:  # the converter raises whatever its stack meets; a page must not fail for one formula
        row = Element("mtext")
        row.text = tex
        return row
    _mend(row)
    return row


def _mend(element: Element) -> None:
    """Turn what latex2mathml writes into what MathML Core understands, from the leaves up."""
    for child in list(element):
        _mend(child)
        _mend_leaf(child)
        if child.tag == "mo" and len(child):  # \mathrel{+} comes as an operator within an operator
            child.text = "".join(child.itertext())
            for inner in list(child):
                child.remove(inner)
        if child.tag == "mo" and not child.text:  # the missing side of \left. still takes room
            element.remove(child)
    if element.tag == "mover" and (element[1].text or "") in _ACCENTS:
        element.set("accent", "true")
    _mark_signs(element)
    if element.tag == "mrow":
        _set_functions_apart(element)
        _fit_brackets(element)


def _mend_leaf(leaf: Element) -> None:
    text = leaf.text or ""
    if leaf.tag == "mspace":
        leaf.set("width", _WIDTHS.get(leaf.get("width", ""), leaf.get("width", "")))
    elif leaf.tag == "mo" and text == "∂":
        leaf.tag = "mi"
    elif leaf.tag == "mo" and text.startswith("\\"):
        leaf.text = text[1:]
    elif leaf.tag == "mo" and text in _TIGHT:
        leaf.set("lspace", "0.05em")
        leaf.set("rspace", "0.05em")
    elif leaf.tag == "mi" and text in _BRACKETS:
        leaf.tag = "mo"
        leaf.attrib.update(form=_BRACKETS[text], stretchy="false", lspace="0", rspace="0")


def _mark_signs(row: Element) -> None:
    """Mark signs after relations, commas and opening brackets as belonging to what follows; browsers see the first."""
    before: Element | None = None
    for child in row:
        if child.tag == "mo" and (child.text or "") in _SIGNS and before is not None and before.tag == "mo":
            if before.get("form") != "postfix" and (before.text or "") not in (")", "]", "}", "|"):
                child.set("form", "prefix")
        if child.tag != "mspace":
            before = child


def _set_functions_apart(row: Element) -> None:
    """Thin blanks around names of functions, as TeX puts them: x sin y, but sin(y)."""
    children = list(row)
    for at, child in reversed(list(enumerate(children))):
        base = child[0] if child.tag in ("msub", "msup", "msubsup") else child
        if base.tag != "mi" or len(base.text or "") < 2:
            continue
        follower = children[at + 1] if at + 1 < len(children) else None
        if follower is not None and follower.tag in _OPERANDS and not _bracketed(follower):
            row.insert(at + 1, Element("mspace", {"width": _THIN}))
        if at and children[at - 1].tag in _OPERANDS:
            row.insert(at, Element("mspace", {"width": _THIN}))


def _fit_brackets(row: Element) -> None:
    """Brackets around one row of letters keep their own size; stretched ones come with wide margins."""
    fences = [child for child in (row[0], row[-1]) if child.get("fence") == "true"] if len(row) else []
    if len(fences) == 2 and not any(inner.tag in _TALL for inner in row.iter()):
        for fence in fences:
            fence.set("stretchy", "false")


def _bracketed(element: Element) -> bool:
    """Whether what is shown begins with a bracket."""
    while len(element) and element.tag in ("mrow", "msup", "msub", "msubsup"):
        element = element[0]
    return element.tag == "mo"
