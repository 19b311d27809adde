"""Limits of open and kicked models pass on right runs and fail on runs of another model."""

import numpy as np
import pytest
import sympy as sp

from qnnsym import Model
from qnnsym.checks.check import FAIL, PASS, Context
from qnnsym.phase_space import CatState, GaussianState, PhaseSpace, evolve_wigner, limits

space = PhaseSpace("x", "p")
(x,), (p,), hbar = space.x, space.p, space.hbar
OSCILLATOR = p**2 / 2 + x**2 / 2 + x / 5
ROTOR = {"kick": 5 * sp.cos(x), "period": 1, "periodic": True}


def run(H, options, solved=None, **fields):
    model = Model("example", H, space=space, options=options, **fields)
    solution = evolve_wigner(H, model.state, model.times, hbar=model.hbar, space=space, **(solved or options))
    return Context(model, solution=solution)


@pytest.mark.parametrize(
    "solved, verdict",
    ((None, PASS), ({"damping": 0.81, "occupation": 0.3, "friction": 0.1}, FAIL),
     ({"damping": 0.8, "occupation": 0.31, "friction": 0.1}, FAIL)),
)  # fmt: skip
def test_damped_moments(solved, verdict):
    opened = {"damping": 0.8, "occupation": 0.3, "friction": 0.1}
    context = run(
        OSCILLATOR, {"dissipation": opened}, {"dissipation": solved or opened}, hbar=0.5,
        state=CatState(a=sp.sqrt(hbar), b=1), times=(0, 3, 7),
    )  # fmt: skip
    if solved:
        # What the run says about itself is not what is checked.
        context.solution.provenance["open_terms"] = run(
            OSCILLATOR, {"dissipation": opened}, hbar=0.5, state=GaussianState(a=0.7), times=(0, 0.1, 2)
        ).solution.provenance["open_terms"]
    assert limits.damped_moments().applies(context.model) is None
    assert limits.damped_moments().run(context)[0].verdict == verdict


@pytest.mark.parametrize("strength, verdict", ((5, PASS), (5.001, FAIL), (-5, FAIL)))
def test_the_floquet_matrix(strength, verdict):
    wrong = {**ROTOR, "kick": strength * sp.cos(x)}
    context = run(p**2 / 2, ROTOR, wrong, hbar=1, state=GaussianState(a=0.8, x0=0.4), times=(0, 4, 5))
    assert limits.floquet().applies(context.model) is None
    assert {row.verdict for row in limits.floquet().run(context)} == {verdict}


def test_localisation_fails_for_a_resonant_rotor():
    """At hbar = 4 pi free rotation is the identity, and momenta grow without end."""

    def verdicts(h):
        context = run(p**2 / 2, ROTOR, hbar=h, state=GaussianState(a=7), times=(0, 1, 2))
        context.solution.times = np.array([0.0, 80.0])
        return [row.verdict for row in limits.localisation().run(context)]

    assert verdicts(1) == [PASS] * 4
    assert FAIL in verdicts(4 * sp.pi)


@pytest.mark.parametrize("strength", (0, 1e-6, 2))
def test_without_chaos_nothing_localises(strength):
    options = {**ROTOR, "kick": strength * sp.cos(x)}
    (row,) = limits.localisation().run(run(p**2 / 2, options, hbar=1, state=GaussianState(a=7), times=(0, 1, 2)))
    assert row.verdict == "not applicable" and f"K = {strength:g}" in row.detail


def test_they_do_not_concern_other_models():
    plain = Model("plain", OSCILLATOR, space=space, state=GaussianState(a=1), times=(0, 1, 2))
    for limit in (limits.damped_moments(), limits.floquet(), limits.localisation()):
        assert limit.applies(plain)
