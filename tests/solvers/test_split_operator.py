"""The split-operator propagator, against closed forms and against itself."""

import numpy as np
import pytest

from qnnsym.errors import InputError
from qnnsym.solvers.compositions import COMPOSITIONS
from qnnsym.solvers.solution import Solution, Status
from qnnsym.solvers.split_flows import SplitPropagator
from qnnsym.solvers.split_operator import propagate_split
from qnnsym.solvers.split_steps import Steps

HBAR = 0.1


def axis(half, n, middle=0.0):
    return middle + half * (2 * np.arange(n) / n - 1)


GRID = axis(2.6, 128), axis(4.6, 160)
X, P = np.meshgrid(*GRID, indexing="ij")


def packet(x0=1.0, p0=0.0, grid=GRID):
    x, p = grid[0][:, None], grid[1][None, :]
    return np.exp(-((x - x0) ** 2) / HBAR - (p - p0) ** 2 / HBAR) / (np.pi * HBAR)


def free(p, k):
    return k * p


def nothing(x, theta):
    return 0.0 * x * theta


def harmonic(x, theta):
    return x * theta


def quartic(x, theta):
    return x**3 * theta + HBAR**2 / 4 * x * theta**3


def relative(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


def test_a_free_particle_is_sheared_exactly():
    grid = axis(4, 160), axis(2, 96)
    x, p = grid[0][:, None], grid[1][None, :]
    found = propagate_split(packet(-1, 0.5, grid), grid, (0, 2, 3), free, nothing, hbar=HBAR)
    for t, w in zip(found.times, found.states, strict=True):
        exact = np.exp(-((x - t * p + 1) ** 2) / HBAR - (p - 0.5) ** 2 / HBAR) / (np.pi * HBAR)
        assert relative(w, exact) < 1e-12
    assert found.statistics["steps"] == 2 and not found.warnings


@pytest.mark.parametrize("start, stop", ((0.0, 2.0), (1.5, -0.5)))
def test_the_harmonic_oscillator_rotates_W_rigidly(start, stop):
    grid = axis(3.4, 128), axis(3.4, 128)
    x, p = grid[0][:, None], grid[1][None, :]
    t = stop - start
    found = propagate_split(packet(1, 0.3, grid), grid, (start, stop, 2), free, harmonic, hbar=HBAR, tolerance=1e-11)
    back_x, back_p = x * np.cos(t) - p * np.sin(t), p * np.cos(t) + x * np.sin(t)
    exact = np.exp(-((back_x - 1) ** 2) / HBAR - (back_p - 0.3) ** 2 / HBAR) / (np.pi * HBAR)
    assert np.abs(found.final - exact).max() < 1e-10 * exact.max()
    assert found.success and not found.warnings


@pytest.fixture(scope="module")
def reference():
    return propagate_split(
        packet(), GRID, (0, 0.8, 2), free, quartic, hbar=HBAR, method="blanes_moan6", step=0.01
    ).final


@pytest.mark.parametrize("name", list(COMPOSITIONS))
def test_the_observed_order_is_that_of_the_composition(name, reference):
    steps = 0.8 / np.array({2: [32, 48, 64, 96], 4: [16, 20, 24, 32], 6: [6, 8, 10, 12]}[COMPOSITIONS[name].order])
    solutions = [
        propagate_split(packet(), GRID, (0, 0.8, 2), free, quartic, hbar=HBAR, method=name, step=h) for h in steps
    ]
    errors = [relative(s.final, reference) for s in solutions]
    assert np.polyfit(np.log(steps), np.log(errors), 1)[0] == pytest.approx(COMPOSITIONS[name].order, abs=0.2)
    assert all(s.diagnostics["estimated_error"] > 0.9 * e for s, e in zip(solutions, errors, strict=True))


@pytest.mark.parametrize("tolerance", (1e-3, 1e-5, 1e-7))
@pytest.mark.parametrize("outputs", (2, 41))
def test_the_estimated_error_bounds_the_error_and_keeps_the_tolerance(tolerance, outputs, reference):
    times = (0, 0.8, outputs)
    found = propagate_split(packet(), GRID, times, free, quartic, hbar=HBAR, tolerance=tolerance)
    error = relative(found.final, reference)
    assert 0.9 * error < found.diagnostics["estimated_error"] < tolerance
    assert not found.warnings


def test_the_least_work_is_chosen():
    def method(tolerance, outputs):
        times = (0, 0.4, outputs)
        found = propagate_split(packet(), GRID, times, free, quartic, hbar=HBAR, tolerance=tolerance)
        return found.provenance["method"]

    assert method(1e-8, 2) == "blanes_moan6"
    assert method(1e-3, 101) == "strang"


def test_outputs_are_hit_exactly_at_uneven_times(reference):
    times = [0, 0.013, 0.5, 0.51, 0.8]
    found = propagate_split(packet(), GRID, times, free, quartic, hbar=HBAR, tolerance=1e-9)
    assert np.array_equal(found.times, times)
    assert relative(found.final, reference) < 1e-9
    alone = propagate_split(packet(), GRID, (0, 0.51, 2), free, quartic, hbar=HBAR, tolerance=1e-9)
    assert relative(found.states[3], alone.final) < 1e-9


def test_backward_undoes_forward():
    there = propagate_split(packet(), GRID, (0, 0.8, 2), free, quartic, hbar=HBAR, method="strang", step=0.02)
    back = propagate_split(there.final, GRID, (0.8, 0, 2), free, quartic, hbar=HBAR, method="strang", step=0.02)
    assert relative(back.final, packet()) < 1e-12


@pytest.fixture(scope="module")
def at_a_wall():
    """A packet in free flight, then at a wall: its error grows a thousandfold on the way."""
    grid = axis(3.2, 144), axis(3.2, 144)

    def wall(x, theta):
        return 2 * np.exp(2 * x - 3) * np.sinh(HBAR * theta) / HBAR

    def run(times=(0, 2.2, 2), **options):
        return propagate_split(packet(-1.0, 1.4, grid), grid, times, free, wall, hbar=HBAR, **options)

    exact = run((0, 2.2, 23), method="blanes_moan6", step=0.0125)
    return run, exact


@pytest.mark.parametrize("outputs", (2, 12, 23))
def test_an_error_that_grows_on_the_way_shortens_the_step(at_a_wall, outputs):
    run, exact = at_a_wall
    found = run((0, 2.2, outputs), tolerance=1e-5)
    assert relative(found.final, exact.final) < found.diagnostics["estimated_error"] < 1e-5 and not found.warnings
    if outputs == 2:
        assert found.statistics["steps"] > 1.5 * 2.2 / found.provenance["longest_step"]
    # Whatever was taken again, every output is the state at its time.
    for t, w, norm in zip(found.times, found.states, found.expect["norm"], strict=True):
        assert relative(w, exact.states[round(t / 0.1)]) < 1e-5 and norm == pytest.approx(1, abs=1e-9)


def test_outputs_after_steps_that_were_too_long_are_recorded_anew(at_a_wall, monkeypatch):
    run, exact = at_a_wall
    right, returns = Steps.interval, []

    def interval(self, w, n, *rest):
        yield from right(self, w, n, *rest)
        if self.back is not None:
            returns.append((n, self.back[1]))

    monkeypatch.setattr(Steps, "interval", interval)
    e_ops = {"middle": lambda w: float(w[72, 72])}
    times = [0.0, 0.4, 0.9, 1.3, 1.8, 2.2]
    found = run(times, tolerance=1e-5, e_ops=e_ops)
    assert returns and all(back < n for n, back in returns) and found.success and not found.warnings
    for t, w, value in zip(times, found.states, found.expect["middle"], strict=True):
        assert relative(w, exact.states[round(t / 0.1)]) < 1e-5 and value == w[72, 72]


@pytest.mark.parametrize("sizes", ((32, 48), (33, 48), (32, 45), (35, 45)))
def test_every_step_keeps_reality_norm_and_purity_for_any_W_at_all(sizes):
    # Random numbers fill every mode, the Nyquist modes included.
    grid = axis(2, sizes[0]), axis(3, sizes[1])
    w = np.random.default_rng(5).normal(size=sizes)
    found = SplitPropagator(grid, free, quartic).advance(w.copy(), COMPOSITIONS["blanes_moan4"], 0.1, 4)
    assert found.dtype == float
    assert np.sum(found) == pytest.approx(np.sum(w), abs=1e-11)
    assert np.linalg.norm(found) == pytest.approx(np.linalg.norm(w), rel=1e-13)


def test_expectation_values_follow_ehrenfest():
    grid = axis(3.4, 128), axis(3.4, 128)
    x, p = np.meshgrid(*grid, indexing="ij")
    e_ops = {"x": x, "p": p, "top": lambda w: float(w.max())}
    found = propagate_split(packet(1, 0, grid), grid, (0, 2, 5), free, harmonic, hbar=HBAR, e_ops=e_ops)
    assert found.expect["x"] == pytest.approx(np.cos(found.times), abs=1e-9)
    assert found.expect["p"] == pytest.approx(-np.sin(found.times), abs=1e-9)
    assert found.expect["top"][0] == packet(1, 0, grid).max()
    assert found.expect["norm"] == pytest.approx(1, abs=1e-12)
    assert found.expect["purity"] == pytest.approx(1, abs=1e-12)
    assert found.expect["negativity"] == pytest.approx(0, abs=1e-9)


def test_two_workers_find_the_same():
    one, two = (
        propagate_split(packet(), GRID, (0, 0.2, 2), free, quartic, hbar=HBAR, step=0.05, workers=n).final
        for n in (1, 2)
    )
    assert relative(two, one) < 1e-13


def test_an_edge_that_is_reached_is_reported():
    narrow = axis(1.6, 96), GRID[1]
    found = propagate_split(packet(0.8, 1, narrow), narrow, (0, 1, 3), free, nothing, hbar=HBAR)
    assert found.diagnostics["edge_x"] == found.diagnostics["boundary_mass"] > 1e-3
    assert any("edge of the grid" in warning for warning in found.warnings)
    early = propagate_split(packet(0.8, 1, narrow), narrow, (0, 1, 11), free, nothing, hbar=HBAR, give_up=1e-3)
    assert 1 < len(early.times) < 11


def test_structure_finer_than_the_grid_is_reported():
    coarse = axis(2.6, 32), axis(4.6, 160)
    found = propagate_split(packet(1, 0, coarse), coarse, (0, 1.5, 3), free, quartic, hbar=HBAR, tolerance=1e-6)
    assert found.diagnostics["edge_k"] > 1e-4 and found.diagnostics["aliasing"] > found.diagnostics["edge_k"]
    assert any("finer grid" in warning for warning in found.warnings)


def test_a_tolerance_that_the_grid_cannot_reach_is_not_chased():
    poor = axis(2.0, 80), axis(3.0, 80)
    found = propagate_split(packet(1, 0, poor), poor, (0, 1, 3), free, quartic, hbar=HBAR, tolerance=1e-12)
    assert found.success and found.statistics["steps"] < 5000
    assert any("estimated error" in warning for warning in found.warnings)


def test_an_overflowing_potential_far_from_the_state_is_harmless():
    grid = axis(3.4, 128), axis(3.4, 128)

    def overflowing(x, theta):
        far = np.abs(x) + np.abs(HBAR * theta / 2) > 4.6
        return np.where(far, np.sign(theta) * np.inf, x * theta)

    found = propagate_split(packet(1, 0, grid), grid, (0, 1, 2), free, overflowing, hbar=HBAR)
    plain = propagate_split(packet(1, 0, grid), grid, (0, 1, 2), free, harmonic, hbar=HBAR)
    assert relative(found.final, plain.final) < 1e-8
    assert 0 < found.diagnostics["limited"] < 1e-8 and "limited" not in plain.diagnostics


def test_an_infinite_potential_under_the_state_is_refused():
    with pytest.raises(InputError, match="singular, or overflows"):
        propagate_split(packet(), GRID, (0, 1, 2), free, lambda x, t: t / (x - GRID[0][88]), hbar=HBAR)
    with pytest.raises(InputError, match="kinetic factor"):
        propagate_split(packet(), GRID, (0, 1, 2), lambda p, k: k / (p * 0), quartic, hbar=HBAR)


def test_an_interruption_keeps_what_is_done(tmp_path):
    calls = []

    def interrupting(w):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return 0.0

    found = propagate_split(packet(), GRID, (0, 1, 11), free, quartic, hbar=HBAR, e_ops={"stop": interrupting})
    assert found.status is Status.INTERRUPTED and len(found.times) == len(found.states) == 3
    assert found.times[-1] == pytest.approx(0.2) and "Reached t = 0.2" in found.warnings[0]
    again = Solution.load(found.save(tmp_path / "part.nc"))
    assert again.status is Status.INTERRUPTED and np.array_equal(again.states, found.states)


def test_states_can_be_left_out(tmp_path):
    found = propagate_split(packet(), GRID, (0, 0.2, 3), free, quartic, hbar=HBAR, store_states=False)
    assert found.states is None and len(found.expect["purity"]) == 3
    assert len(Solution.load(found.save(tmp_path / "few.nc")).expect["purity"]) == 3


def test_an_endless_evolution_ends_with_its_reason():
    found = propagate_split(packet(), GRID, (0, 1e9, 2), free, quartic, hbar=HBAR)
    assert found.status is Status.STEP_TOO_SMALL and list(found.times) == [0]


@pytest.mark.parametrize(
    "change, message",
    (
        ({"hbar": 0}, "hbar is 0"),
        ({"hbar": np.nan}, "hbar is nan"),
        ({"tolerance": -1}, "tolerance is -1"),
        ({"step": 0}, "step is 0"),
        ({"method": "euler"}, "use one of strang"),
        ({"W0": packet()[1:]}, "it needs"),
        ({"W0": packet() * np.nan}, "NaN"),
        ({"W0": 0 * packet()}, "zero on the whole grid"),
        ({"grid": (GRID[0] ** 3, GRID[1])}, "uniform"),
        ({"grid": (GRID[0][::-1], GRID[1])}, "ascending"),
        ({"kinetic": lambda p, k: np.ones((3, 4))}, "has to broadcast"),
        ({"e_ops": {"x": np.ones(3)}}, "The observable x"),
        ({"times": (0, 1, 10_000_000)}, "GiB"),
    ),
)
def test_what_cannot_be_used_is_said(change, message):
    arguments = {"W0": packet(), "grid": GRID, "times": (0, 1, 2), "kinetic": free, "potential": quartic, "hbar": HBAR}
    with pytest.raises(InputError, match=message):
        propagate_split(**{**arguments, **change})
