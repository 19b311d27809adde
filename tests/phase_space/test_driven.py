"""Hamiltonians that depend on time: exact driven flows, the order of every composition, and what is not conserved."""

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp

from qnnsym.checks.check import Context
from qnnsym.checks.orders import fit_order
from qnnsym.derivation.model import Model
from qnnsym.phase_space import CatState, GaussianState, PhaseSpace, evolve_wigner, limits
from qnnsym.solvers.compositions import COMPOSITIONS

HBAR = 0.25
space = PhaseSpace("x", "p")
(x,), (p,), t = space.x, space.p, space.t
CAT = CatState(a=0.5, b=0.7, x0=0.2)
W0 = sp.lambdify([x, p], CAT.wigner(space).subs(space.hbar, HBAR), "numpy")


def transported(H, grid, start, stop):
    """W0 carried along the flow of a quadratic H, which is affine: three classical trajectories give all of it."""
    velocity, force = sp.lambdify([x, p, t], sp.diff(H, p)), sp.lambdify([x, p, t], -sp.diff(H, x))

    def rates(s, z):
        return [velocity(*z, s), force(*z, s)]

    def end(z):
        return solve_ivp(rates, (start, stop), z, method="DOP853", rtol=1e-12, atol=1e-13).y[:, -1]

    origin = end([0.0, 0.0])
    matrix = np.column_stack([end([1.0, 0.0]) - origin, end([0.0, 1.0]) - origin])
    points = np.array(np.meshgrid(*grid, indexing="ij")).reshape(2, -1) - origin[:, None]
    return W0(*np.linalg.solve(matrix, points)).reshape(grid[0].size, grid[1].size)


@pytest.mark.parametrize(
    "H",
    (
        p**2 / 2 + x**2 / 2 + sp.Rational(4, 5) * x * sp.cos(3 * t),  # a force
        p**2 / 2 + (1 + sp.Rational(1, 2) * sp.sin(2 * t)) * x**2 / 2,  # a spring whose stiffness swings
        (1 + sp.Rational(2, 5) * sp.cos(2 * t)) * p**2 / 2 + x**2 / 2,  # a mass that swings
    ),
    ids=("force", "spring", "mass"),
)
@pytest.mark.parametrize("span", ((0.0, 1.5), (1.0, -0.5)))
def test_a_quadratic_hamiltonian_carries_w_along_its_driven_flow(H, span):
    found = evolve_wigner(H, CAT, np.array(span), hbar=HBAR, space=space, tolerance=1e-10)
    exact = transported(H, found.grid, *span)
    assert np.abs(found.final - exact).max() / np.abs(exact).max() < 1e-8


@pytest.mark.parametrize("name", list(COMPOSITIONS))
def test_every_composition_keeps_its_order_under_a_drive(name):
    H = (1 + sp.cos(2 * t) / 5) * p**2 / 2 + x**4 / 4 + x * sp.sin(3 * t) / 2
    state = GaussianState(a=0.6, x0=0.5)
    grid = evolve_wigner(H, state, (0.0, 1.0, 2), hbar=0.5, space=space, tolerance=1e-11).grid

    def final(count, method=name):
        options = {"hbar": 0.5, "space": space, "grid": grid, "method": method, "step": 1.0 / count}
        return evolve_wigner(H, state, (0.0, 1.0, 2), **options).final

    order = COMPOSITIONS[name].order
    counts = {2: (24, 30, 38, 48, 60), 4: (14, 16, 20, 24, 30), 6: (6, 8, 10, 12, 14)}[order]
    reference = final(120, "blanes_moan6")
    errors = [np.linalg.norm(final(n) - reference) for n in counts]
    assert fit_order([1.0 / n for n in counts], errors).slope == pytest.approx(order, abs=0.25)


def test_the_energy_is_that_of_the_moment():
    H = p**2 / 2 + x**2 / 2 + x * t
    found = evolve_wigner(H, CAT, [0.0, 0.5, 1.0], hbar=HBAR, space=space, e_ops={"x": x, "xx": x**2, "pp": p**2})
    e = found.expect
    assert e["energy"] == pytest.approx((e["pp"] + e["xx"]) / 2 + found.times * e["x"], abs=1e-10)
    assert "energy_drift" not in found.diagnostics


def test_a_driven_model_goes_through_the_chain(tmp_path, monkeypatch):
    from qnnsym import pipeline

    monkeypatch.chdir(tmp_path)
    model = Model(
        name="driven", hamiltonian=p**2 / 2 + x**4 / 4 + x * sp.cos(2 * t) / 2, space=space, hbar=0.5,
        state=GaussianState(a=0.6), times=(0.0, 1.0, 3),
        checks=[limits.conserved(), limits.splitting_orders(), limits.classical()],
    )  # fmt: skip
    derivation = pipeline.derive(model)
    text = pipeline.source(model, derivation)
    assert "math.cos(2.0*t)" in text.files["kernels.py"] or "cos(2.0*t)" in text.files["kernels.py"]
    compiled, _ = pipeline.kernels(text, None, pipeline.Workspace.find())
    solution = pipeline.room(model, "numerics").solve_model(model, compiled, derivation)
    direct = evolve_wigner(model.hamiltonian, model.state, model.times, hbar=0.5, space=space, grid=solution.grid)
    assert np.abs(solution.final - direct.final).max() < 1e-9
    context = Context(model, derivation, compiled, solution)
    from qnnsym.checks.check import run_checks

    verdicts = {(c.name, c.quantity): c.verdict for c in run_checks(model.checks, context)}
    assert verdicts["conservation", "relative drift of energy"] == "not applicable"
    assert verdicts["conservation", "relative drift of purity"] == "pass"
    assert verdicts["order of the splitting", "order in the step, blanes_moan6"] == "pass"
    assert verdicts["classical limit", ""] == "not applicable"
