"""What users may give by mistake is told in sentences, and nothing is computed with it."""

import numpy as np
import pytest
import sympy as sp

from qnnsym.errors import InputError
from qnnsym.phase_space import (
    CoherentState,
    GaussianState,
    Mixture,
    PhaseSpace,
    SqueezedState,
    classical_limit,
    evolve_wigner,
    madelung,
    moyal_bracket,
    moyal_equation,
    star,
    weyl_quantize,
)

space = PhaseSpace("x", "p")
(x,), (p,), hbar = space.x, space.p, space.hbar
plane = PhaseSpace("x y", "px py")
H = p**2 / 2 + x**2 / 2


def evolved(H=H, state=None, space=space, **options):
    arguments = {"hbar": 1, "times": (0, 0.1, 2), "progress": False, **options}
    state = GaussianState(1) if state is None else state
    return evolve_wigner(H, state, arguments.pop("times"), space=space, **arguments)


@pytest.mark.parametrize(
    "options, sentence",
    (
        ({"step": "a"}, "step is 'a'; give a positive number"),
        ({"step": np.nan}, "step is nan"),
        ({"step": True}, "step is True"),
        ({"workers": 0}, "workers is 0; give a number of threads"),
        ({"workers": -3}, "workers is -3"),
        ({"workers": "a"}, "workers is 'a'"),
        ({"hbar": True}, "hbar is True; give a number"),
        ({"tolerance": 1e-16}, "below what double precision can hold"),
        ({"times": (0, 1, 10.0)}, "may be a range of 10 times or three times"),
        ({"state": GaussianState(a=1, x0=x)}, "x0 = x of the state holds x, a variable"),
        ({"state": GaussianState(a=1 + p**2)}, "holds p, a variable"),
        ({"state": SqueezedState(r=x)}, "r = x of the state holds x, a variable"),
    ),
)
def test_options_of_an_evolution(options, sentence):
    with pytest.raises(InputError, match=sentence):
        evolved(**options)


def test_options_of_several_degrees_of_freedom():
    sum_of_squares = sum(v**2 for v in plane.variables) / 2
    for options, sentence in (
        ({"step": "a"}, "step is 'a'"),
        ({"workers": 0}, "workers is 0"),
        ({"tolerance": 1e-16}, "double precision"),
        ({"e_ops": {"i": 1 / (plane.x[0] - plane.x[1] / 7 - 1)}, "tolerance": 1e-2}, "has a pole inside the grid"),
    ):
        with pytest.raises(InputError, match=sentence):
            evolved(sum_of_squares, CoherentState(), plane, **options)


def test_arrays_with_imaginary_parts():
    grid = tuple(np.linspace(-6, 6, 32, endpoint=False) for _ in range(2))
    W = np.exp(-(grid[0][:, None] ** 2) - grid[1] ** 2) / np.pi
    with pytest.raises(InputError, match="has complex entries"):
        evolved(state=W * (1 + 0.1j), grid=grid)


@pytest.mark.parametrize(
    "observable",
    (1 / x, 1 / x**2, 1 / (x**2 - 2 * x + 1), x / (x - p / 3), 1 / sp.Abs(x - 1), sp.tan(x), 1 / (x**2 - 2)),
)
def test_poles_between_grid_points(observable):
    grid = np.linspace(-6, 6, 64, endpoint=False) + 0.01
    with pytest.raises(InputError, match="has a pole inside the grid, where"):
        evolved(grid=(grid, grid), e_ops={"i": observable})


def test_denominators_without_zeros_are_observables():
    found = evolved(e_ops={"i": 1 / (1 + x**2), "j": sp.tanh(x) / (2 + sp.cos(p)), "k": sp.exp(-x)})
    # int exp(-x^2)/(1 + x^2) dx/sqrt(pi) = sqrt(pi) e erfc(1); the ground state stays as it is.
    expected = float(sp.sqrt(sp.pi) * sp.E * sp.erfc(1))
    assert found.expect["i"] == pytest.approx(expected, abs=1e-8)


def test_observables_on_a_circle_have_its_period():
    options = {"state": GaussianState(0.5), "hbar": 0.5, "periodic": True}
    with pytest.raises(InputError, match="The observable x = x does not have the period"):
        evolved(p**2 / 2, e_ops=[x], **options)
    found = evolved(p**2 / 2, e_ops={"p": p, "c": p * sp.cos(2 * x)}, **options)
    assert found.expect["p"] == pytest.approx(0, abs=1e-10)


def test_every_order_is_called_exact():
    assert star(x, p, space, order="exact") == star(x, p, space)
    assert moyal_bracket(x**3, p**3, space, order="exact") == moyal_bracket(x**3, p**3, space)
    assert moyal_equation(H, space, order="exact").exact
    assert star(x**2, p**2, space, order=np.int64(1)) == star(x**2, p**2, space, order=1)
    with pytest.raises(InputError, match='None or "exact"'):
        star(x, p, space, order="all")


@pytest.mark.parametrize("given", (sp.nan, sp.zoo, sp.oo, float("nan"), x + sp.zoo * p))
def test_what_has_no_value_is_refused(given):
    for call in (
        lambda: star(given, p, space),
        lambda: moyal_bracket(p, given, space),
        lambda: weyl_quantize(given, space),
        lambda: madelung(H, space).quantum_potential(given),
        lambda: moyal_equation(H, space).rhs(given),
    ):
        with pytest.raises(InputError, match="undefined or infinite"):
            call()


@pytest.mark.parametrize("given", ("a", GaussianState(1), np.ones((3, 3))))
def test_rates_of_what_is_no_function(given):
    with pytest.raises(InputError, match="is not a function on phase space"):
        moyal_equation(H, space, 2).rhs(given)


def test_infinite_bounds_of_integrals_are_no_infinities():
    f = sp.Integral(sp.exp(-(p**2) * hbar), (hbar, 0, sp.oo))
    assert star(f, sp.S.One, space) == f


def test_constructors():
    for call, sentence in (
        (lambda: PhaseSpace(1, 2), "1 cannot name one of the positions"),
        (lambda: Mixture(GaussianState(1)), "A mixture is a list of"),
        (lambda: classical_limit(H, GaussianState(1), space, measures=()), r"measures=\(\) names no measure"),
        (lambda: classical_limit(H, GaussianState(1), space, measures=3), "measures=3 names no measure"),
    ):
        with pytest.raises(InputError, match=sentence):
            call()


def test_a_method_that_needs_too_many_steps_says_so_at_once():
    options = {"method": "strang", "times": (0, 2, 3), "hbar": 0.5}
    with pytest.raises(InputError, match=r"strang needs about .* steps for the tolerance 1e-13 up to t = 2, more than"):
        evolved(p**2 / 2 + x**4 / 4, tolerance=1e-13, **options)
