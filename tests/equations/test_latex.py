"""Names of several letters are no products of letters."""

import pytest
import sympy as sp

from qnnsym.equations.latex import latex


@pytest.mark.parametrize(
    ("name", "tex"),
    [
        ("px", "p_{x}"), ("rate", r"\mathrm{rate}"), ("omega", r"\omega"), ("x_1", "x_{1}"), ("nbar", r"\bar{n}"),
        ("hbar", r"\hbar"), ("g", "g"), ("pi", r"\pi"), ("xhat", r"\hat{x}"), ("m2", "m_{2}"),
    ],
)  # fmt: skip
def test_a_symbol(name, tex):
    assert latex(sp.Symbol(name)) == tex


def test_inside_expressions():
    px, W = sp.Symbol("px"), sp.Function("W")
    assert latex(px**2 / 2) == r"\frac{p_{x}^{2}}{2}"
    assert latex(W(px).diff(px)) == r"\frac{d}{d p_{x}} W{\left(p_{x} \right)}"
