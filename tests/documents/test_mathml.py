"""MathML of a line: well-formed, with its TeX, and without what browsers do not know."""

from xml.etree import ElementTree

import pytest

from qnnsym.documents.mathml import math_element

FORMULAS = [
    r"\tfrac{2}{\hbar}\, H \sin\left[\tfrac{\hbar}{2}\left(\overleftarrow{\partial}_x - 1\right)\right] W",
    r"\langle x+\tfrac y2|\rho|x-\tfrac y2\rangle\, dy",
    r"\dot p \mathrel{+}= - \frac{\partial E}{\partial q}, \quad \;{+}\!= x",
    r"{} + \bigl\{ \hat W \bigr\} \left. x \right|",
    r"\sqrt{x} \begin{cases} 1 & \text{for}\: x < 1 \\ 0 & \text{otherwise} \end{cases}",
    r"W_{\mathrm{cl}} \mathrm{d}x \operatorname{div} \mathcal{O}(1)",
]


@pytest.mark.parametrize("tex", FORMULAS)
def test_lines_are_well_formed_and_carry_their_tex(tex):
    root = ElementTree.fromstring(math_element(tex))
    notes = list(root.iter("annotation"))
    assert root.tag == "math" and root.get("display") == "block"
    assert [(n.get("encoding"), n.text) for n in notes] == [("application/x-tex", tex)]
    shown = next(iter(next(iter(root))))
    assert "\\" not in "".join(shown.itertext())
    assert all(len(operator) == 0 and operator.text for operator in shown.iter("mo"))
    assert all(blank.get("width", "").endswith("em") for blank in shown.iter("mspace"))


def test_signs_of_terms_are_told_from_signs_between_them():
    first, second = [mo for mo in ElementTree.fromstring(math_element("a = - b - c")).iter("mo") if mo.text == "\u2212"]
    assert first.get("form") == "prefix" and second.get("form") is None


def test_names_of_functions_stand_apart():
    row = next(iter(next(iter(ElementTree.fromstring(math_element(r"x \sin y"))))))
    assert [child.tag for child in row] == ["mi", "mspace", "mi", "mspace", "mi"]


def test_accents_are_accents_and_the_round_d_a_letter():
    root = ElementTree.fromstring(math_element(r"\dot y = \partial_x \hat W"))
    assert [over.get("accent") for over in root.iter("mover")] == ["true", "true"]
    assert "\u2202" in [letter.text for letter in root.iter("mi")]


def test_a_single_roman_letter_is_upright():
    assert "<mtext>d</mtext>" in math_element(r"\mathrm{d}x")


def test_what_cannot_be_read_is_shown_as_it_is():
    assert r"<mtext>\left( a</mtext>" in math_element(r"\left( a")


def test_the_tex_is_escaped():
    assert "a &lt; b &amp; c" in math_element("a < b & c")
