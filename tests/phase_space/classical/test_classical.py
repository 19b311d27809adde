"""Powers of hbar of the Moyal terms: known cases, the position representation of pure states, numbers at small hbar."""

from math import factorial

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from qnnsym.errors import InputError
from qnnsym.phase_space import (
    CatMixture,
    CatState,
    CoherentState,
    FockState,
    GaussianState,
    Mixture,
    PhaseSpace,
    ThermalState,
    classical_limit,
)
from qnnsym.phase_space.classical.confirmation import sampled

space = PhaseSpace("x", "p")
(x,), (p,), hbar = space.x, space.p, space.hbar
PENDULUM = p**2 / 2 + 1 - sp.cos(x)
QUARTIC = p**2 / 2 + x**4 / 4
MORSE = p**2 / 2 + sp.exp(-2 * x) - 2 * sp.exp(-x)
root = sp.sqrt(hbar)


def powers(H, family, measure, terms=(1, 2)):
    table = classical_limit(H, family, space, terms=terms, measures=(measure,))
    return [table.exponent[measure, s] for s in terms]


def test_the_call_of_the_interface():
    table = classical_limit(
        PENDULUM, family=CatState(a=root, b=1), space=space, terms=(1, 2, 3), measures=("l2", "sup", "weak")
    )
    # The fringes at x = 0, where sin(x) vanishes as much as T_0 does, make the cat marginal.
    assert [table.exponent["l2", s] for s in (1, 2, 3)] == [0, 0, 0]
    assert [table.exponent["weak", s] for s in (1, 2, 3)] == [2, 4, 6]
    assert table.coefficient["l2", 1].equals(1 / (6 * sp.sqrt(1 + sp.sin(1) ** 2)))
    assert table.coefficient["sup", 2] == sp.Rational(1, 120)
    assert table.verdict["l2", 1] == "marginal" and table.verdict["weak", 1] == "regular"
    assert not any(c.has(hbar) for c in table.coefficient.values())
    assert "marginal" in str(table)


def test_a_pure_gaussian_of_fixed_width_has_a_limit_in_the_weak_measure_only():
    table = classical_limit(PENDULUM, GaussianState(a=1, x0=1), space)
    for s in (1, 2, 3):
        assert table.exponent["l2", s] == table.exponent["sup", s] == 0
        assert table.exponent["weak", s] == 2 * s
    assert table.coefficient["l2", 1] == sp.sqrt(15) / 24
    # H_3 and H_1 at their maxima.
    assert float(table.coefficient["sup", 1]) == pytest.approx(0.18961930229196658, rel=1e-12)


@pytest.mark.parametrize("alpha", ["1/5", "1/3", "1/2", "3/4", "1"])
def test_width_hbar_to_the_alpha_gives_two_alpha_s(alpha):
    a = hbar ** sp.Rational(alpha)
    assert powers(PENDULUM, GaussianState(a=a, x0=1), "l2") == [2 * sp.Rational(alpha), 4 * sp.Rational(alpha)]


@settings(max_examples=12, deadline=None)
@given(st.fractions(0, 1, max_denominator=7), st.fractions(0, 1, max_denominator=7))
def test_smearing_decides_where_it_is_wider(alpha, beta):
    """The width in p at fixed x is the larger of hbar^beta and hbar^(1 - alpha): the power is 2s (1 - its power)."""
    alpha, beta = (sp.Rational(f.numerator, f.denominator) for f in (alpha, beta))
    state = GaussianState(a=hbar**alpha, x0=1, c=hbar**beta)
    w = min(beta, 1 - alpha)
    assert powers(QUARTIC, state, "l2", (1,)) == [2 * (1 - w)]


def test_special_centres_change_the_power():
    """At the minimum of x^4 the first correction scales as T_0 itself does for coherent widths."""
    assert powers(QUARTIC, GaussianState(a=root), "l2") == [0, "zero"]
    assert powers(QUARTIC, GaussianState(a=root, x0=1), "l2") == [1, "zero"]
    assert powers(QUARTIC, GaussianState(a=root), "weak") == [1, "zero"]
    # A centre that moves with hbar more slowly than the width decides as a fixed one does, with its own power.
    assert powers(QUARTIC, GaussianState(a=root, x0=hbar ** sp.Rational(1, 4)), "l2", (1,)) == [sp.Rational(1, 2)]


def test_what_decides_is_the_width_in_p_and_not_purity():
    for family in (CatState(a=1, b=1), CatMixture(a=1, b=1)):
        assert powers(PENDULUM, family, "l2") == [0, 0]
    assert powers(PENDULUM, CatState(a=1, b=1, c=1), "l2") == [2, 4]
    assert powers(PENDULUM, CatState(a=root, b=1, x0=sp.Rational(1, 2)), "l2") == [0, 0]
    assert powers(PENDULUM, CatMixture(a=root, b=1, x0=sp.Rational(1, 2)), "l2") == [1, 2]
    # A distance that shrinks with the widths is no cat any more.
    assert powers(PENDULUM, CatState(a=root, b=root, x0=1), "l2") == [1, 2]
    assert powers(PENDULUM, ThermalState(1, x0=1), "l2") == [2, 4]


def test_singular_terms_are_called_so():
    """Where U' vanishes to a higher order than U''' does, the correction outgrows the classical term."""
    table = classical_limit(p**2 / 2 + x**3, GaussianState(a=hbar), space, terms=(1,), measures=("l2",))
    # T_0 ~ 3 x^2 ~ hbar^2 against a constant, w ~ 1: hbar^2/hbar^2.
    assert table.exponent["l2", 1] == 0
    table = classical_limit(
        p**2 / 2 + x**6, GaussianState(a=hbar ** sp.Rational(2, 3)), space, terms=(1,), measures=("l2",)
    )
    assert table.exponent["l2", 1] == 0
    table = classical_limit(
        p**2 / 2 + x**4, GaussianState(a=hbar ** sp.Rational(3, 4), c=hbar), space, terms=(1,), measures=("l2",)
    )
    assert table.exponent["l2", 1] == 0
    squeezed = Mixture([(hbar, GaussianState(a=hbar, x0=2)), (1 - hbar, GaussianState(a=1))])
    assert classical_limit(x**3 + p**2, squeezed, space, (1,), ("l2",)).exponent["l2", 1] == 0


def test_identically_zero_is_its_own_verdict():
    table = classical_limit(p**2 / 2 + x**2, CoherentState(1), space)
    assert set(table.exponent.values()) == {"zero"} and set(table.verdict.values()) == {"identically zero"}
    table = classical_limit(PENDULUM, CoherentState(1), space, measures=("weak",), observable=p)
    assert table.exponent["weak", 1] == "zero"  # Ehrenfest: d<p>/dt = -<U'>


def pure_l2(psi, derivative, s, window, number=700):
    """2^(-2s)/n! sqrt(E[F(mid)^2 y^2n]) over two independent positions: no Wigner function."""
    q = np.linspace(*window, number)
    weight = np.abs(psi(q)) ** 2
    weight /= weight.sum()
    mid, y = (q[:, None] + q[None, :]) / 2, q[:, None] - q[None, :]
    n = 2 * s + 1
    mean = np.sum(weight[:, None] * weight[None, :] * derivative(mid) ** 2 * y ** (2 * n))
    return np.sqrt(mean) / 4**s / factorial(n)


@pytest.mark.parametrize("s", [1, 2])
def test_coefficients_of_pure_states_in_the_position_representation(s):
    """Fixed widths: exact at every hbar, so that the numbers have to agree to all digits of the quadrature."""
    cat = lambda q: np.exp(-((q - 1.5) ** 2) / 2) + np.exp(-((q + 0.5) ** 2) / 2)  # noqa: E731
    sign = lambda q: np.sin(q)  # noqa: E731
    table = classical_limit(PENDULUM, CatState(a=1, b=1, x0=sp.Rational(1, 2)), space, (s,), ("l2",))
    ratio = pure_l2(cat, sign, s, (-9, 10)) / pure_l2(cat, sign, 0, (-9, 10))
    assert float(table.coefficient["l2", s]) == pytest.approx(ratio, rel=1e-9)
    # A Fock state in units of its own length.
    fock = lambda q: (2 * q**2 - 1) * np.exp(-(q**2) / 2)  # noqa: E731
    one = lambda q: np.ones_like(q)  # noqa: E731
    table = classical_limit(MORSE, FockState(2, x0=1), space, (s,), ("l2",))
    forces = [float(sp.diff(sp.exp(-2 * x) - 2 * sp.exp(-x), x, n).subs(x, 1)) for n in (1, 2 * s + 1)]
    ratio = pure_l2(fock, one, s, (-9, 9)) / pure_l2(fock, one, 0, (-9, 9)) * abs(forces[1] / forces[0])
    assert table.exponent["l2", s] == s
    assert float(table.coefficient["l2", s]) == pytest.approx(ratio, rel=1e-9)


CONFIRMED = {
    "coherent": (PENDULUM, GaussianState(a=root, x0=1)),
    "squeezed in Morse": (MORSE, GaussianState(a=hbar ** sp.Rational(1, 3), x0=1, p0=sp.Rational(1, 3))),
    "cat": (PENDULUM, CatState(a=root, b=1)),
    "cat of fixed width": (PENDULUM, CatState(a=1, b=1)),
    "smeared cat": (QUARTIC, CatState(a=1, b=sp.Rational(1, 2), x0=1, c=1)),
    "fock": (PENDULUM, FockState(2, x0=1)),
    "thermal in a Gaussian well": (p**2 / 2 - sp.exp(-(x**2) / 4), ThermalState(1, x0=1)),
    "mixture": (
        PENDULUM,
        Mixture([(sp.Rational(1, 3), GaussianState(a=root, x0=1)), (sp.Rational(2, 3), FockState(1, x0=2))]),
    ),
}


@pytest.mark.parametrize("name", CONFIRMED)
def test_powers_and_coefficients_are_seen_at_small_hbar(name):
    H, family = CONFIRMED[name]
    table = classical_limit(H, family, space, terms=(1, 2))
    found = sampled(table, ("1e-7", "1e-8"))
    assert not found.reasons
    for key, power in table.exponent.items():
        if power == "zero":
            assert np.all(found.ratios[key] == 0) and np.isnan(found.slopes[key])
            continue
        assert found.slopes[key] == pytest.approx(float(power), abs=5e-3)
        size = float(table.coefficient[key]) * 1e-8 ** float(power)
        assert found.ratios[key][-1] == pytest.approx(size, rel=2e-3)


def test_a_wrong_power_is_not_confirmed():
    table = classical_limit(PENDULUM, GaussianState(a=root, x0=1), space, (1,), ("l2",))
    assert abs(sampled(table, ("1e-7", "1e-8")).slopes["l2", 1] - 2) > 0.5


def test_parameters_stay_in_the_coefficients():
    own = PhaseSpace("x", "p")
    g, c = own.parameters(g=3, c=2)
    (q,), (k,) = own.x, own.p
    table = classical_limit(
        k**2 / 2 + g * q**4, GaussianState(a=sp.sqrt(own.hbar), x0=1, c=c), own, (1,), ("l2", "weak")
    )
    assert table.exponent["l2", 1] == 2
    assert sp.simplify(table.coefficient["l2", 1] - sp.sqrt(15) / 24 * 6 / c**2) == 0


def test_kinetic_terms_are_those_of_the_turned_phase_space():
    """(x, p) -> (p, -x) makes T(p) a potential; a coherent state stays what it is."""
    kinetic = classical_limit(
        sp.cos(p) + x**2, CoherentState(0, 1), space, (1, 2), part="kinetic", measures=("l2", "sup")
    )
    potential = classical_limit(sp.cos(x) + p**2, CoherentState(1, 0), space, (1, 2), measures=("l2", "sup"))
    assert kinetic.exponent == potential.exponent
    assert all(sp.N(kinetic.coefficient[k] - potential.coefficient[k], 20) == 0 for k in kinetic.coefficient)
    relativistic = classical_limit(
        sp.sqrt(1 + p**2), GaussianState(a=1, p0=1), space, (1,), part="kinetic", measures=("l2",)
    )
    # The width in x is what counts here, and it is fixed.
    assert relativistic.exponent["l2", 1] == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"measures": ("l1",)}, "no measure"),
        ({"measures": ()}, "no measure"),
        ({"terms": (0,)}, "terms"),
        ({"terms": ()}, "terms"),
        ({"H": x * p}, "mixes x and p"),
        ({"H": p**2 + hbar * x}, "depends on hbar"),
        ({"H": p**2 + space.t * x}, "depends on hbar or time"),
        ({"family": sp.exp(-(x**2))}, "no state"),
        ({"family": GaussianState(a=1 / sp.log(1 / hbar))}, "power"),
        ({"family": GaussianState(a=1, x0=1 / hbar)}, "runs away"),
        ({"space": PhaseSpace("x y", "px py"), "H": PhaseSpace("x y", "px py").x[0] ** 4}, "degrees of freedom"),
        ({"space": 3}, "no phase space"),
        ({"part": "both"}, "part"),
        ({"observable": hbar * x}, "observable"),
        ({"observable": x**2, "measures": ("weak",)}, "classical term vanishes|identically"),
    ],
)
def test_what_cannot_be_used_is_named(change, words):
    arguments = {"H": PENDULUM, "family": GaussianState(a=root, x0=1), "space": space, "terms": (1,), **change}
    if change.get("observable") == x**2:
        table = classical_limit(**arguments)
        assert table.exponent["weak", 1] == "zero"
        return
    with pytest.raises(InputError, match=words):
        classical_limit(**arguments)


def test_a_kink_has_no_terms():
    with pytest.raises(InputError, match=r"order 3 of Abs.x. in x is a distribution"):
        classical_limit(p**2 / 2 + sp.Abs(x), GaussianState(a=root), space)


def test_averages_without_closed_form_are_computed():
    """A Lorentzian against the default observable: W -> exp(-x^2) delta(p) at small hbar, its average by SciPy."""
    U = 1 / (1 + x**2)
    table = classical_limit(p**2 / 2 + U, GaussianState(1), space, terms=(1,), measures=("l2", "weak"))
    g = sp.exp(-((p - sp.Rational(1, 5)) ** 2))

    def mean(n, power=1, square=1.0, at=0.3):
        f = sp.lambdify(x, sp.diff(U, x, n) ** power)
        return quad(lambda v: f(v) * np.exp(-square * v**2 - (2 - power) * (v - at) ** 2), -12, 12, epsabs=1e-13)[0]

    ratio = float((sp.diff(g, p, 3) / sp.diff(g, p)).subs(p, 0)) / 24
    assert float(table.coefficient["weak", 1]) == pytest.approx(abs(ratio * mean(3) / mean(1)), rel=1e-9)
    assert table.exponent["weak", 1] == 2
    # Fourier's variable of exp(-p^2/hbar^2) squared has the variance 1/hbar^2: <k^6>/<k^2> = 15/hbar^4.
    expected = np.sqrt(15 * mean(3, 2, 2.0) / mean(1, 2, 2.0)) / 24
    assert float(table.coefficient["l2", 1]) == pytest.approx(expected, rel=1e-9)
    # The poles of U at +-i are a width away: the measured ratios resolve them.
    found = sampled(table, ("1e-6",))
    assert found.ratios["l2", 1][0] == pytest.approx(expected, rel=1e-6)
    assert found.ratios["weak", 1][0] == pytest.approx(1e-12 * float(table.coefficient["weak", 1]), rel=1e-6)
