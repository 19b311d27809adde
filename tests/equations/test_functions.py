"""Elementary functions: derivatives, digits, and values where the naive formula overflows."""

import mpmath
import numpy as np
import pytest
import sympy as sp

from qnnsym.equations.functions import ELEMENTARY, MPMATH, logistic, relu, softplus, step

u = sp.Symbol("u", real=True)


@pytest.mark.parametrize("function", [logistic, softplus])
@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("at", [-3.25, -0.5, 0.0, 1.75])
def test_derivatives_to_third_order_equal_differences(function, order, at):
    symbolic = function(u).diff(u, order)
    assert not symbolic.has(sp.Derivative)
    with mpmath.workdps(60):
        found = mpmath.mpf(str(symbolic.subs(u, sp.Rational(at)).evalf(50)))
        expected = mpmath.diff(lambda v: MPMATH[function.__name__](v), at, order)
        assert abs(found - expected) < mpmath.mpf(10) ** -35


@pytest.mark.parametrize("function", [logistic, softplus])
@pytest.mark.parametrize("at", [-200, -1, 0, sp.Rational(1, 3), 150])
def test_digits_asked_for_are_the_digits_of_the_formula(function, at):
    found = function(sp.sympify(at)).evalf(40)
    exact = function(u).rewrite(sp.exp).subs(u, at).evalf(250)  # the formula cancels; so many digits outlast that
    assert abs(found / exact - 1) < sp.Float(10) ** -39


def test_kinks_have_the_derivative_zero_from_the_left():
    assert [relu(u).diff(u), step(u).diff(u)] == [step(u), 0]
    assert [float(step(sp.Integer(n))) for n in (-1, 0, 1)] == [0, 0, 1]
    assert [float(relu(sp.Integer(n))) for n in (-2, 0, 3)] == [0, 0, 3]


def test_softplus_is_the_integral_of_logistic():
    assert softplus(u).diff(u) == logistic(u)
    assert sp.simplify((logistic(u).diff(u) - logistic(u) * logistic(-u)).rewrite(sp.exp)) == 0


@pytest.mark.parametrize("name", sorted(ELEMENTARY))
@pytest.mark.parametrize("at", [-1e4, -30.0, 30.0, 1e4])
def test_values_far_out_neither_overflow_nor_lose_their_limit(name, at):
    limit = {
        "logistic": mpmath.exp(at) if at < 0 else 1,
        "softplus": mpmath.exp(at) if at < 0 else at,
        "step": 0 if at < 0 else 1,
        "relu": 0 if at < 0 else at,
    }[name]
    found = MPMATH[name](mpmath.mpf(at))
    assert abs(found - limit) <= mpmath.mpf(1e-12) * abs(limit)


@pytest.mark.parametrize("function", list(ELEMENTARY.values()))
def test_real_arguments_have_real_values(function):
    assert function(u).is_real
    assert function(sp.Symbol("w")).is_real is None
    with pytest.raises(TypeError):
        function(u, u)


def test_symbolic_arguments_stay_symbolic():
    assert logistic(u + 1).evalf() == logistic(u + 1)
    assert np.isclose(float(logistic(sp.Float(0.3))), 1 / (1 + np.exp(-0.3)), rtol=1e-15)


def test_logistic_prints_as_sigma():
    assert sp.latex(logistic(u)) == r"\sigma\left(u\right)"
    assert sp.latex(logistic(u) ** 2) == r"\left(\sigma\left(u\right)\right)^{2}"
