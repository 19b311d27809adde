"""Complete integrals: separation, trajectories against integrated characteristics, closed forms and lost constants."""

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp

from qnnsym.errors import InputError
from qnnsym.phase_space import PhaseSpace, complete_integral

M, K, OM = sp.symbols("m k omega", positive=True)
LINE, PLANE, POLAR, SPHERE = (
    PhaseSpace("x", "p"), PhaseSpace("x y", "px py"), PhaseSpace("r phi", "pr pphi"),
    PhaseSpace("r theta phi", "pr pt pf"),
)  # fmt: skip
(X,), (P,) = LINE.x, LINE.p
(A, B), (PA, PB) = PLANE.x, PLANE.p
(R, PHI), (PR, PPHI) = POLAR.x, POLAR.p
KEPLER = PR**2 / (2 * M) + PPHI**2 / (2 * M * R**2) - K / R
TODA = PA**2 / 2 + PB**2 / 2 + sp.exp(A - B)
VALUES = {M: 1.3, K: 0.9, OM: 1.1}
TIMES = np.linspace(0, 15, 16)


def characteristics(h, space, q0, p0):
    h = h.subs(VALUES)
    rates = sp.lambdify([[*space.x, *space.p]], [*(h.diff(p) for p in space.p), *(-h.diff(x) for x in space.x)])
    run = solve_ivp(
        lambda t, y: rates(y), (0, TIMES[-1]), [*q0, *p0], t_eval=TIMES, method="DOP853", rtol=1e-12, atol=1e-13
    )
    return run.y[: len(q0)].T


@pytest.mark.parametrize(
    ("h", "space", "q0", "p0"),
    [
        (P**2 / (2 * M), LINE, [0.3], [0.7]),
        (P**2 / (2 * M) + M * OM**2 * X**2 / 2, LINE, [0.3], [-0.7]),
        (P**2 / 2 + X**4 / 4, LINE, [1.0], [0.0]),
        (P**2 / 2 + sp.exp(-2 * X) - 2 * sp.exp(-X), LINE, [0.2], [0.5]),  # Morse, bound
        (P**2 / 2 + sp.exp(-2 * X) - 2 * sp.exp(-X), LINE, [0.2], [-1.9]),  # Morse, scattered
        (P**2 / 2 + 1 / sp.cosh(X) ** 2, LINE, [-3.0], [1.8]),  # over a barrier
        (PA**2 / (2 * M) + PB**2 / 2 + OM**2 * A**2 + B**4, PLANE, [0.3, 1], [-0.7, 0.2]),
        (TODA, PLANE, [0.3, 1], [0.7, -0.2]),
        (KEPLER, POLAR, [1.0, 0.3], [0.2, 1.1]),
        (KEPLER, POLAR, [1.0, 0.3], [-0.2, 2.1]),  # hyperbolic
    ],
)
def test_trajectories_from_beta_are_the_characteristics(h, space, q0, p0):
    found = complete_integral(h, space).trajectories(q0, p0, TIMES, VALUES)
    np.testing.assert_allclose(found, characteristics(h, space, q0, p0), rtol=1e-8, atol=1e-9)


def test_kepler_orbits_close_and_obey_the_third_law():
    integral = complete_integral(KEPLER, POLAR)
    q0, p0 = np.array([1.0, 0.0]), np.array([0.3, 1.0])
    energy = p0[0] ** 2 / 2.6 + p0[1] ** 2 / 2.6 - 0.9
    period = 2 * np.pi * np.sqrt(1.3 / 0.9 * (0.9 / (-2 * energy)) ** 3)
    (r, phi), (back, turned) = integral.trajectories(q0, p0, [0.0, period], VALUES)
    assert (back, turned - phi) == (pytest.approx(r, rel=1e-10), pytest.approx(2 * np.pi, rel=1e-10))


def test_central_motion_in_three_dimensions_separates():
    (r, th, _), (pr, pt, pf) = SPHERE.x, SPHERE.p
    h = pr**2 / (2 * M) + (pt**2 + pf**2 / sp.sin(th) ** 2) / (2 * M * r**2) - K / r + r**2 / 10
    integral = complete_integral(h, SPHERE)
    assert integral.complete and integral.rank == 3
    q0, p0 = [1.0, 0.8, 0.1], [0.2, 0.5, 0.6]
    np.testing.assert_allclose(
        integral.trajectories(q0, p0, TIMES, VALUES), characteristics(h, SPHERE, q0, p0), rtol=1e-8, atol=1e-8
    )


@pytest.mark.parametrize("h", [P**2 / (2 * M), P**2 / (2 * M) + M * OM**2 * X**2 / 2, P**2 / 2 + 3 * X])
def test_integrals_in_closed_form_solve_the_equation(h):
    integral = complete_integral(h, LINE)
    assert not integral.J.has(sp.Integral)
    rest = integral.J.diff(LINE.t) + h.subs(P, integral.J.diff(X))
    numbers = {s: v for s, v in zip(sorted(rest.free_symbols, key=str), (1.7, 0.6, 0.9, 0.2, 0.4), strict=False)}
    assert abs(sp.N(rest.subs(numbers))) < 1e-12


def test_van_vleck_is_the_density_of_trajectories():
    """rho = det J_{alpha q} obeys continuity, rho_t + (rho p/m)_x = 0; the density of the oscillator is m/p."""
    integral = complete_integral(P**2 / (2 * M) + M * OM**2 * X**2 / 2, LINE)
    (alpha,) = integral.constants
    momentum = sp.sqrt(2 * M * (alpha - M * OM**2 * X**2 / 2))
    assert sp.simplify(integral.determinant - M / momentum) == 0
    assert sp.simplify(sp.diff(integral.determinant * momentum / M, X)) == 0


def test_fixed_constants_are_lost():
    integral = complete_integral(KEPLER, POLAR)
    alpha = integral.constants[1]
    less = complete_integral(KEPLER, POLAR, fixed={alpha: 0})
    assert (less.rank, less.lost, less.determinant) == (1, (alpha,), 0)
    assert alpha not in less.J.free_symbols and len(less.betas) == 1
    with pytest.raises(InputError, match=r"lost alpha_2.*complete one"):
        less.trajectories([1, 0], [0, 1], [1.0], VALUES)


def test_a_given_integral_is_examined():
    a, b = sp.symbols("a b", real=True)
    free = PA**2 / 2 + PB**2 / 2
    whole = complete_integral(free, PLANE, J=a * A + b * B)
    assert whole.energy == a**2 / 2 + b**2 / 2 and whole.rank == 2 and whole.lost == ()
    assert whole.determinant == 1
    poor = complete_integral(free, PLANE, J=(a + b) * A, constants=[a, b])
    assert poor.rank == 1 and poor.lost == (b,) and poor.determinant == 0
    # The two-point integral of the free particle: its constants are where it started.
    x0 = sp.Symbol("x0", real=True)
    point = complete_integral(P**2 / 2, LINE, J=(X - x0) ** 2 / (2 * LINE.t), constants=[x0])
    assert point.determinant == -1 / LINE.t
    with pytest.raises(InputError, match="does not solve"):
        complete_integral(P**2 / 2, LINE, J=a * X**2)


def test_wave_of_an_integral_and_what_the_van_vleck_amplitude_repairs():
    """(i hbar/2m) Lap J without amplitude; the quantum potential of the amplitude with it."""
    h = P**2 / (2 * M) + M * OM**2 * X**2 / 2
    integral, hbar = complete_integral(h, LINE), LINE.hbar
    momentum = sp.sqrt(2 * M * (integral.constants[0] - M * OM**2 * X**2 / 2))
    assert sp.simplify(integral.residual() - sp.I * hbar / (2 * M) * momentum.diff(X)) == 0
    amplitude = sp.sqrt(M / momentum)
    gap = integral.residual(amplitude) - hbar**2 / (2 * M) * amplitude.diff(X, 2) / amplitude
    numbers = {
        s: v for s, v in zip(sorted(gap.free_symbols, key=str), ("1.7", "0.6", "0.9", "0.2", "0.4"), strict=False)
    }
    numbers = {s: sp.Rational(v) for s, v in numbers.items()}
    assert abs(sp.N(gap.subs(numbers), 30)) < 1e-20


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((PA**2 / 2 + PB**2 / 2 + A**2 * B**2, PLANE), "No separation"),
        ((P**2 / 2 + X * LINE.t, LINE), "depends on time"),
        ((P**2 / 2, "x"), "PhaseSpace"),
        (("p", LINE, None, X), "variable of the space"),
        ((P**2 / 2, LINE, None, None, {sp.Symbol("c"): 1}), "constants are alpha"),
        ((PA**2 + PB**2, PLANE, None, [sp.Symbol("c")]), "one for each"),
    ],
)
def test_bad_arguments_are_sentences(arguments, words):
    with pytest.raises(InputError, match=words):
        complete_integral(*arguments)
    with pytest.raises(InputError, match="No number is given for m"):
        complete_integral(P**2 / (2 * M), LINE).trajectories([0], [1], [1.0])
