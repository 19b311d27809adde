"""Madelung's fluid: right runs pass, mixtures and wrong runs fail, and closed forms of what is measured."""

import numpy as np
import pytest
import sympy as sp

from qnnsym.checks.check import Context
from qnnsym.phase_space import CatMixture, CatState, GaussianState, evolve_wigner, limits
from qnnsym.phase_space.limits import madelung as class_of_the_limit
from qnnsym.phase_space.polar_form import Madelung
from tests.phase_space.limits.models import FREE, OSCILLATOR, QUARTIC, model, p, solved, space, verdicts, x

FLUID = limits.madelung()
PACKET = GaussianState(a=sp.Rational(1, 2), x0=1)
TIMES = (0, 0.6, 2)


def found(H=QUARTIC, run=None, **fields):
    one = model(H, **{"hbar": 0.3, "state": PACKET, "times": TIMES, **fields})
    context = Context(one) if run is None else solved(one, **run)
    assert FLUID.applies(one) is None
    return {row.quantity: row for row in FLUID.run(context)}, context


def test_an_anharmonic_packet_is_a_fluid():
    rows, context = found()
    assert set(verdicts(rows.values())) == {"pass"} and len(rows) == 7
    assert [figure["name"] for figure in context.figures] == ["density", "quantum_potential", "trajectories"]


def test_the_quantum_potential_of_a_spreading_packet():
    """R = exp(-x^2/2 b^2): Q = hbar^2/(2 b^2) (1 - x^2/b^2) with b^2 = a^2 + (hbar t/a)^2."""
    _, context = found(FREE, state=GaussianState(a=sp.Rational(1, 2)))
    figure = context.figures[1]
    at, curve = figure["t"], figure["curves"]["t = 0.6"]
    b2 = 0.25 + (0.3 * 0.6) ** 2 / 0.25
    inside = np.isfinite(curve)
    assert inside.sum() > 10
    assert curve[inside] == pytest.approx(0.09 / (2 * b2) * (1 - at[inside] ** 2 / b2), abs=1e-6)


def test_trajectories_of_a_spreading_packet_keep_their_place_in_units_of_its_width():
    _, context = found(FREE, state=GaussianState(a=sp.Rational(1, 2)))
    figure = context.figures[2]
    width = np.sqrt(1 + (0.3 * figure["t"] / 0.25) ** 2)
    for path in figure["curves"].values():
        assert path == pytest.approx(path[0] * width, abs=1e-5)


def test_a_vector_potential_and_a_drive_take_part():
    H = (p - sp.Rational(1, 5)) ** 2 / 2 + x**4 / 4 + x * sp.sin(3 * space.t) / 2
    rows, _ = found(H)
    assert set(verdicts(rows.values())) == {"pass"}


def test_a_mixture_has_more_pressure_than_the_quantum_potential():
    cat, _ = found(OSCILLATOR, state=CatState(a=sp.Rational(1, 2), b=sp.Rational(1, 2)))
    mixed, _ = found(OSCILLATOR, state=CatMixture(a=sp.Rational(1, 2), b=sp.Rational(1, 2)))
    pressure, euler = "sigma_p^2 + (hbar^2/4) (ln rho)''", "residual of the gradient of the Hamilton-Jacobi equation"
    assert {cat[pressure].verdict, cat[euler].verdict} == {"pass"}
    assert {mixed[pressure].verdict, mixed[euler].verdict} == {"fail"} and mixed[pressure].found > 0.01
    # Probability is conserved whatever the state is.
    assert mixed["residual of the continuity of rho"].verdict == "pass"


def test_a_run_of_another_hamiltonian_fails():
    one = model(QUARTIC, hbar=0.3, state=PACKET, times=(0, 0.6, 162))
    wrong = evolve_wigner(OSCILLATOR, PACKET, one.times, hbar=0.3, space=space)
    # Differences in time are taken under the model's H; the positions are those of the run.
    rows = {row.quantity: row for row in FLUID.run(Context(one, solution=wrong))}
    assert rows["sigma_p^2 + (hbar^2/4) (ln rho)''"].verdict == "pass"  # pure as well
    wrong = evolve_wigner(2 * p**2 / 2 + x**4 / 4, PACKET, one.times, hbar=0.3, space=space)
    rows = {row.quantity: row for row in FLUID.run(Context(one, solution=wrong))}
    assert rows["distance of trajectories along j/rho from quantiles of rho"].verdict == "fail"


@pytest.mark.parametrize("what", ("quantum potential", "flux"))
def test_wrong_equations_fail(monkeypatch, what):
    right = class_of_the_limit.__module__  # the module, not its class of the same name
    import sys

    module = sys.modules[right]
    polar_form = module.polar_form

    def wrong(H, of):
        one = polar_form(H, of)
        fields = {name: getattr(one, name) for name in one.__dataclass_fields__}
        if what == "flux":
            fields["continuity"] = sp.expand(2 * one.continuity - sp.diff(one.R**2, of.t))
        else:
            fields["hamilton_jacobi"] = sp.expand(one.classical - (one.hamilton_jacobi - one.classical))
        return Madelung(**fields)

    monkeypatch.setattr(module, "polar_form", wrong)
    rows, _ = found()
    failed = {quantity for quantity, row in rows.items() if row.verdict == "fail"}
    residual = "continuity of rho" if what == "flux" else "gradient of the Hamilton-Jacobi equation"
    assert f"residual of the {residual}" in failed and any("Schrodinger" in q for q in failed)


def test_what_it_does_not_concern():
    assert "cut" in FLUID.applies(model(options={"order": 2}))
    assert "beyond p^2" in FLUID.applies(model(sp.sqrt(1 + p**2) + x**2))
    assert "beside" in FLUID.applies(model(options={"dissipation": {"damping": 1}}))
    assert "no state" in FLUID.applies(model(state=None))
