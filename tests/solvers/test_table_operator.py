"""The right-hand side of the table on a grid: skew, spectrally accurate, its rates bounded, its exponential exact."""

import numpy as np
import pytest
from scipy.linalg import expm

from qnnsym.errors import InputError
from qnnsym.solvers.axes import Axes
from qnnsym.solvers.chebyshev import Chebyshev, check_work
from qnnsym.solvers.grid_evolution import check_points, propagate_joint
from qnnsym.solvers.split_grid import JointPropagator
from qnnsym.solvers.table_operator import STABILITY, WIDEST, Rows, TableOperator
from qnnsym.solvers.tableaus import METHODS

HBAR = 0.5


def axis(half, points):
    return half * (2 * np.arange(points) / points - 1)


def zero(coordinates, t):
    return np.zeros(())


def squeeze(coordinates, t):
    """H = x p: dW/dt = p W_p - x W_x."""
    x, p = coordinates
    return [-x, p]


def cubic(coordinates, t):
    """H = x^2 p: dW/dt = 2 x p W_p - x^2 W_x + (hbar^2/4) W_xpp."""
    x, p = coordinates
    return [-(x**2), 2 * x * p, np.full((1, 1), HBAR**2 / 4)]


SQUEEZE = Rows([(1, 0), (0, 1)], squeeze)
CUBIC = Rows([(1, 0), (0, 1), (1, 2)], cubic)


def operator(rows=CUBIC, points=(12, 10), half=2.5, kinetic=zero, potential=zero, hbar=None, driven=(False, False)):
    axes = Axes([axis(half, n) for n in points], ("x", "p"), ("k", "theta"))
    return TableOperator(axes, kinetic, potential, rows, hbar=hbar, driven=driven)


def matrix(right):
    shape = right.axes.shape
    columns = [right.apply(e.reshape(shape)).ravel() for e in np.eye(int(np.prod(shape)))]
    return np.array(columns).T


def kerr_like(coordinates, t):
    first, second = coordinates
    return first * second**3 + first**3 * second


@pytest.mark.parametrize("points", ((12, 10), (11, 9)))
def test_the_operator_is_skew_whatever_the_edges_do(points):
    L = matrix(operator(points=points, kinetic=kerr_like, potential=kerr_like))
    assert np.abs(L + L.T).max() < 1e-12 * np.abs(L).max() and np.abs(L).max() > 1
    assert np.abs(L.sum(axis=0)).max() < 1e3  # real, finite


def test_rows_are_derivatives_of_a_smooth_function():
    right = operator(points=(54, 50), half=6.0)
    x, p = right.axes.coordinates()
    w = np.exp(-((x - 0.3) ** 2) - (p + 0.2) ** 2)
    wx, wp = -2 * (x - 0.3) * w, -2 * (p + 0.2) * w
    wxpp = -2 * (x - 0.3) * (4 * (p + 0.2) ** 2 - 2) * w
    exact = -(x**2) * wx + 2 * x * p * wp + HBAR**2 / 4 * wxpp
    assert np.abs(right.apply(w) - exact).max() < 1e-11


def test_the_largest_rate_is_bounded_tightly():
    right = operator()
    largest = np.abs(np.linalg.eigvals(matrix(right))).max()
    assert largest <= right.largest_rate() <= 1.2 * largest


@pytest.mark.parametrize("span", (0.4, -0.4, 0.0))
def test_chebyshevs_expansion_is_the_exponential(span):
    right = operator()
    w = np.random.default_rng(3).standard_normal(right.axes.shape)
    run = Chebyshev(right, 1e-10, np.array([0.0, span or 1.0]))
    (*_, (share, found)) = run.interval(w, 1, 0.0, span)
    exact = (expm(matrix(right) * span) @ w.ravel()).reshape(w.shape)
    assert share == 1 and np.linalg.norm(found - exact) < 1e-9 * np.linalg.norm(w)


@pytest.mark.parametrize("name", METHODS)
def test_runge_kutta_steps_have_their_order(name):
    right = operator(SQUEEZE, half=1.5)
    w = np.random.default_rng(3).standard_normal(right.axes.shape)
    exact = (expm(matrix(right) * 0.25) @ w.ravel()).reshape(w.shape)
    counts = {"rk4": (8, 16), "dop853": (2, 4)}[name]
    errors = [np.linalg.norm(right.advance(w, METHODS[name], 0.25 / n, n) - exact) for n in counts]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(METHODS[name].order, abs=0.8)


@pytest.mark.parametrize("name", STABILITY)
def test_the_limit_of_stability_is_that_of_the_method(name):
    tableau, stages = METHODS[name], METHODS[name].stages
    a = np.array([[*row, *[0.0] * (stages - len(row))] for row in tableau.a[:stages]])

    def amplification(z):
        return abs(1 + 1j * z * np.array(tableau.b) @ np.linalg.solve(np.eye(stages) - 1j * z * a, np.ones(stages)))

    limit = STABILITY[name]
    assert max(amplification(z) for z in np.linspace(0.05, limit, 200)) <= 1 + 1e-8
    assert amplification(1.15 * limit) > 1


def test_a_window_is_opened_for_density_matrices_only():
    right = operator(points=(64, 64), half=5.0, hbar=HBAR)
    x, p = right.axes.coordinates()
    packet = np.exp(-((x**2 + p**2) / HBAR)) / (np.pi * HBAR)
    full = right.largest_rate()
    size = right.open_window(packet, 1e-8)
    assert size < WIDEST and right.share_at_window(packet) <= 1e-8 and right.largest_rate() < 0.7 * full
    without = operator(points=(64, 64), half=5.0)
    assert np.abs(right.apply(packet) - without.apply(packet)).max() < 1e-7
    spike = np.zeros((64, 64))
    spike[62, 2] = 1.0  # sharper than any density matrix
    assert right.open_window(spike, 1e-8) == WIDEST and right.share_at_window(spike) == 0
    assert without.open_window(packet, 1e-8) == WIDEST


def test_a_window_keeps_the_operator_skew():
    right = operator(points=(16, 16), half=3.0, hbar=HBAR)
    x, p = right.axes.coordinates()
    assert right.open_window(np.exp(-((x**2 + p**2) / HBAR)), 1e-2) < WIDEST
    L = matrix(right)
    assert np.abs(L + L.T).max() < 1e-12 * np.abs(L).max()


def packet_of(right):
    x, p = right.axes.coordinates()
    return np.exp(-((x - 0.4) ** 2 + p**2) / HBAR) / (np.pi * HBAR)


@pytest.mark.parametrize("method", ("chebyshev", "rk4", "dop853", None))
def test_all_methods_find_the_squeezed_packet(method):
    right = operator(SQUEEZE, points=(80, 80), half=6.0, hbar=HBAR)
    x, p = right.axes.coordinates()
    options = {"hbar": HBAR, "tolerance": 1e-7, "window": 1.3}
    found = propagate_joint(packet_of(right), right.axes, (0, 0.4, 3), right, method=method, **options)
    exact = np.exp(-((x * np.exp(-0.4) - 0.4) ** 2 + (p * np.exp(0.4)) ** 2) / HBAR) / (np.pi * HBAR)
    assert np.abs(found.final - exact).max() < 2e-7 * exact.max()
    assert found.provenance["method"] == (method or "chebyshev") and found.warnings == []
    assert found.diagnostics["estimated_error"] < 1e-7 and found.diagnostics["largest_rate"] > 1


def test_what_reaches_the_window_is_said():
    right = operator(SQUEEZE, points=(60, 60), half=6.0, hbar=HBAR)
    found = propagate_joint(packet_of(right), right.axes, (0, 0.4, 3), right, hbar=HBAR, tolerance=1e-7)
    assert found.diagnostics["window"] == 1.0 and found.diagnostics["edge_window"] > 1e-7
    assert any("so far outside the grid" in sentence for sentence in found.warnings)


def test_what_cannot_be_used_is_said():
    right = operator(SQUEEZE, points=(24, 24), half=3.0)
    w = packet_of(right)

    def run(**options):
        arguments = {"W0": w, "times": (0, 1, 2), "hbar": HBAR, **options}
        propagate_joint(arguments.pop("W0"), right.axes, arguments.pop("times"), right, **arguments)

    for options, sentence in (
        ({"method": "strang"}, "does not solve an H that mixes x and p; use one of chebyshev"),
        ({"method": "rk4", "step": 0.9}, "is not stable.*rk4 needs steps below"),
        ({"step": 1e-9}, "makes more than"),
        ({"tolerance": -1}, "tolerance is -1"),
        ({"W0": 0 * w}, "zero on the whole grid"),
        ({"W0": w[1:]}, "shape"),
        ({"times": (0, 1e9, 2)}, "takes about .* evaluations"),
    ):
        with pytest.raises(InputError, match=sentence):
            run(**options)
    with pytest.raises(InputError, match=r"128 x 128 x 128 x 128 = 2.7e\+08 points is over"):
        check_points((128,) * 4)
    with pytest.raises(InputError, match="does not depend on time"):
        Chebyshev(operator(driven=(True, False)), 1e-8, np.array([0.0, 1.0]))
    with pytest.raises(InputError, match="coarser or smaller grid"):
        check_work(1e6, 1e6, 1)
    singular = Rows([(1, 0)], lambda coordinates, t: [1 / coordinates[0]])
    with pytest.raises(InputError, match=r"derivatives \(1, 0\) is not finite"):
        operator(singular)


def test_the_joint_propagator_of_one_degree_of_freedom_turns_an_oscillator():
    axes = Axes([axis(4.5, 48), axis(4.5, 48)], ("x", "p"), ("k", "theta"))
    right = JointPropagator(axes, lambda c, t: c[0] * c[1], lambda c, t: c[0] * c[1])
    x, p = axes.coordinates()
    w = np.exp(-((x - 0.8) ** 2 + p**2) / HBAR) / (np.pi * HBAR)
    found = propagate_joint(w, axes, (0, np.pi / 2, 2), right, hbar=HBAR, tolerance=1e-8)
    exact = np.exp(-(x**2 + (p + 0.8) ** 2) / HBAR) / (np.pi * HBAR)
    assert np.abs(found.final - exact).max() < 2e-8
