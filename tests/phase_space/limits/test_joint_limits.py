"""Linear flows, revivals, the oscillator basis, the order of the correction: they pass, and fail on what is wrong."""

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from qnnsym.checks.check import FAIL, NOT_APPLICABLE, PASS, Context
from qnnsym.derivation.model import Model
from qnnsym.phase_space import CoherentState, GaussianState, PhaseSpace, evolve_wigner, fock, limits, star
from qnnsym.phase_space.limits.revivals import _weights

space = PhaseSpace("x", "p")
(x,), (p,), hbar = space.x, space.p, space.hbar
plane = PhaseSpace("x y", "px py")
NUMBER = (x**2 + p**2) / 2 - hbar / 2
KERR = star(NUMBER, NUMBER, space)


def solved(H, state=None, times=(0, 0.5, 3), over=space, tolerance=1e-6, wrong=None, **changes):
    """A model and its run; of another H where `wrong` is given."""
    state = state or CoherentState(x0=sp.Rational(1, 2))
    one = Model("one", H, space=over, hbar=1, state=state, times=times, options={"tolerance": tolerance}, **changes)
    e_ops = {str(symbol): symbol for symbol in one.observe}
    solution = evolve_wigner(H if wrong is None else wrong, state, times, hbar=1, space=over, tolerance=tolerance,
                             e_ops=e_ops)  # fmt: skip
    return Context(one, solution=solution)


def verdicts(rows):
    return [row.verdict for row in rows]


@pytest.mark.parametrize("H", (p**2 / 2 - x**2 / 2, x * p + x / 3, p**2 / 2 + x**2 / 2 + x * p / 2))
def test_linear_flows_carry_w_along(H):
    check, context = limits.linear_flow(), solved(H, GaussianState(a=0.8, x0=0.3, p0=-0.2))
    assert check.applies(context.model) is None and verdicts(check.run(context)) == [PASS]
    assert context.figures[0]["kind"] == "wigner"
    broken = solved(H, GaussianState(a=0.8, x0=0.3, p0=-0.2), wrong=H + x / 50)
    assert verdicts(check.run(broken)) == [FAIL]


def test_where_a_flow_is_not_linear_is_said():
    check = limits.linear_flow()
    for H, reason in ((x**4, "quadratic"), (sp.cos(space.t) * x, "autonomous")):
        assert reason in check.applies(Model("one", H, space=space, state=CoherentState()))
    assert "closed form" in check.applies(Model("one", x * p, space=space))


@pytest.mark.parametrize("share, parts", (("1/2", 1), ("1/4", 2), ("1/3", 3), ("1/6", 3), ("1/8", 4), ("1", 1)))
def test_the_weights_of_a_cat_are_normalised_and_few(share, parts):
    weights = _weights(sp.Rational(share))
    assert np.sum(np.abs(weights) ** 2) == pytest.approx(1) and np.sum(np.abs(weights) > 1e-12) == parts


def test_cats_of_a_kerr_medium_are_found_at_rational_times():
    state = CoherentState(x0=1, p0=sp.Rational(1, 2))
    check, context = limits.revivals(), solved(KERR, state, (0, float(sp.pi / 2), 3), tolerance=1e-5)
    assert check.applies(context.model) is None
    rows = check.run(context)
    assert verdicts(rows) == [PASS, PASS] and "1/8" in rows[0].quantity and "1/4" in rows[1].quantity
    # The square of the symbol is not the symbol of the square: the cats come out turned.
    squared = replace(context.solution, states=np.roll(context.solution.states, 1, axis=1))
    assert FAIL in verdicts(check.run(replace(context, solution=squared)))
    late = Context(replace(context.model, times=(0, 1, 2)), solution=replace(context.solution, times=[0, 0.3, 0.8]))
    late.solution.times = np.array([0, 0.3, 0.8])
    assert verdicts(check.run(late)) == [NOT_APPLICABLE]


def test_the_star_product_gives_the_levels_of_the_square():
    """The trap: chi (hbar a^dag a)^2 has the levels n^2; the square of the symbol has others."""
    from qnnsym.phase_space.fock import levels_of

    energies, rest = levels_of(KERR, space, {hbar: 1.0}, 1.0, 8)
    assert energies == pytest.approx(np.arange(8.0) ** 2, abs=1e-12) and rest < 1e-12
    squared, _ = levels_of(NUMBER**2, space, {hbar: 1.0}, 1.0, 8)
    assert squared == pytest.approx(np.arange(8.0) ** 2 + 0.25, abs=1e-12)


@pytest.mark.parametrize(
    "H, state, reason",
    (
        (p**2 / 2 + x**4, CoherentState(), "no function of the energy"),
        (p**2 / 2 + x**2 / 2, CoherentState(), "equidistant"),
        ((x**2 + p**2) ** 3, CoherentState(), "not quadratic"),
        (KERR, GaussianState(a=1), "coherent state"),
        (sp.cos(x), CoherentState(), "polynomial"),
    ),
)
def test_where_there_are_no_revivals_is_said(H, state, reason):
    assert reason in limits.revivals().applies(Model("one", H, space=space, state=state))


def test_the_oscillator_basis_judges_mixed_hamiltonians():
    check, H = limits.oscillator_basis(), KERR / 4 + x * p / 5
    context = solved(H, observe=[x, x * p], tolerance=1e-5)
    assert check.applies(context.model) is None and verdicts(check.run(context)) == [PASS, PASS]
    broken = solved(H, observe=[x, x * p], tolerance=1e-5, wrong=H + x / 100)
    assert verdicts(check.run(broken)) == [FAIL, FAIL]
    assert "polynomial" in check.applies(Model("one", p**2 + sp.cos(x), space=space, state=CoherentState()))
    assert "autonomous" in check.applies(Model("one", p**2 + space.t * x, space=space, state=CoherentState()))


def test_a_basis_that_is_too_small_judges_nothing(monkeypatch):
    monkeypatch.setattr(fock, "MOST_QUANTA", 20)
    H = p**2 / 2 + x**4 / 4
    context = solved(H, CoherentState(x0=1), (0, 1, 2), observe=[x], tolerance=1e-6)
    (row, *rest) = limits.oscillator_basis().run(context)
    assert verdicts([row, *rest]) == [NOT_APPLICABLE, NOT_APPLICABLE] and "too small to tell" in row.detail


def test_the_correction_is_of_second_order_in_hbar():
    H = p**2 / 2 + x**2 / 2 + x**2 * p / 6
    one = Model("one", H, space=space, hbar=1, state=CoherentState(x0=sp.Rational(1, 2)), times=(0, 4, 2))
    check, context = limits.correction_order(), Context(one)
    (row,) = check.run(context)
    assert row.verdict == PASS and float(row.found) == pytest.approx(2, abs=0.1)
    assert context.figures[0]["kind"] == "order"
    assert "hbar" in check.applies(replace(one, hamiltonian=H + hbar * x))
    (zero,) = check.run(Context(replace(one, hamiltonian=x * p / 3)))
    assert zero.verdict == PASS and "identically zero" in zero.detail
