"""Formulas in lines: they fit, every line stands by itself, and nothing of the formula is lost."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnnsym.documents.formulas import LIMIT, lines, parse, width
from qnnsym.documents.mathml import math_element
from tests.documents.sample import LONG

TERMS = [
    r"\frac{a}{b}", r"x^{2}", r"\left(u - v\right)^{2} y", r"\sum_{k=0}^{N-1} z_{k}", r"\sin{\left(x \right)}",
    "K(p, k)",
]  # fmt: skip
AROUND = [r"a \left\{{{}\right\}} W", r"\frac{{{}}}{{2 \lambda}}", r"\frac{{1}}{{2}} \left({}\right) b"]
SUMS = st.lists(st.tuples(st.sampled_from(["+", "-"]), st.sampled_from(TERMS)), min_size=1, max_size=40).map(
    lambda terms: " ".join(f"{sign} {term}" for sign, term in terms)
)


def _signs(tex: str) -> str:
    """What is printed of a formula, without blanks and empty groups."""
    return re.sub(r"\s", "", tex.replace("{}", ""))


def _balanced(tex: str) -> bool:
    depth = 0
    for sign in re.findall(r"\\.|[{}]", tex):
        depth += {"{": 1, "}": -1}.get(sign, 0)
        if depth < 0:
            return False
    return depth == 0 and len(re.findall(r"\\left\b", tex)) == len(re.findall(r"\\right\b", tex))


def test_a_short_formula_stays_as_it_is():
    assert [line.tex for line in lines(r"H = \frac{p^{2}}{2 m}")] == [r"H = \frac{p^{2}}{2 m}"]


@given(SUMS)
def test_sums_are_broken_at_their_signs_and_fit(terms):
    found = lines(f"E = {terms}")
    assert all(width(parse(line.tex)) <= LIMIT for line in found)
    assert all(_balanced(line.tex) for line in found)
    assert _signs("".join(line.tex for line in found)) == _signs(f"E = {terms}")
    assert [line.indented for line in found] == [False] + [True] * (len(found) - 1)
    assert all(line.tex.startswith(("{} +", "{} -")) for line in found[1:])


@given(SUMS, st.sampled_from(AROUND))
def test_brackets_and_numerators_are_opened_when_they_are_too_wide(terms, around):
    found = lines("E = " + around.format(terms))
    assert all(width(parse(line.tex)) <= LIMIT for line in found)
    assert all(_balanced(line.tex) for line in found)
    letters = re.compile(r"\\(?:left|right|biggl|biggr|bigl|bigr)\b|[{}()\s]|\\[{}]|\\frac|\d")
    assert sorted(letters.sub("", "".join(line.tex for line in found))) == sorted(
        letters.sub("", "E = " + around.format(terms))
    )


def test_statements_come_apart_before_sums_do():
    found = lines(r"\dot q = " + "+ a_{1} " * 12 + r", \qquad \dot p = " + "- b " * 14)
    assert [line.indented for line in found] == [False, False]


def test_signs_within_scripts_and_exponents_are_no_places_to_break():
    found = lines(r"V = e^{- " + "+ ".join("x" * 9) + "} " * 1 + " + y" * 40)
    assert found[0].tex.startswith("V = e^{-")
    assert all(_balanced(line.tex) for line in found)


def test_a_minus_after_a_relation_or_a_bracket_begins_no_line():
    found = lines("a = - b" + " + c" * 60)
    assert found[0].tex.startswith("a = - b +")


@given(st.text(alphabet=r"\{}[]()^_&ab+-=, ", max_size=40))
def test_whatever_is_written_can_be_read_and_shown(tex):
    for line in lines(tex, 10.0):
        assert math_element(line.tex).count("<annotation") == 1


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [(r"\frac{a}{b}", "a + b"), (r"x^{2}", "x x"), (r"\sum_{k=0}^{N}", r"\sum_{k=0}^{N} a b"), ("a", r"\tanh")],
)
def test_widths_are_in_the_right_order(narrow, wide):
    assert width(parse(narrow)) < width(parse(wide))


def test_the_long_formula_of_the_sample_has_several_lines():
    assert len(lines(LONG)) > 1
