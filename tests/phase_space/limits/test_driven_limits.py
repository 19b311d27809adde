"""Driven flows: exponents and break times of chaotic beside regular parameters, and the oracle under a drive."""

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp

from qnnsym import Model
from qnnsym.checks.check import FAIL, PASS, Context
from qnnsym.errors import InputError
from qnnsym.phase_space import FockState, GaussianState, PhaseSpace, break_time, evolve_wigner, limits
from qnnsym.phase_space.classical.breaking import _clouds
from qnnsym.phase_space.classical.flow import Flow
from qnnsym.phase_space.equation import moyal_equation
from qnnsym.phase_space.oracle import schroedinger_wigner

space = PhaseSpace("x", "p")
(x,), (p,), t, hbar = space.x, space.p, space.t, space.hbar
F, w = space.parameters(F=0.158, w=1.357)
DUFFING = p**2 / 2 - x**2 / 2 + x**4 / 4 - F * x * sp.cos(w * t)
PACKET = GaussianState(a=sp.sqrt(hbar), x0=1)


def duffing(H=DUFFING, **fields):
    return Model("example", H, space=space, **{"hbar": 0.2, "state": PACKET, "times": (0, 2, 5), **fields})


def test_a_chaotic_orbit_beside_a_regular_one():
    short = {"duration": 200.0}
    rows = limits.lyapunov(regular={"F": 0.02}, **short).run(Context(duffing()))
    assert [row.verdict for row in rows] == [PASS] * 4
    rows = limits.lyapunov(regular={"F": 0.15}, **short).run(Context(duffing(values={"F": 0.02})))
    assert (rows[0].verdict, rows[3].verdict) == (FAIL, FAIL)  # the two the other way round


def test_the_tangent_map_of_the_driven_flow_is_that_of_differences():
    start = np.array([1.0, 0.2])
    M = Flow(moyal_equation(DUFFING, space, 0), start[:, None], tangent=True).follow(np.array([7.0]))[1][0, :, 0]

    def end(z):
        def rate(s, q):
            return [q[1], q[0] - q[0] ** 3 + 0.158 * np.cos(1.357 * s)]

        return solve_ivp(rate, (0, 7), z, method="DOP853", rtol=1e-12, atol=1e-13).y[:, -1]

    step = 1e-5
    columns = [(end(start + d) - end(start - d)) / (2 * step) for d in step * np.eye(2)]
    assert M.reshape(2, 2) == pytest.approx(np.column_stack(columns), rel=1e-6)
    assert np.linalg.det(M.reshape(2, 2)) == pytest.approx(1, abs=1e-8)


def test_break_times_under_a_drive():
    """A linear drive alone moves quantum and classical packets alike; with x^4 they part."""
    linear = p**2 / 2 + x**2 / 2 - x * sp.cos(2 * t) / 2
    settings = {"threshold": 0.02, "longest": 3.5}
    assert np.isnan(break_time(linear, x, PACKET, space, (0.2,), **settings).times[0])
    found = break_time(DUFFING, x, PACKET, space, (0.2,), **settings)
    times, _, classical = found.curves[0.2]
    assert np.isfinite(found.times[0])
    # Points on a plain lattice, moved by a leapfrog.
    line = np.linspace(-4, 4, 161)
    q, k = np.meshgrid(line, line, indexing="ij")
    share = np.exp(-(q**2) - k**2)
    q, k, steps = 1 + np.sqrt(0.2) * q, np.sqrt(0.2) * k, 100
    h = times[-1] / steps
    for n in range(steps):
        q = q + h / 2 * k
        k = k + h * (q - q**3 + 0.158 * np.cos(1.357 * (n + 0.5) * h))
        q = q + h / 2 * k
    assert np.sum(share * q) / share.sum() == pytest.approx(classical[-1], abs=2e-3)


def test_all_clouds_average_over_the_gaussian():
    for points, share in _clouds():
        assert share.sum() == pytest.approx(1, abs=1e-9)
        for values, mean in ((points, 0), (points**2, 1 / 2), (np.cos(2 * points), np.exp(-1))):
            assert values @ share == pytest.approx(mean, abs=5e-3)


def test_chaotic_breaking_fails_where_both_are_alike():
    small = {"hbars": (0.2, 0.16), "longest": 4.0, "duration": 40.0, "threshold": 0.02}
    rows = limits.chaotic_breaking(regular={}, **small).run(Context(duffing()))
    assert rows[0].verdict == FAIL and rows[0].found == pytest.approx(1)


@pytest.mark.parametrize("state", (GaussianState(a=0.5, x0=1), FockState(1)))
def test_the_oracle_under_a_drive(state):
    """A force moves the oscillator's W rigidly along the classical orbit of its centre."""
    H = p**2 / 2 + x**2 / 2 - x * sp.cos(2 * t) / 2
    begin, end = 0.4, 1.9
    grid = (np.linspace(-4, 4, 40, endpoint=False), np.linspace(-4, 4, 44, endpoint=False))
    found = schroedinger_wigner(H, state, [end - begin], hbar=0.2, space=space, grid=grid, begin=begin, tolerance=1e-9)

    def rate(s, z):
        return [z[1], -z[0] + np.cos(2 * s) / 2]

    shift = solve_ivp(rate, (begin, end), [0, 0], method="DOP853", rtol=1e-12, atol=1e-13).y[:, -1]
    X, P = (grid[0] - shift[0])[:, None], (grid[1] - shift[1])[None, :]
    c, s = np.cos(end - begin), np.sin(end - begin)
    w0 = sp.lambdify((x, p), state.wigner(space).subs(hbar, 0.2), ["scipy", "numpy"])
    exact = w0(c * X - s * P, s * X + c * P)
    assert np.abs(found.states[0] - exact).max() / np.abs(exact).max() < 1e-8


@pytest.mark.parametrize("F_run, verdict", ((0.158, PASS), (0.1581, FAIL)))
def test_schroedinger_judges_driven_runs(F_run, verdict):
    one = duffing(times=(0.5, 1.5, 3))
    solution = evolve_wigner(DUFFING, PACKET, one.times, hbar=0.2, space=space, values={"F": F_run})
    assert limits.schroedinger().applies(one) is None
    rows = limits.schroedinger(tolerance=1e-6).run(Context(one, solution=solution))
    assert {row.verdict for row in rows} == {verdict}


def test_what_cannot_be_used_is_named():
    assert "depends on time" in limits.lyapunov().applies(duffing(p**2 / 2 + x**4))
    assert "t = 0" in limits.chaotic_breaking().applies(duffing(times=(1, 2, 3)))
    assert "t = 0" in limits.breaking().applies(duffing(times=(1, 2, 3)))
    assert limits.breaking().applies(duffing()) is None
    assert "kinetic" in limits.schroedinger().applies(duffing((1 + sp.sin(t) / 2) * p**2 / 2 + x**4))
    with pytest.raises(InputError, match="regular names G"):
        limits.lyapunov(regular={"G": 1}).run(Context(duffing()))
    with pytest.raises(InputError, match="depends on time"):
        break_time(DUFFING, x * sp.cos(t), PACKET, space, (0.2,), longest=0.5)
