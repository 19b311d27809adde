"""Every kind of obligation proves a true claim, and fails on a false one: wrong sign, wrong power, NaN, nothing."""

import mpmath
import numpy as np
import pytest
import sympy as sp

from qnnsym.derivation.obligations import DIGITS, MatrixAgreement, NumericAgreement, SymbolicZero, VanishingOrder

x, y, h = sp.symbols("x y h", real=True)
RANGES = {x: (0.2, 1.5), y: (-1.0, 1.0)}


def proof(obligation):
    return obligation.discharge()


# symbolic zero -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "expression",
    [
        (x + y) ** 3 - x**3 - 3 * x**2 * y - 3 * x * y**2 - y**3,
        1 / (1 - x) - 1 / (1 + x) - 2 * x / (1 - x**2),
        sp.tanh(x) * (y + 1) - sp.tanh(x) * y - sp.tanh(x),
        sp.Integer(0),
        0,
    ],
)
def test_an_identity_is_expanded_to_zero(expression):
    found = proof(SymbolicZero([expression]))
    assert found.holds and found.detail == "1 expression expanded to 0"


@pytest.mark.parametrize(
    "expression",
    [
        (x + y) ** 3 - x**3 - 3 * x**2 * y - 3 * x * y**2 + y**3,
        (x + y) ** 3 - x**3 - 3 * x**2 * y - 3 * x * y**3 - y**3,
        1 / (1 - x) + 1 / (1 + x) - 2 * x / (1 - x**2),
        x * sp.Rational(1, 10**30),
        sp.nan,
        sp.zoo,
        sp.Float("nan"),
    ],
)
def test_a_false_identity_leaves_a_remainder(expression):
    found = proof(SymbolicZero([0, expression, 0]))
    assert not found.holds and found.detail.startswith("the remainder")


def test_one_false_expression_among_many_is_enough():
    assert not proof(SymbolicZero([x - x, y, x - x])).holds
    assert proof(SymbolicZero([x - x, y - y])).detail == "2 expressions expanded to 0"


# numeric agreement -----------------------------------------------------------------------------------------------


def test_formulas_that_agree_in_fifty_digits_are_proved():
    pairs = [
        (sp.sin(x) ** 2, 1 - sp.cos(x) ** 2),
        (sp.exp(x + y), sp.exp(x) * sp.exp(y)),
        (sp.besselj(0, x), lambda at: mpmath.besselj(0, at[x])),
    ]
    found = proof(NumericAgreement(pairs, RANGES, by="identities"))
    assert found.holds and "with identities" in found.method
    assert "3 formulas at 4 random points" in found.detail


@pytest.mark.parametrize(
    "left, right",
    [
        (sp.sin(x), -sp.sin(x)),
        (x**2, x**3),
        (sp.exp(x + y), sp.exp(x - y)),
        (x, x + sp.Rational(1, 10**35)),
        (x, x * (1 + sp.Float("1e-39", 60))),
        (sp.nan + x, x),
        (lambda at: mpmath.nan, x),
        (lambda at: mpmath.inf, lambda at: mpmath.inf),
        (lambda at: mpmath.inf, x),
        (x, lambda at: at[x] if at[x] < 0.5 else mpmath.nan),
    ],
)
def test_formulas_that_differ_are_not_proved(left, right):
    found = proof(NumericAgreement([(x, x), (left, right)], RANGES, points=6))
    assert not found.holds
    assert "in pair 2 at x=" in found.detail


def test_points_come_from_a_fixed_seed():
    seen = []

    def recorded(at):
        seen.append((at[x], at[y]))
        return at[x]

    for _ in range(2):
        assert proof(NumericAgreement([(recorded, x)], RANGES, points=3)).holds
    assert seen[:3] == seen[3:] and len(set(seen[:3])) == 3
    assert all(0.2 <= a <= 1.5 and -1 <= b <= 1 for a, b in seen)


def test_the_working_precision_exceeds_the_digits_claimed():
    found = []
    proof(NumericAgreement([(lambda at: found.append(mpmath.mp.dps) or at[x], x)], RANGES, points=1))
    assert found == [DIGITS + 10]


# matrices ---------------------------------------------------------------------------------------------------------


def matrices(rng):
    return rng.normal(size=(4, 4)), rng.normal(size=(4, 4))


def product_transposed(rng):
    a, b = matrices(rng)
    return (a @ b).T


@pytest.mark.parametrize(
    "right, holds",
    [
        (lambda a, b: b.T @ a.T, True),
        (lambda a, b: -(b.T @ a.T), False),
        (lambda a, b: a.T @ b.T, False),
        (lambda a, b: b.T @ a.T * (1 + 1e-9), False),
        (lambda a, b: b.T @ a.T + np.nan, False),
        (lambda a, b: np.where(np.eye(4) > 0, np.inf, b.T @ a.T), False),
        (lambda a, b: 0 * a, False),
    ],
)
def test_operators_agree_on_random_matrices_or_not(right, holds):
    found = proof(MatrixAgreement(product_transposed, lambda rng: right(*matrices(rng))))
    assert found.holds is holds
    assert ("3 draws" in found.detail) is holds


def test_a_gap_in_any_draw_fails():
    """Equal in the first draw only: the later ones are looked at too."""
    first = np.random.default_rng(20240624).normal()

    def right(rng):
        value = rng.normal()
        return np.array([value if value == first else value + 1e-3])

    found = proof(MatrixAgreement(lambda rng: np.array([rng.normal()]), right))
    assert not found.holds and "in draw 2" in found.detail


def test_a_zero_left_side_demands_a_zero_right_side():
    assert proof(MatrixAgreement(lambda rng: np.zeros(3), lambda rng: np.zeros(3))).holds
    assert not proof(MatrixAgreement(lambda rng: np.zeros(3), lambda rng: 1e-8 * rng.normal(size=3))).holds


def test_arrays_of_different_shape_do_not_agree():
    assert not proof(MatrixAgreement(lambda rng: np.ones((2, 2)), lambda rng: np.ones(2))).holds


# order of vanishing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "expression, order",
    [
        (sp.exp(h) - 1 - h - h**2 / 2, 3),
        ((x + h) ** 4 - x**4 - 4 * x**3 * h, 2),
        (sp.sin(h * x) / x, 1),
        (x + h, 0),
        (h**6 * sp.cos(x), 6),
    ],
)
def test_the_power_that_an_expression_vanishes_with_is_proved(expression, order):
    found = proof(VanishingOrder(expression, h, order, RANGES))
    assert found.holds and f"(claimed {order})" in found.detail
    for wrong in (order - 1, order + 1):
        assert not proof(VanishingOrder(expression, h, wrong, RANGES)).holds


def test_a_remainder_bound_accepts_a_higher_power_and_no_lower_one():
    assert proof(VanishingOrder(h**4, h, 2, exact=False)).holds
    assert proof(VanishingOrder(h**2, h, 2, exact=False)).holds
    assert not proof(VanishingOrder(h**4 + h, h, 2, exact=False)).holds
    assert not proof(VanishingOrder(h**4 + 1, h, 2, exact=False)).holds


def test_an_expression_that_is_zero_meets_a_bound_and_no_exact_order():
    assert proof(VanishingOrder(h - h, h, 2, RANGES, exact=False)).holds
    found = proof(VanishingOrder(h - h, h, 2, RANGES))
    assert not found.holds and "identically zero" in found.detail


def test_rounding_of_what_is_zero_identically_is_taken_for_no_power():
    zero = sp.sin(x + h) ** 2 + sp.cos(x + h) ** 2 - 1
    assert proof(VanishingOrder(zero, h, 2, RANGES, exact=False)).holds
    found = proof(VanishingOrder(zero, h, 0, RANGES))
    assert not found.holds and "identically zero" in found.detail
    assert not proof(VanishingOrder(zero + h * sp.Rational(1, 10**40), h, 2, RANGES, exact=False)).holds


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("bad", [sp.nan, sp.zoo, sp.log(0)])
def test_a_value_that_is_no_number_fails(bad, exact):
    assert not proof(VanishingOrder(h**2 + bad * h**2, h, 2, exact=exact)).holds


@pytest.mark.parametrize("exact", [True, False])
def test_a_nan_at_one_of_the_points_is_not_lost_among_the_others(exact, monkeypatch):
    """min and max pass over a NaN that is not the first of the powers."""
    calls = []

    def function(small, at):
        calls.append(at)
        return mpmath.nan if len(set(calls)) == 2 else small**2 * at

    monkeypatch.setattr(sp, "lambdify", lambda *a: function)
    assert not proof(VanishingOrder(h**2 * x, h, 2, {x: (0.2, 1.5)}, exact=exact)).holds


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("vanishing", ["1e-8", "1e-9"])
def test_a_value_that_vanishes_at_one_of_the_two_parameters_has_no_power(vanishing, order):
    assert not proof(VanishingOrder(h * (h - sp.Rational(vanishing)), h, order)).holds


def test_one_point_with_another_power_fails():
    jump = sp.Piecewise((h, x < 0.8), (h**2, True))
    assert not proof(VanishingOrder(jump, h, 2, {x: (0.2, 1.5)}, points=6, exact=False)).holds


# nothing to prove -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "obligation",
    [
        SymbolicZero([]),
        NumericAgreement([], RANGES),
        NumericAgreement([(x, x)], RANGES, points=0),
        MatrixAgreement(lambda rng: np.ones(1), lambda rng: np.ones(1), draws=0),
        MatrixAgreement(lambda rng: np.ones(0), lambda rng: np.ones(0)),
        VanishingOrder(h**2, h, 2, points=0),
    ],
)
def test_an_obligation_that_claims_nothing_proves_nothing(obligation):
    found = proof(obligation)
    assert not found.holds and "nothing" in found.detail


def test_cancelling_digits_are_no_disagreement_and_a_difference_stays_one():
    power = (x + 1) ** 120
    written_out = sp.expand(power)
    assert NumericAgreement([(power, written_out)], {x: (-2, -1.5)}).discharge().holds
    assert not NumericAgreement([(power, written_out + sp.Rational(1, 10**30))], {x: (-2, -1.5)}).discharge().holds
