"""Formulas and sentences in plain text, HTML and LaTeX."""

import pytest

from qnnsym.documents.plain import plain_text
from qnnsym.documents.wording import name_tex, sentence_html, typeset


@pytest.mark.parametrize(
    ("tex", "text"),
    [
        (r"H = \frac{g x^{4}}{4} + \frac{p^{2}}{2 m}", "H = g x⁴/4 + p²/(2 m)"),
        (r"\frac{\partial^{3} W}{\partial p^{3}}", "∂³W/∂p³"),
        (r"\dot y_{k} = \frac{\tanh{\left(u_{k} \right)} - y_{k}}{\lambda}", "ẏₖ = (tanh(uₖ) − yₖ)/λ"),  # noqa: RUF001
        (r"K(p, -k) = -K(p, k)", "K(p, −k) = −K(p, k)"),  # noqa: RUF001
        (r"\mathcal{O}\left(\hbar^{10}\right)", "O(ħ¹⁰)"),
        (r"k \left(x + 1\right)", "k (x + 1)"),
        (r"\left. \bigl\{ a \bigr\} \right|", "{a}|"),
        (r"\frac{x}{1920} - 1.25 y", "x/1920 − 1.25 y"),  # noqa: RUF001
        (r"W_{\mathrm{cl}} \to \text{two words}", "W_{cl} → two words"),
        (r"\frac{\sum_{j} a_{j}}{2}", "(Σⱼ aⱼ)/2"),
        (r"\sqrt[3]{x + 1} \binom{n}{k}", "³√(x + 1) binom(n, k)"),
        (r"\sqrt{x} \ge \unknown", r"√(x) ≥ \unknown"),
    ],
)
def test_formulas(tex, text):
    assert plain_text(tex) == text


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("order in hbar of |W - W_cl|", "order in ħ of |<i>W</i> \u2212 <i>W</i><sub>cl</sub>|"),
        ("y_0 and Delta_12", "<i>y</i><sub>0</sub> and Δ<sub>12</sub>"),
        ("<x>_cl at x**2", "⟨<i>x</i>⟩<sub>cl</sub> at <i>x</i><sup>2</sup>"),
        ("W. B. Case, Am. J. Phys. 76", "W. B. Case, Am. J. Phys. 76"),
        ("a test of max_steps in quartic_oscillator", "a test of max_steps in quartic_oscillator"),
        ("the model's lambdas", "the model's lambdas"),
        ("grid 60 x 60 +- 1", "grid 60 \u00d7 60 +- 1".replace("+-", "\u00b1")),
        ("gap 1.5e-61", "gap 1.5\u00a0\u00d7\u00a010<sup>\u221261</sup>"),
        ("rtol 1e-10", "rtol 10<sup>\u221210</sup>"),
        ("run `qnnsym run a_b --set g=1` again", "run <code>qnnsym run a_b --set g=1</code> again"),
        ("`a_b -n 5 x0=-3 1e-3 hbar`", "<code>a_b -n 5 x0=-3 1e-3 hbar</code>"),
        ("<_> and x_", "&lt;_&gt; and x_"),
        ("<script> & more", "&lt;script&gt; &amp; more"),
        ("keeps W.", "keeps <i>W</i>."),
        ("hbar^(n+2)", "ħ<sup>n+2</sup>"),
    ],
)
def test_sentences(text, html):
    assert sentence_html(text) == html


def test_names_in_latex():
    text = typeset("Delta_0, W_cl, hbar^2, Eta, 2e-3", str, lambda piece: f"${name_tex(piece)}$")
    assert text == r"$\Delta_{0}$, $W_{\mathrm{cl}}$, $\hbar^{2}$, $\mathrm{H}$, $2 \times 10^{-3}$"
