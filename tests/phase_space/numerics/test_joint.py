"""Mixed Hamiltonians and several degrees of freedom: exact flows, an oscillator basis, refinement, refusals."""

import numpy as np
import pytest
import sympy as sp

from qnnsym.errors import InputError
from qnnsym.phase_space import (
    CatState,
    CoherentState,
    FockState,
    GaussianState,
    Mixture,
    PhaseSpace,
    ThermalState,
    evolve_wigner,
    fock,
    observables,
)  # fmt: skip
from qnnsym.phase_space.equation import moyal_equation
from qnnsym.phase_space.fock import fock_evolution
from qnnsym.phase_space.numerics.joint_grids import enlarged_axes, propose_axes
from qnnsym.phase_space.parts import Parts
from qnnsym.solvers.solution import Solution

space = PhaseSpace("x", "p")
(x,), (p,), hbar = space.x, space.p, space.hbar
plane = PhaseSpace("x y", "px py")
(qx, qy), (px, py) = plane.x, plane.p
KERR = ((x**2 + p**2) / 2) ** 2


def axis(half, points):
    return half * (2 * np.arange(points) / points - 1)


def relative(found, exact):
    return np.abs(found - exact).max() / np.abs(exact).max()


# What splits


def test_a_hamiltonian_is_sorted_into_what_splits_and_what_mixes():
    parts = Parts.of(moyal_equation(p**2 / 2 + sp.cos(x) + x * p**2 + (x + p) ** 2, space))
    assert sp.expand(parts.kinetic - 3 * p**2 / 2) == 0 and sp.expand(parts.potential - sp.cos(x) - x**2) == 0
    assert sp.expand(parts.mixed - x * p**2 - 2 * x * p) == 0 and parts.ends
    rows = {(row.dx, row.dp): row.coefficient for row in parts.rows()}
    assert rows == {((1,), (0,)): -2 * x * p - 2 * x, ((0,), (1,)): p**2 + 2 * p, ((2,), (1,)): -(hbar**2) / 4}
    assert Parts.of(moyal_equation(p**2 + x**4, space)).rows() == ()


def test_rows_that_do_not_end_are_refused_and_cut_ones_are_not():
    parts = Parts.of(moyal_equation(p**2 / (2 * (1 + x**2)), space))
    assert not parts.ends and len(parts.rows(2)) > len(parts.rows(0)) > 0
    with pytest.raises(InputError, match=r"mixes x and p and is no polynomial.*give order=2"):
        parts.rows()


# One degree of freedom, mixed


def test_a_rotating_frame_and_a_drift_are_linear_flows():
    """H = x p + x: x' = x, p' = -p - 1."""
    t, packet = 0.4, GaussianState(a=0.5, x0=0.3, p0=0.6)
    found = evolve_wigner(x * p + x, packet, (0, t, 3), hbar=0.3, space=space, tolerance=1e-8)
    X, P = found.grid[0][:, None], found.grid[1][None, :]
    w0 = sp.lambdify((x, p), packet.wigner(space).subs(hbar, 0.3))
    assert relative(found.final, w0(X * np.exp(-t), (P + 1) * np.exp(t) - 1)) < 1e-7
    assert found.success and found.warnings == [] and found.provenance["method"] == "chebyshev"
    assert found.diagnostics["energy_drift"] < 1e-8 and found.expect["purity"] == pytest.approx(1, abs=1e-7)


def test_a_kerr_medium_is_found_by_all_methods_as_in_an_oscillator_basis():
    packet, e_ops = CoherentState(x0=1, p0=sp.Rational(1, 4)), {"x": x, "xp": x * p, "x2p2": x**2 * p**2}
    options = {"hbar": 1, "space": space, "tolerance": 1e-5, "e_ops": e_ops}
    found = evolve_wigner(KERR, packet, (0, 0.3, 3), **options)
    oracle = fock_evolution(KERR, packet, found.times, hbar=1, space=space, e_ops=e_ops, grid=found.grid)
    assert oracle.error < 1e-9
    for name in e_ops:
        assert found.expect[name] == pytest.approx(oracle.expect[name], abs=1e-5)
    assert max(relative(a, b) for a, b in zip(found.states, oracle.states, strict=True)) < 1e-5
    stepped = evolve_wigner(KERR, packet, (0, 0.3, 3), **options, method="dop853", grid=found.grid)
    assert relative(stepped.final, found.final) < 1e-5 and stepped.provenance["method"] == "dop853"


def test_the_proposed_grid_is_good_enough_as_a_finer_one_says():
    e_ops = {"x": x, "p": p, "x2p2": x**2 * p**2}
    packet, options = CoherentState(x0=1), {"hbar": 1, "space": space, "tolerance": 1e-5, "e_ops": e_ops}
    found = evolve_wigner(KERR, packet, (0, 0.2, 2), **options)
    finer = enlarged_axes(found.grid, (True, True), (True, True))
    assert all(new.size > 1.5 * old.size for new, old in zip(finer, found.grid, strict=True))
    again = evolve_wigner(KERR, packet, (0, 0.2, 2), **options, grid=finer)
    assert found.diagnostics["boundary_mass"] < 1e-5
    for name in (*e_ops, "energy", "purity"):  # the kinks of |W| make sums over it converge slowly
        assert again.expect[name] == pytest.approx(found.expect[name], abs=1e-5)


def test_a_driven_mixed_hamiltonian_takes_runge_kutta_steps():
    """H = cos(t) x p: the squeezing is sin(t)."""
    t, packet = 0.8, CoherentState(x0=sp.Rational(1, 2))
    found = evolve_wigner(sp.cos(space.t) * x * p, packet, (0, t, 3), hbar=0.3, space=space, tolerance=1e-6)
    X, P, r = found.grid[0][:, None], found.grid[1][None, :], np.sin(t)
    exact = np.exp(-((X * np.exp(-r) - 0.5) ** 2 + (P * np.exp(r)) ** 2) / 0.3) / (np.pi * 0.3)
    assert relative(found.final, exact) < 1e-5 and found.provenance["method"] == "dop853"
    with pytest.raises(InputError, match="does not depend on time"):
        evolve_wigner(sp.cos(space.t) * x * p, packet, (0, t, 3), hbar=0.3, space=space, method="chebyshev")


def test_rows_cut_at_an_order_are_the_equation_without_the_rest():
    """x^2 p^2 has the row -(hbar^2/24) H P^3: with order=0 W is carried along classical trajectories."""
    H, packet = x**2 * p**2 / 2 + (x**2 + p**2) / 2, GaussianState(a=0.6, x0=0.4, c=0.5)
    from qnnsym.phase_space.limits.correction import characteristics

    grid = axis(3.5, 100), axis(3.5, 100)
    found = evolve_wigner(H, packet, (0, 0.1, 2), hbar=0.3, space=space, order=0, grid=grid, tolerance=1e-6)
    w0 = sp.lambdify((x, p), packet.wigner(space).subs(hbar, 0.3))
    classical = w0(*characteristics(H, space, {hbar: 0.3}, grid, -0.1))
    exact = evolve_wigner(H, packet, (0, 0.1, 2), hbar=0.3, space=space, grid=grid, tolerance=1e-6)
    assert relative(found.final, classical) < 1e-5 < 1e-4 < relative(exact.final, classical)


@pytest.mark.parametrize("order", ("exact", 2))
def test_the_table_method_solves_what_splits_too(order):
    H, packet, grid = p**2 / 2 + x**4 / 4, CoherentState(x0=1), (axis(2.9, 72), axis(2.9, 72))
    options = {"hbar": 0.1, "space": space, "grid": grid, "tolerance": 1e-5, "order": order}
    split = evolve_wigner(H, packet, (0, 0.5, 2), **options)
    for method in ("rk4", "chebyshev"):
        found = evolve_wigner(H, packet, (0, 0.5, 2), **options, method=method)
        assert relative(found.final, split.final) < 1e-4 and found.provenance["method"] == method


# Two degrees of freedom


def test_two_uncoupled_oscillators_are_two_of_one():
    packet = CoherentState(x0=(1, 0), p0=(0, sp.Rational(1, 2)))
    H = (px**2 + qx**2) / 2 + (py**2 + qy**2 / 4) / 2
    found = evolve_wigner(H, packet, (0, 1, 3), hbar=1, space=plane, tolerance=1e-3, e_ops={"x": qx, "y": qy})
    t = found.times
    assert found.expect["x"] == pytest.approx(np.cos(t), abs=1e-3)
    assert found.expect["y"] == pytest.approx(np.sin(t / 2), abs=1e-3)
    for name in ("purity", "purity_x", "purity_y", "norm"):
        assert found.expect[name] == pytest.approx(1, abs=1e-3)
    assert found.states.shape == (3, *(a.size for a in found.grid)) and found.names == ("x", "y", "px", "py")


def test_a_magnetic_field_turns_the_plane_whichever_way_it_is_written():
    """H = p^2/2 + x^2/2 + (x py - y px)/2 mixes x and p: oscillation times rotation by t/2."""
    packet = CoherentState(x0=(1, 0), p0=(0, 0))
    H = (px**2 + py**2 + qx**2 + qy**2) / 2 + (qx * py - qy * px) / 2
    found = evolve_wigner(H, packet, (0, 0.6, 2), hbar=1, space=plane, tolerance=1e-3, e_ops={"x": qx, "y": qy})
    t = found.times
    assert found.provenance["method"] == "chebyshev"
    assert found.expect["x"] == pytest.approx(np.cos(t) * np.cos(t / 2), abs=1e-3)
    assert found.expect["y"] == pytest.approx(np.cos(t) * np.sin(t / 2), abs=1e-3)


def test_coupled_oscillators_entangle_as_in_an_oscillator_basis():
    H = (px**2 + py**2 + qx**2 + qy**2) / 2 + (qx**2 * qy - qy**3 / 3) / 6
    packet, e_ops = CoherentState(x0=(sp.Rational(1, 2), 0)), {"x": qx, "yy": qy**2, "xpy": qx * py}
    found = evolve_wigner(H, packet, (0, 0.8, 2), hbar=1, space=plane, tolerance=1e-3, e_ops=e_ops)
    oracle = fock_evolution(H, packet, found.times, hbar=1, space=plane, e_ops=e_ops, tolerance=1e-4)
    assert oracle.error < 1e-4
    for name in (*e_ops, "purity_x", "purity_y"):
        assert found.expect[name] == pytest.approx(oracle.expect[name], abs=2e-4)
    assert found.expect["purity_x"][-1] < 0.9999 and found.expect["purity"][-1] == pytest.approx(1, abs=1e-4)


def test_results_of_two_degrees_of_freedom_are_written_and_read(tmp_path):
    grid = tuple(axis(4.0, 16) for _ in range(4))
    H = (px**2 + py**2 + qx**2 + qy**2) / 2
    found = evolve_wigner(H, FockState(n=(1, 0)), (0, 0.1, 2), hbar=1, space=plane, grid=grid, tolerance=1e-2,
                          e_ops=[qx**2, observables.negativity])  # fmt: skip
    assert found.expect["negativity"][0] == pytest.approx(0.2130613, abs=0.02)
    assert found.expect["x**2"] == pytest.approx(1.5, abs=0.02)
    again = Solution.load(found.save(tmp_path / "a.nc"))
    assert again.names == found.names and all(map(np.array_equal, again.grid, found.grid))
    assert np.array_equal(again.states, found.states) and set(again.expect) == set(found.expect)


# Grids


def proposed(H, state, over, time, **options):
    extent = [tuple(piece) for piece in state.components(over)]
    return propose_axes(extent, H, over, 1.0, np.array([0.0, time]), **{"tolerance": 1e-4, **options})


def test_a_proposed_grid_covers_where_classical_points_go():
    state = CoherentState(x0=(1, 0))
    grid = proposed((px**2 + py**2 + qx**2 + qy**2) / 2, state, plane, 2 * np.pi)
    for a, reach in zip(grid, (1, 0, 1, 0), strict=True):
        assert a[0] < -reach - 3 and a[-1] > reach + 3 and a.size % 2 == 0
    short = proposed((px**2 + py**2 + qx**2 + qy**2) / 2, state, plane, 0.01)
    assert short[0].size <= grid[0].size and short[0][0] > grid[0][0]
    larger = enlarged_axes(grid, (True, False, False, False), (False, False, True, False))
    assert np.ptp(larger[0]) > 1.3 * np.ptp(grid[0]) and larger[1] is grid[1] and larger[2].size > 1.3 * grid[2].size


@pytest.mark.parametrize(
    "H, state, over, sentence",
    (
        (px**2 / 2 + py**2 / 2 + qx**2 * qy, CoherentState(x0=(3, -3)), plane, "escape to infinity|over 1024 per axis"),
        (x * p, CoherentState(x0=2), space, "escape to infinity|over 1024 per axis"),
    ),
)
def test_states_that_no_grid_holds_are_refused(H, state, over, sentence):
    with pytest.raises(InputError, match=sentence):
        proposed(H, state, over, 12.0)


# Refusals

FOUR = tuple(axis(4.0, 16) for _ in range(4))
FLAT = {"H": px**2 + qx**2 + py**2, "W0": CoherentState(), "times": (0, 1, 2), "hbar": 1, "space": plane, "grid": FOUR}


@pytest.mark.parametrize(
    "change, sentence",
    (
        ({"H": p**2 * sp.exp(x), "space": space, "grid": None}, "no polynomial.*give order=2"),
        ({"H": x * p, "space": space, "grid": None, "method": "strang"}, "composition strang of exact flows does not"),
        ({"H": x * p, "space": space, "grid": None, "method": "euler"}, "'euler' does not solve"),
        ({"method": "euler"}, "method 'euler' is not known"),
        ({"dissipation": {"diffusion": 1}, "H": x * p, "space": space, "grid": None}, "dissipation beside H is solved"),
        ({"grid": FOUR[:2]}, r"tuple of 4 arrays; give grid=\(x, y, px, py\)"),
        ({"grid": (*FOUR[:3], FOUR[3] ** 3)}, "grid in py is not uniform"),
        ({"grid": tuple(axis(4.0, 128) for _ in range(4))}, "points is over"),
        ({"grid": None, "W0": np.ones((16,) * 4)}, "proposed for a state object only"),
        ({"W0": np.ones((16, 16))}, "shape"),
        ({"W0": GaussianState(a=(1, 1, 1))}, "gives 3 values of a"),
        ({"e_ops": {"energy": qx}}, "name energy is taken"),
        ({"e_ops": {"a": 1 / qx}}, r"a = 1/x is not finite on the grid, at \(x, y, px, py\)"),
        ({"e_ops": {"a": "x"}}, "observable a is 'x'"),
        ({"e_ops": {"a": plane.X[0]}}, "holds operators"),
        ({"tolerance": 2}, "tolerance is 2"),
        ({"step": 0}, "step is 0"),
        ({"H": px**2 + 1 / qx}, "not finite"),
    ),
    ids=str,
)
def test_what_cannot_be_used_is_said(change, sentence):
    arguments = {**FLAT, **change}
    with pytest.raises(InputError, match=sentence):
        evolve_wigner(arguments.pop("H"), arguments.pop("W0"), arguments.pop("times"), **arguments)


def test_mixtures_and_cats_are_states_too():
    grid = axis(5.0, 48), axis(5.0, 48)
    mixture = Mixture([(sp.Rational(1, 2), FockState(2)), (sp.Rational(1, 2), ThermalState(1))])
    for state, purity in ((mixture, None), (CatState(a=1, b=sp.Rational(3, 2)), 1)):
        found = evolve_wigner(x * p / 9, state, (0, 0.1, 2), hbar=1, space=space, grid=grid, tolerance=1e-5)
        assert np.ptp(found.expect["purity"]) < 1e-5 and found.expect["norm"] == pytest.approx(1, abs=1e-5)
        assert purity is None or found.expect["purity"] == pytest.approx(purity, abs=1e-5)


def test_an_oscillator_basis_takes_the_frequency_of_the_hamiltonian_where_that_of_the_state_does_not_do(monkeypatch):
    """A packet of omega = 1 under omega = 2: motion and width are known."""
    monkeypatch.setattr(fock, "MOST_QUANTA", 40)
    H, packet, times = p**2 / 2 + 2 * x**2, CoherentState(x0=1), np.array([0.0, 0.7, 2.0])
    e_ops = {"x": x, "x2": x**2}
    found = fock_evolution(H, packet, times, hbar=1, space=space, e_ops=e_ops, tolerance=1e-9)
    cos, sin = np.cos(2 * times), np.sin(2 * times)
    assert found.expect["x"] == pytest.approx(cos, abs=1e-6)
    assert found.expect["x2"] == pytest.approx(1.5 * cos**2 + sin**2 / 8, abs=1e-6)
    numbers = {hbar: 1.0}
    assert fock._natural_lengths(packet, sp.Poly(H, x, p), space, numbers) == pytest.approx([1 / np.sqrt(2)])
    assert fock._natural_lengths(packet, sp.Poly(p**2 - x**2, x, p), space, numbers) is None
    monkeypatch.setattr(fock, "_natural_lengths", lambda *_: None)
    before = fock_evolution(H, packet, times, hbar=1, space=space, e_ops=e_ops, tolerance=1e-9)
    assert found.error < before.error / 10
