"""Sizes along the flow against the table at t = 0 and closed forms; laws of t*; break times."""

import numpy as np
import pytest
import sympy as sp

from qnnsym.errors import InputError
from qnnsym.phase_space import (
    CatState,
    CoherentState,
    FockState,
    GaussianState,
    PhaseSpace,
    break_time,
    classical_limit,
    correction_time,
)

space = PhaseSpace("x", "p")
(x,), (p,), hbar = space.x, space.p, space.hbar
PENDULUM = p**2 / 2 + 1 - sp.cos(x)
root = sp.sqrt(hbar)
SADDLE = GaussianState(a=root, x0=sp.pi)


@pytest.mark.parametrize("family", [GaussianState(a=1, x0=1, c=1), CatState(a=root, b=1, x0=sp.Rational(1, 2))])
def test_the_flow_starts_with_the_table(family):
    table = classical_limit(PENDULUM, family, space, terms=(1, 2))
    found = table.along_flow([0.0, 0.1], 1e-6)
    for key, power in table.exponent.items():
        expected = float(table.coefficient[key]) * 1e-6 ** float(power)
        assert found[key][0] == pytest.approx(expected, rel=0.03 if key[0] == "sup" else 5e-3)


def test_at_a_saddle_the_ratio_grows_as_the_curvature_in_p():
    """Q_pp of exp(-z S^-1 z)/hbar under the linear flow is cosh(2t), and U'''/U' = -1 everywhere."""
    table = classical_limit(PENDULUM, SADDLE, space, terms=(1,), measures=("l2",))
    times = np.linspace(0, 6, 13)
    expected = np.sqrt(15) / 24 * 1e-10 * np.cosh(2 * times)
    assert table.along_flow(times, 1e-10)["l2", 1] == pytest.approx(expected, rel=1e-3)


def test_coherent_widths_reach_order_one_after_half_the_logarithm():
    found = correction_time(PENDULUM, SADDLE, space, hbars=(1e-4, 1e-6, 1e-8))
    assert found.law == "logarithmic"
    assert found.slope == pytest.approx(1 / 2, rel=1e-3)
    assert found.lyapunov == pytest.approx(1, abs=0.01)
    # cosh(2 t*) = 24/(sqrt(15) hbar)
    assert found.times == pytest.approx(np.arccosh(24 / np.sqrt(15) / found.hbars) / 2, abs=1e-3)


def test_fixed_widths_take_twice_as_long():
    state = GaussianState(a=sp.Rational(1, 4), x0=0, c=sp.Rational(1, 4))
    found = correction_time(p**2 / 2 - 2 * x**2 + x**4 / 10, state, space, hbars=(1e-6, 1e-9, 1e-12, 1e-15), longest=25)
    assert found.law == "logarithmic" and found.slope == pytest.approx(1 / 2, rel=0.02)  # lambda = 2


def test_regular_flow_has_a_power_law():
    """Shear narrows W as 1/t: hbar t^2 = 1 for coherent widths."""
    found = correction_time(
        p**2 / 2 + x**4 / 4, GaussianState(a=root, x0=1), space, hbars=(1e-2, 3e-3, 1e-3, 3e-4), longest=120
    )
    assert found.law == "power" and found.exponent == pytest.approx(-0.5, abs=0.03)


def test_break_times_fall_with_hbar_and_are_those_of_the_curves():
    found = break_time(PENDULUM, x, GaussianState(a=root, x0=1), space, (0.1, 0.07), threshold=1e-3, longest=8)
    assert found.times[0] < found.times[1] <= 8
    times, quantum, classical = found.curves[0.1]
    gap = np.abs(quantum - classical)
    assert np.all(gap[times < found.times[0]] < 1e-3) and found.threshold == 1e-3
    # The classical average by trajectories against Liouville's equation on the grid.
    from qnnsym.phase_space import evolve_wigner

    few = slice(None, None, 10)
    settings = {"hbar": 0.1, "space": space, "e_ops": {"x": x}, "tolerance": 1e-5}
    plain = evolve_wigner(PENDULUM, GaussianState(a=root, x0=1), times[few], order=0, **settings)
    assert np.max(np.abs(plain.expect["x"] - classical[few])) < 5e-5


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: correction_time(PENDULUM, SADDLE, space, measure="weak"), "l2"),
        (lambda: correction_time(PENDULUM, SADDLE, space, hbars=(1, 2)), "three"),
        (lambda: correction_time(p**2 + x**2, CoherentState(1), space), "identically zero"),
        (lambda: correction_time(PENDULUM, FockState(1), space), "Fock"),
        (lambda: correction_time(PENDULUM, SADDLE, space, longest=-1), "positive"),
        (lambda: break_time(PENDULUM, x, SADDLE, space, (0.1,), threshold=0), "threshold"),
        (lambda: break_time(PENDULUM, x, SADDLE, space, ()), "hbar"),
        (lambda: classical_limit(PENDULUM, SADDLE, space).along_flow([1, 0], 0.1), "ascending"),
    ],
)
def test_what_cannot_be_used_is_named(call, words):
    with pytest.raises(InputError, match=words):
        call()
