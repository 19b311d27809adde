"""The Schrodinger oracle against closed forms: it is what everything else is judged by."""

import numpy as np
import pytest
import sympy as sp

from qnnsym.errors import InputError, SolverError
from qnnsym.phase_space import (
    CatMixture,
    CatState,
    FockState,
    GaussianState,
    Mixture,
    PhaseSpace,
    SqueezedState,
    ThermalState,
)
from qnnsym.phase_space import oracle as module
from qnnsym.phase_space.oracle import OracleResult, schroedinger_wigner

space = PhaseSpace("x", "p")
(x,), (p,), hbar = space.x, space.p, space.hbar
OSCILLATOR = p**2 / 2 + x**2 / 2


def axis(half, n):
    return half * (2 * np.arange(n) / n - 1)


GRID = axis(3.5, 40), axis(3.5, 44)
X, P = GRID[0][:, None], GRID[1][None, :]


def values(state, at_x=X, at_p=P, h=0.2):
    expression = state.wigner(space) if hasattr(state, "wigner") else state
    return sp.lambdify((x, p), expression.subs(hbar, h), ["scipy", "numpy"])(at_x, at_p)


def solved(H=OSCILLATOR, W0=None, times=(0.0, 1.0), **options):
    state = GaussianState(a=sp.sqrt(hbar), x0=1) if W0 is None else W0
    arguments = {"hbar": 0.2, "space": space, "grid": GRID, **options}
    return schroedinger_wigner(H, state, times, **arguments)


def gap(found, exact):
    return max(np.abs(found - exact).max() / np.abs(exact).max(), np.linalg.norm(found - exact) / np.linalg.norm(exact))


STATES = {
    "packet": GaussianState(a=0.4, x0=1, p0="-1/2"),
    "smeared": GaussianState(a=0.5, x0=1, c=0.4),
    "squeezed": SqueezedState(r=0.4, x0=0.5),
    "cat": CatState(a=0.5, b=0.9),
    "mixture of cats": CatMixture(a=0.5, b=0.9),
    "thermal": ThermalState(beta=4),
    "Fock": FockState(5, x0=0.2, p0=-0.1),
    "mixture": Mixture([("1/4", FockState(2)), ("3/4", GaussianState(a=0.5, x0=-0.5))]),
    "expression": GaussianState(a=0.4, x0=1).wigner(space),
}


@pytest.mark.parametrize("name", STATES)
def test_every_state_is_rotated_rigidly_by_an_oscillator(name):
    mass, omega, times = 1.25, 0.8, (0.0, 0.7, 3.0, -1.1)
    found = solved(p**2 / (2 * mass) + mass * omega**2 * x**2 / 2, STATES[name], times, tolerance=1e-10)
    assert isinstance(found, OracleResult) and found.states.shape == (4, 40, 44) and found.error <= 1e-10
    for t, w in zip(times, found.states, strict=True):
        c, s = np.cos(omega * t), np.sin(omega * t)
        exact = values(STATES[name], X * c - P * s / (mass * omega), P * c + X * s * mass * omega)
        assert gap(w, exact) < 3e-10


def test_the_momentum_basis_of_any_kinetic_energy_is_that_of_p2():
    """T = p^2/2 written so that the closed form of its matrix does not apply."""
    exact = solved(times=(0.6,), tolerance=1e-10)
    # 2 sinh^2(p e/2)/e^2 - p^4 e^2/24 = p^2/2 + O(e^4 p^6): not exactly, so that the quadrature is used.
    e = sp.Rational(1, 1000)
    other = solved((sp.cosh(e * p) - 1) / e**2 - e**2 * p**4 / 24 + x**2 / 2, times=(0.6,), tolerance=1e-10)
    assert gap(other.states[0], exact.states[0]) < 1e-8


def test_p_and_x_may_be_exchanged():
    """H = cos p + x^2/2 turned by a quarter is H = p^2/2 + cos x: the two bases have nothing in common."""
    state = GaussianState(a=0.5, x0=0.8, c=0.3)
    # Turned, it is smeared in x instead of p, which no GaussianState is: it is given by its W.
    turned = state.wigner(space).subs({x: -p, p: x}, simultaneous=True)
    square = axis(3.5, 40), axis(3.5, 40)
    one = solved(p**2 / 2 + 1 - sp.cos(x), state, (0.9,), grid=square, tolerance=1e-9).states[0]
    other = solved(1 - sp.cos(p) + x**2 / 2, turned, (0.9,), grid=square, tolerance=1e-9).states[0]
    # (x, p) -> (p, -x), on a grid from -L to L - step: the first row has no partner.
    assert gap(other[:, 1:], one[1:, :][::-1, :].T) < 5e-9


def test_a_kinetic_energy_that_is_not_even_gives_complex_matrices():
    """H = p^2/2 + v p + x^2/2 = (p + v)^2/2 + ...: the oscillator seen from momenta shifted by v."""
    v, t = 0.4, 0.8
    found = solved(p**2 / 2 + v * p + x**2 / 2, times=(t,), tolerance=1e-9).states[0]
    c, s = np.cos(t), np.sin(t)
    exact = values(GaussianState(a=sp.sqrt(hbar), x0=1), X * c - (P + v) * s, (P + v) * c + X * s - v)
    assert gap(found, exact) < 2e-9


def test_an_eigenstate_stays_whatever_the_potential():
    """The ground state of the Poschl-Teller well -1/cosh^2(x/2) is cosh(x/2)^(-s), here with s = 2."""
    h = 0.5
    # -h^2/2 psi'' + U psi = E psi for psi = cosh(x/2)^-2: U = -(3/4) h^2/cosh^2(x/2), E = -h^2/2.
    H = p**2 / 2 - sp.Rational(3, 4) * hbar**2 / sp.cosh(x / 2) ** 2
    grid = axis(16.0, 64), axis(2.5, 64)
    y = np.linspace(-60, 60, 4001)

    def psi(q):
        return np.cosh(q / 2) ** -2.0

    normal = np.sum(psi(y) ** 2) * (y[1] - y[0])
    chord = psi(grid[0][:, None] + y / 2) * psi(grid[0][:, None] - y / 2) / normal
    w0 = (chord @ np.cos(np.outer(y, grid[1]) / h)) * (y[1] - y[0]) / (2 * np.pi * h)
    found = schroedinger_wigner(H, w0, (0.0, 4.0), hbar=h, space=space, grid=grid, tolerance=1e-6)
    assert gap(found.states[0], w0) < 1e-5 and gap(found.states[1], w0) < 1e-5


def test_an_array_is_band_limited_and_zero_outside():
    state = GaussianState(a=0.6, x0=0.5, c=0.2)
    found = solved(W0=values(state), times=(0.0, 1.0), tolerance=1e-8)
    exact = solved(W0=state, times=(0.0, 1.0), tolerance=1e-10)
    assert gap(found.states[1], exact.states[1]) < 1e-6


def test_high_fock_states_keep_their_digits():
    """Written out, L_60 cancels away sixteen digits; the recurrence does not."""
    grid = axis(6.5, 32), axis(6.5, 36)
    found = solved(W0=FockState(60), times=(0.0, 2.0), grid=grid, tolerance=1e-9)
    assert gap(found.states[1], found.states[0]) < 1e-9
    from scipy.special import eval_laguerre

    u = (grid[0][:, None] ** 2 + grid[1][None, :] ** 2) / 0.2
    assert gap(found.states[0], np.exp(-u) * eval_laguerre(60, 2 * u) / (np.pi * 0.2)) < 1e-9


def test_momenta_beyond_the_grid_cast_no_images():
    """The output's lattice makes W periodic in p: its period has to keep the images of the basis off the grid."""
    wide = solved(times=(0.5,), tolerance=1e-10).states[0]
    narrow = axis(3.5, 40), GRID[1][18:26]
    assert gap(solved(times=(0.5,), grid=narrow, tolerance=1e-10).states[0], wide[:, 18:26]) < 1e-9


def test_parameters_have_defaults_and_values():
    over = PhaseSpace("x", "p")
    m, g = over.parameters(m=2, g=1)
    H = p**2 / (2 * m) + g * x**2 / 2 + sp.Symbol("k") * x**4
    found = solved(H, space=over, values={"m": 1, "k": 0}, tolerance=1e-9)
    assert gap(found.states[1], solved(tolerance=1e-9).states[1]) < 2e-9


def test_the_error_is_honest():
    """On a coarse basis what is called `error` is no smaller than the error."""
    H = p**2 / 2 + x**2 / 2 + x**4 / 20
    exact = solved(H, times=(1.0,), tolerance=1e-9).states[0]
    for tolerance in (1e-2, 1e-4, 1e-6):
        found = solved(H, times=(1.0,), tolerance=tolerance)
        assert found.error <= tolerance and gap(found.states[0], exact) < 2 * tolerance


def test_the_basis_grows_until_nothing_changes(monkeypatch):
    small = GRID[0][14:26], GRID[1][16:28]
    H = p**2 / 2 + x**2 / 2 + x**4 / 20
    whole = solved(H, times=(1.0,), tolerance=1e-8).states[0]
    found = solved(H, times=(1.0,), grid=small, tolerance=1e-6)
    assert found.error <= 1e-6 and gap(found.states[0], whole[14:26, 16:28]) < 2e-6
    monkeypatch.setattr(module, "ROUNDS", 3)
    assert solved(H, times=(1.0,), grid=small, tolerance=1e-6).error > 1e-3


def test_a_tolerance_below_rounding_ends_with_what_was_reached():
    found = solved(tolerance=1e-30, times=(0.5,))
    assert 1e-30 < found.error < 1e-8


def test_too_large_a_basis_is_refused():
    with pytest.raises(SolverError, match=r"needs \d+ basis functions, more than 2000; give a smaller grid"):
        solved(hbar=1e-3)


@pytest.mark.parametrize(
    "change, sentence",
    (
        ({"H": x**2 * p**2}, r"mixes x and p.*T\(p\) \+ U\(x\)"),
        ({"H": p**2 / 2 + sp.Symbol("k") * x}, "no number for k; give it in values"),
        ({"H": p**2 / 2 + sp.log(x)}, "not finite where the state may go"),
        ({"W0": np.ones((3, 3))}, r"shape \(3, 3\); the grid is 40 x 44"),
        ({"W0": sp.exp(-(x**2) - sp.Symbol("q") * p**2)}, "no number for q"),
    ),
)
def test_what_cannot_be_solved_is_said(change, sentence):
    with pytest.raises(InputError, match=sentence):
        solved(**change)


def test_a_wall_beyond_reach_is_levelled_off_without_harm():
    """exp(-4 x) is 1e8 at the edge of the basis: what is out of reach does not spoil what is within."""
    H, state, grid = (
        p**2 / 2 + (1 - sp.exp(-2 * x)) ** 2 / 8,
        GaussianState(a=0.3, x0=1),
        (axis(4.0, 32), axis(3.0, 24)),
    )
    found = solved(H, state, (0.5,), grid=grid, tolerance=1e-7)
    inner = solved(H, state, (0.5,), grid=(grid[0][10:], grid[1]), tolerance=1e-7)
    assert found.error <= 1e-7 and inner.error <= 1e-7
    assert gap(found.states[0][10:], inner.states[0]) < 2e-7
