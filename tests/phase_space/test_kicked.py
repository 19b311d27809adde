"""Kicked maps on the line and on the circle, against Floquet matrices and closed forms."""

import numpy as np
import pytest
import sympy as sp
from scipy.linalg import expm
from scipy.special import factorial, jv

from qnnsym.errors import InputError
from qnnsym.phase_space import CatState, GaussianState, Mixture, PhaseSpace, evolve_wigner
from qnnsym.solvers.split_operator import _stretches

space = PhaseSpace("x", "p")
(x,), (p,), t, hbar = space.x, space.p, space.t, space.hbar
FREE, OSCILLATOR = p**2 / 2, p**2 / 2 + x**2 / 2
LADDER = 60
TURN = np.linspace(-np.pi, np.pi, 32, endpoint=False)


def relative(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def floquet(K, h, period):
    """exp(-i p^2 T/2 hbar) exp(-i K cos x/hbar) over |n>, p = hbar n, by Bessel functions."""
    n = np.arange(-LADDER, LADDER + 1)
    kick = (-1j) ** (n[:, None] - n[None, :]) * jv(n[:, None] - n[None, :], K / h)
    return np.exp(-0.5j * h * n**2 * period)[:, None] * kick


def rotor_wigner(rho, grid, h):
    """W of the circle from <n|rho|n'>, by its definition as a sum over the ladder."""
    xs, ps = grid
    n = np.arange(-LADDER, LADDER + 1)
    w = np.zeros((xs.size, ps.size))
    for j, m in enumerate(np.rint(ps / (h / 2)).astype(int)):
        other = m - n
        inside = np.abs(other) <= LADDER
        elements = rho[n[inside] + LADDER, other[inside] + LADDER]
        phases = np.exp(1j * np.outer(xs, n[inside] - other[inside]))
        w[:, j] = np.real(phases @ elements) / (2 * np.pi) / (h / 2)
    return w


def wound_packet(h, a, x0, p0):
    """<n|psi> of a Gaussian wound up on the circle, normalised."""
    n = np.arange(-LADDER, LADDER + 1)
    c = np.exp(-(a**2) * (n - p0 / h) ** 2 / 2 - 1j * n * x0)
    return c / np.linalg.norm(c)


@pytest.mark.parametrize("K, h", ((0.6, 0.7), (2.5, 0.7), (5.0, 1.0)))
def test_the_kicked_rotor_is_its_floquet_matrix(K, h):
    a, x0, p0, kicks = 0.8, 0.4, 0.5, 5
    found = evolve_wigner(
        FREE, GaussianState(a=a, x0=x0, p0=p0), np.arange(kicks + 1.0), hbar=h, space=space,
        kick=K * sp.cos(x), period=1, periodic=True, e_ops={"p": p, "pp": p**2, "cos": sp.cos(x)},
    )  # fmt: skip
    U, psi, n = floquet(K, h, 1.0), wound_packet(h, a, x0, p0), np.arange(-LADDER, LADDER + 1)
    for k in range(kicks + 1):
        weights = np.abs(psi) ** 2
        assert relative(found.states[k], rotor_wigner(np.outer(psi, psi.conj()), found.grid, h)) < 1e-8
        assert found.expect["p"][k] == pytest.approx(h * weights @ n, abs=1e-8)
        assert found.expect["pp"][k] == pytest.approx(h**2 * weights @ n**2, abs=1e-7)
        assert found.expect["cos"][k] == pytest.approx(np.real(psi[1:].conj() @ psi[:-1]), abs=1e-8)
        psi = U @ psi
    assert found.expect["norm"] == pytest.approx(1, abs=1e-10)
    assert found.expect["purity"] == pytest.approx(1, abs=1e-8)
    assert found.statistics["kicks"] == kicks and not found.warnings


def test_a_mixture_and_a_momentum_eigenstate_on_the_circle():
    h = 1.0
    broad = GaussianState(a=7)  # <n|psi> falls off as exp(-49 n^2/2): the eigenstate n = 0
    mixture = Mixture([("1/4", broad), ("3/4", GaussianState(a=0.7, x0=1))])
    found = evolve_wigner(FREE, mixture, [0, 1], hbar=h, space=space, kick=2 * sp.cos(x), period=1, periodic=True)
    zero = (np.arange(-LADDER, LADDER + 1) == 0).astype(complex)
    packet = wound_packet(h, 0.7, 1.0, 0.0)
    rho = 0.25 * np.outer(zero, zero) + 0.75 * np.outer(packet, packet.conj())
    assert relative(found.states[0], rotor_wigner(rho, found.grid, h)) < 1e-9
    U = floquet(2.0, h, 1.0)
    assert relative(found.states[1], rotor_wigner(U @ rho @ U.conj().T, found.grid, h)) < 1e-8
    again = evolve_wigner(
        FREE, found.states[0], [0, 1], hbar=h, space=space, kick=2 * sp.cos(x), period=1, periodic=True, grid=found.grid
    )
    assert relative(again.final, found.final) < 1e-10


def test_the_negativity_on_the_circle_has_no_part_of_the_image():
    one, many = GaussianState(a=0.3, x0=0.5), GaussianState(a=7)
    for state in (one, many):
        found = evolve_wigner(FREE, state, [0, 1e-9], hbar=0.5, space=space, periodic=True)
        assert abs(found.expect["negativity"][0]) < 1e-6
    cat = evolve_wigner(FREE, CatState(a=0.3, b=1), [0, 1e-9], hbar=0.5, space=space, periodic=True)
    line = evolve_wigner(FREE, CatState(a=0.3, b=1), [0, 1e-9], hbar=0.5, space=space)
    assert cat.expect["negativity"][0] == pytest.approx(line.expect["negativity"][0], abs=2e-2)


def test_a_pendulum_on_the_circle_follows_the_mathieu_matrix():
    h, n = 0.6, np.arange(-LADDER, LADDER + 1)
    H = np.diag(h**2 * n**2 / 2) - (np.eye(n.size, k=1) + np.eye(n.size, k=-1)) / 2
    energies, vectors = np.linalg.eigh(H)
    state = GaussianState(a=0.6, x0=2, p0=1)
    found = evolve_wigner(FREE - sp.cos(x), state, [0, 2.5], hbar=h, space=space, periodic=True)
    psi = wound_packet(h, 0.6, 2.0, 1.0)
    psi = vectors @ (np.exp(-1j * energies * 2.5 / h) * (vectors.T @ psi))
    assert relative(found.final, rotor_wigner(np.outer(psi, psi.conj()), found.grid, h)) < 1e-7
    assert found.diagnostics["energy_drift"] < 1e-7 and not found.warnings


def test_a_kicked_oscillator_on_the_line_against_floquet_matrices():
    h, size = 0.5, 60
    a = np.diag(np.sqrt(np.arange(1.0, size)), 1)
    places, vectors = np.linalg.eigh(np.sqrt(h / 2) * (a + a.T))
    kicked = (vectors * np.exp(-1j * 0.4 * np.cos(2 * places) / h)) @ vectors.T
    n = np.arange(size)
    psi = np.exp(-1 / (4 * h)) * np.array([(2 * h) ** (-k / 2) / np.sqrt(float(factorial(k))) for k in n])
    found = evolve_wigner(
        OSCILLATOR, GaussianState(a=sp.sqrt(hbar), x0=1), [0, 0.7, 1.4, 2.0], hbar=h, space=space,
        kick=sp.Rational(2, 5) * sp.cos(2 * x), period=0.7, e_ops={"xx": x**2}, tolerance=1e-10,
    )  # fmt: skip
    square = (vectors * places**2) @ vectors.T
    for time, xx in zip((0.7, 0.7, 0.6), found.expect["xx"][1:], strict=True):
        psi = np.exp(-1j * (n + 0.5) * time) * (kicked @ psi)
        assert xx == pytest.approx(np.real(psi.conj() @ square @ psi), abs=1e-8)
    # W at the origin is the mean parity over pi hbar.
    at = [int(np.argmin(np.abs(axis))) for axis in found.grid]
    shift = np.sqrt(1 / (2 * h)) * (found.grid[0][at[0]] + 1j * found.grid[1][at[1]])
    displaced = expm(np.conj(shift) * a - shift * a.T) @ psi
    parity = np.sum((-1.0) ** n * np.abs(displaced) ** 2)
    assert found.final[at[0], at[1]] == pytest.approx(parity / (np.pi * h), abs=1e-7) and not found.warnings


def test_a_kick_of_the_momenta_shifts_positions():
    found = evolve_wigner(0 * x + 0 * p + sp.Integer(0), CatState(a=0.5, b=1), [0, 1, 1.5], hbar=0.3, space=space,
                          kick=p**2 / 4, period=1)  # fmt: skip
    X, P = found.grid[0][:, None], found.grid[1][None, :]
    w0 = sp.lambdify([x, p], CatState(a=0.5, b=1).wigner(space).subs(hbar, 0.3))
    assert relative(found.states[1], w0(X - P / 2, P)) < 1e-8
    assert relative(found.states[2], w0(X - P, P)) < 1e-8


def test_classical_order_of_a_kick_is_the_standard_map():
    kick, h = sp.cos(x), 0.05
    state = GaussianState(a=0.5, x0=1, c=0.5)
    found = evolve_wigner(FREE, state, [0, 1, 2], hbar=h, space=space, kick=kick, period=1, order=0, tolerance=1e-6)
    X, P = np.meshgrid(*found.grid, indexing="ij")
    for _ in range(2):
        X = X - P
        P = P - np.sin(X)
    w0 = sp.lambdify([x, p], state.wigner(space).subs(hbar, h))(X, P)
    assert relative(found.final, w0) < 1e-5


def test_stretches_run_from_output_to_kick_to_output():
    found = _stretches(np.array([0.0, 0.5, 1.0, 2.5]), 1.0)
    assert [(s.start, s.stop, s.kicked, s.last) for s in found] == [
        (0.0, 0.5, True, True), (0.5, 1.0, False, True), (1.0, 2.0, True, False), (2.0, 2.5, True, True)
    ]  # fmt: skip
    assert sum(s.kicked for s in _stretches(np.arange(301) * 0.1, 0.1)) == 300
    assert not _stretches(np.array([0.25, 0.75]), 1.0)[0].kicked
    late = _stretches(np.array([0.1, 3.0]), 1.0)
    assert [s.kicked for s in late] == [False, True, True] and late[-1].stop == 3.0


@pytest.mark.parametrize(
    "options, message",
    (
        ({"kick": sp.cos(x)}, "without a period"),
        ({"period": 1}, "without a kick"),
        ({"kick": sp.cos(x), "period": 0}, "period is 0"),
        ({"kick": x * p, "period": 1}, "mixes x and p"),
        ({"kick": sp.cos(x), "period": 1, "times": (1, 0, 2)}, "ascending"),
        ({"kick": sp.cos(x / 2), "period": 1, "periodic": True}, "does not have the period"),
        ({"H": OSCILLATOR, "periodic": True}, "does not have the period"),
        ({"periodic": "yes"}, "give True"),
        ({"periodic": True, "dissipation": {"damping": 1}}, "neither x nor p x"),
        ({"periodic": True, "grid": (np.linspace(-3, 3, 32, endpoint=False), np.arange(-16, 16) / 4)}, "one turn"),
        ({"periodic": True, "grid": (TURN, np.arange(-16, 16) / 3)}, "hbar/2"),
        ({"period": sp.Symbol("q"), "kick": sp.cos(x)}, "declare them"),
    ),
)
def test_kicks_that_cannot_be_used_are_said(options, message):
    arguments = {"H": FREE, "W0": GaussianState(a=0.5), "times": (0, 1, 2), "hbar": 0.5, "space": space, **options}
    with pytest.raises(InputError, match=message):
        evolve_wigner(**arguments)
    if message == "hbar/2":
        grid = TURN, np.arange(-16, 16) / 4
        W = np.exp(-4 * grid[0][:, None] ** 2 - grid[1][None, :] ** 2)
        with pytest.raises(InputError, match="alternating image"):
            evolve_wigner(**{**arguments, "grid": grid, "W0": W})
