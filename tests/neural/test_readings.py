"""Delayed readings solved: against other integrators and hand-written equations, and hostile input."""

from functools import cache

import mpmath
import numpy as np
import pytest
from scipy.integrate import solve_bvp, solve_ivp

from qnnsym.errors import InputError
from qnnsym.neural import Network, NeuralHamiltonian, QuadraticCost, taylor
from qnnsym.neural.numerics.boundary import solve_stack, stack_of
from qnnsym.neural.numerics.delay import DelayedData
from qnnsym.solvers.events import Event

N, L, T = 2, 1, 0.5
LAM, OMEGA, MU = 0.8, 2.0, 0.1
C, TARGET, X = np.array([1.0, 2.0]), np.array([0.3, -0.2]), np.array([0.5])
Y0, COSTATE0 = np.array([0.1, 0.2]), np.array([0.1, -0.1])
SHAPE = (N, L + 1 + N)
SIZE = N * (L + 1 + N)
W0, W1, M0, M1 = np.random.default_rng(3).normal(size=(4, *SHAPE)) / 3


def weights(t):
    return W0 + W1 * np.sin(2 * t)


def momenta(t):
    return M0 + M1 * t


@cache
def equations(reading, kinetic="plus", inertia=OMEGA):
    h = NeuralHamiltonian(Network(N, L), LAM, inertia, QuadraticCost(C, TARGET, MU), delay=T)
    return h.characteristic_equations(reading, kinetic)


def solved(reading, times, **changes):
    given = {"y0": Y0, "costate0": COSTATE0, "weights": weights, "momenta": momenta, "inputs": X, "rtol": 1e-12}
    return equations(reading).solve(times, **{**given, "atol": 1e-14, **changes})


def split(flat):
    y, costate, w, m = np.split(flat, [N, 2 * N, 2 * N + SIZE])
    return y, costate, w.reshape(SHAPE), m.reshape(SHAPE)


def local(y, costate, delayed):
    """(F, F_y^T Delta, (Delta F)_W), by hand."""
    z = np.concatenate([X, [1.0], y])
    f = np.tanh(delayed @ z)
    d = costate * (1 - f**2) / LAM
    return (f - y) / LAM, delayed[:, L + 1 :].T @ d - costate / LAM, np.outer(d, z)


def epoch_by_epoch(reading, epochs):
    """The method of steps with SciPy's integrator, every past momentum in the sum; states at the ends of the epochs."""
    solutions, state, found = [], np.concatenate([Y0, COSTATE0, weights(0).ravel(), momenta(0).ravel()]), []

    def past(n, tau):
        """(W, M) of epoch n."""
        return split(solutions[n](tau))[2:] if n >= 0 else (weights(tau - T), momenta(tau - T))

    for n in range(epochs):

        def motion(tau, flat, n=n):
            y, costate, w, m = split(flat)
            motion_y, back, learning = local(y, costate, past(n - 1, tau)[0])
            total = m + sum(past(e, tau)[1] for e in range(-1, n)) if reading == "causal" else m
            push = -learning if reading == "causal" else 0.0
            rates = motion_y, -back - C * (y - TARGET), total / OMEGA, push - MU * w
            return np.concatenate([np.ravel(r) for r in rates])

        run = solve_ivp(motion, (0, T), state, method="DOP853", rtol=1e-11, atol=1e-13, dense_output=True)
        solutions.append(run.sol)
        state = run.y[:, -1]
        found.append(state)
    return np.array(found)


@pytest.mark.parametrize("reading", ["causal", "frozen"])
def test_initial_value_readings_against_the_method_of_steps_by_scipy(reading):
    solution = solved(reading, np.arange(6) * T)
    np.testing.assert_allclose(solution.states[1:], epoch_by_epoch(reading, 5), rtol=2e-9, atol=2e-9)
    assert solution.names[0] == "y_0" and solution.success


@pytest.mark.parametrize("reading", ["causal", "frozen"])
def test_twelve_digits_against_the_method_of_steps_in_thirty(reading):
    data = DelayedData(equations(reading), None, X)
    table = data.histories(weights, momenta)
    ones = np.ones(SHAPE, int).tolist()
    network = {
        "activation": "tanh", "relaxation": LAM, "inertia": OMEGA, "delay": T, "weight": C, "target": TARGET,
        "decay": MU, "inputs": X, "mask": ones, "moving": ones, "sign": 1,
    }  # fmt: skip
    histories = tuple(taylor.polynomial_history(table.pieces, table.breaks, SHAPE, c) for c in (0, SIZE))
    exact = taylor.method_of_steps(network, histories, Y0, COSTATE0, 4, reading=reading)
    parts = ("y", "costate", "weights", "momenta")
    values = np.array([np.concatenate([np.array(e[p], float).ravel() for p in parts]) for e in exact])
    found = solved(reading, np.array([float(e["t"]) for e in exact]), rtol=1e-14, atol=1e-15).states
    assert np.max(np.abs(found - values) / (1 + np.abs(values))) < 1e-12
    if reading == "causal":
        finer = taylor.method_of_steps(network, histories, Y0, COSTATE0, 1, intervals=16, order=36, digits=40)
        one = exact[len(exact) // 4]
        assert mpmath.almosteq(one["t"], finer[-1]["t"], 1e-30)
        gaps = [abs(a - b) for p in ("y", "costate") for a, b in zip(one[p], finer[-1][p], strict=True)]
        assert max(gaps) < mpmath.mpf(10) ** -29


def test_histories_of_every_kind_agree():
    times = np.linspace(-T, 0, 15)
    samples = [(times, np.array([f(t) for t in times])) for f in (weights, momenta)]
    found = solved("causal", (0, 2, 5), weights=samples[0], momenta=samples[1])
    np.testing.assert_allclose(found.states, solved("causal", (0, 2, 5)).states, rtol=1e-9, atol=1e-9)
    constant = solved("causal", (0, 2, 5), weights=W0, momenta=M0)
    by_function = solved("causal", (0, 2, 5), weights=lambda t: W0, momenta=lambda t: M0)
    np.testing.assert_allclose(constant.states, by_function.states, rtol=0, atol=1e-12)


def test_a_jump_of_the_momenta_at_zero_enters_the_first_epoch():
    found = solved("causal", np.array([0.0, 1e-6]), momenta0=M0 + 1.0)
    slope = (found.states[1] - found.states[0])[2 * N : 2 * N + SIZE] / 1e-6
    np.testing.assert_allclose(slope.reshape(SHAPE), (M0 + 1.0 + momenta(-T)) / OMEGA, atol=1e-5)


def test_inputs_may_jump():
    def jumping(t):
        return X if t < 0.7 else -X

    jumped = solved("causal", np.array([0, 0.7, 1.2]), inputs=jumping, input_jumps=[0.7])
    first = solved("causal", np.array([0, 0.7]))
    np.testing.assert_allclose(jumped.states[1], first.final, atol=1e-11)
    assert np.abs(jumped.states[2] - solved("causal", np.array([0, 1.2])).final).max() > 1e-3


def test_events_are_found():
    solution = solved("causal", (0, 2, 3), events=[Event("y_0", 0.3)])
    assert all(abs(s[0] - 0.3) < 1e-11 for s in solution.crossings[0].states)


def test_with_fixed_weights_the_delay_does_not_matter():
    eqs = equations("causal", "plus", float("inf"))
    found = eqs.solve((0, 2, 9), Y0, COSTATE0, W0, M0, X, rtol=1e-12)
    expected = eqs.hamiltonian.characteristic_equations().solve((0, 2, 9), Y0, COSTATE0, W0, M0, X, rtol=1e-12)
    np.testing.assert_allclose(found.states, expected.states, rtol=1e-10, atol=1e-10)


# variational ---------------------------------------------------------------------------------------------------------


def stacked_by_hand(K, sign):
    """The boundary problem written out by hand and solved by SciPy."""
    length = 2 * N + 2 * SIZE

    def rates(tau, flat):
        out = np.empty(flat.shape)
        for column, t in enumerate(tau):
            parts = [split(s) for s in flat[:, column].reshape(K, length)]
            rows = []
            for n, (y, costate, w, m) in enumerate(parts):
                motion, back, _ = local(y, costate, parts[n - 1][2] if n else weights(t - T))
                later = local(parts[n + 1][0], parts[n + 1][1], w)[2] if n + 1 < K else 0.0
                row = motion, -back - C * (y - TARGET), sign * (K - n) * m / OMEGA, -later - MU * w
                rows += [np.ravel(r) for r in row]
            out[:, column] = np.concatenate(rows)
        return out

    def ends(a, b):
        a, b = a.reshape(K, length), b.reshape(K, length)
        y, _, w, _ = split(a[0])
        _, costate, _, m = split(b[-1])
        return np.concatenate([y - Y0, (w - weights(0)).ravel(), (a[1:] - b[:-1]).ravel(), costate, m.ravel()])

    tau = np.linspace(0, T, 9)
    start = np.concatenate([Y0, np.zeros(N), weights(0).ravel(), np.zeros(SIZE)])
    return solve_bvp(rates, ends, tau, np.tile(start, K)[:, None] * np.ones(9), tol=1e-7, max_nodes=4000)


@pytest.mark.parametrize("kinetic, K", [("plus", 2), ("minus", 2)])
def test_the_variational_reading_against_scipys_boundary_solver(kinetic, K):
    given = {"y0": Y0, "weights": weights, "momenta": momenta, "inputs": X, "epochs": K}
    times = np.array([0, 0.2, 0.5, 0.7, 1.0])
    eqs = equations("variational", kinetic)
    if kinetic == "minus":  # one compilation is enough for the tests
        from qnnsym.neural.limits.variational import interpreted

        given["kernels"] = interpreted(eqs)
    solution = eqs.solve(times, rtol=1e-10, **given)
    by_scipy = stacked_by_hand(K, 1 if kinetic == "plus" else -1)
    assert by_scipy.status == 0
    expected = [by_scipy.sol(t - T * (t > T)).reshape(K, -1)[int(t > T)] for t in times]
    np.testing.assert_allclose(solution.states, expected, atol=3e-6)
    assert np.abs(solution.final[2 * N + SIZE :]).max() < 1e-11 and np.abs(solution.final[N : 2 * N]).max() < 1e-11


def test_a_terminal_cost_sets_costates_and_momenta_at_the_end():
    eqs = equations("variational")
    net = eqs.hamiltonian.network
    phi = net.y[0] ** 2 * net.W[0, 2] + 3 * net.y[1]
    solution = eqs.solve((0, 1, 3), y0=Y0, weights=weights, momenta=momenta, inputs=X, epochs=2, terminal=phi)
    y, costate, w, m = split(solution.final)
    np.testing.assert_allclose(costate, [2 * y[0] * w[0, 2], 3], atol=1e-9)
    expected = np.zeros(SHAPE)
    expected[0, 2] = y[0] ** 2
    np.testing.assert_allclose(m, expected, atol=1e-9)


def test_one_epoch_has_no_advanced_term():
    solution = equations("variational").solve((0, T, 3), y0=Y0, weights=weights, inputs=X, epochs=1)
    # M' = -mu W, W' = M/omega: hyperbolic or circular functions of its own, whatever the neurons do.
    rate = np.sqrt(MU / OMEGA)
    expected = weights(0) * np.cos(rate * (T - 0)) / np.cos(rate * T)
    w = split(solution.final)[2]
    first = split(solution.states[0])[3]
    np.testing.assert_allclose(w, weights(0) * np.cos(rate * T) + first / OMEGA * np.sin(rate * T) / rate, atol=1e-10)
    np.testing.assert_allclose(first, weights(0) * np.tan(rate * T) * OMEGA * rate, atol=1e-10)
    assert expected.shape == w.shape


def test_strong_coupling_is_reached_by_continuation():
    eqs = equations("variational", "plus", 0.4)
    stack = stack_of(eqs, Y0, W0, M0, X, 2)
    found = solve_stack(stack, 1e-9, 1e-11)
    assert np.max(np.abs(stack.ends(found.values[0], found.values[-1]))) < 1e-8


# refusals ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"times": (1, 2, 3)}, "The times go from 1 to 2; the histories end at t = 0"),
        ({"times": (0, -1, 3)}, "The times go from 0 to -1; the histories end at t = 0"),
        ({"costate0": None}, "costate0 is missing; the reading 'causal' is an initial-value problem"),
        ({"weights": None}, r"The history of the weights is missing; give an array of shape \(2, 4\)"),
        ({"momenta": np.zeros((2, 3))}, r"The history of the momenta has the shape \(2, 3\); it needs \(2, 4\)"),
        ({"weights": lambda t: np.zeros(8)}, r"The history of the weights at t = .* has the shape \(8,\)"),
        (
            {"weights": (np.linspace(-T / 2, 0, 4), np.zeros((4, 2, 4)))},
            r"The history of the weights covers \[-0.25, 0\], and \[-0.5, 0\] is needed: it is shorter than the delay",
        ),
        ({"weights": lambda t: W0 if t > -0.3 else np.nan * W0}, "holds NaN or infinite entries"),
        ({"y0": [0.0]}, r"The array y has the shape \(1,\); it needs \(2,\)"),
        (
            {"weights": lambda t: W0 * np.sin(1e9 * t)},
            r"The history of the weights cannot be tabulated on \[-T, 0\] = \[-0.5, 0\], T the delay",
        ),
        ({"rtol": -1.0}, "rtol is -1.0; give a positive number"),
        ({"method": "radau"}, "The method 'radau' keeps no dense output"),
        ({"inputs": None}, "The network has 1 inputs and none are given"),
    ],
)
def test_bad_input_of_the_causal_reading_is_a_sentence(changes, sentence):
    changes = {"times": (0, 1, 3), **changes}
    times = changes.pop("times")
    with pytest.raises(InputError, match=sentence):
        solved("causal", times, **changes)


def test_a_time_before_the_start_has_no_causal_rates():
    with pytest.raises(InputError, match="lies before the start"):
        equations("causal").rhs(-0.1, Y0, COSTATE0, W0, M0, X, W1, past_momenta=[M1])


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"epochs": None}, "needs the number of its epochs; give epochs=K"),
        ({"epochs": 1000}, "epochs=1000 are 20000 unknowns .* Give at most [1-9][0-9]+ epochs"),
        ({"method": "radau"}, "method= is not known to solve in the reading 'variational'"),
        ({"rtol": "a"}, "rtol='a' is not a relative tolerance"),
        ({"epochs": 0}, "epochs=0 is no number of epochs"),
        ({"epochs": 1.5}, "epochs=1.5 is no number of epochs"),
        ({"times": (0, 3, 4)}, r"give ascending times within \[0, K T\] = \[0, 1\]"),
        ({"costate0": [1.0, 0]}, "costates are set at the end"),
        ({"y0": [0.0]}, r"The array y0 has the shape \(1,\); it needs \(2,\)"),
        ({"terminal": __import__("sympy").Symbol("q")}, "The terminal cost holds q; use network.y, network.W"),
    ],
)
def test_bad_input_of_the_variational_reading_is_a_sentence(changes, sentence):
    given = {"times": (0, 1, 3), "y0": Y0, "weights": W0, "momenta": M0, "inputs": X, "epochs": 2, "kernels": {}}
    given |= changes
    with pytest.raises(InputError, match=sentence):
        equations("variational").solve(given.pop("times"), **given)


def test_masked_weights_have_no_history():
    mask = np.ones(SHAPE)
    mask[0, 2] = 0
    h = NeuralHamiltonian(Network(N, L, mask=mask), LAM, OMEGA, QuadraticCost(), delay=T)
    with pytest.raises(InputError, match="A missing synapse has a weight"):
        h.characteristic_equations("causal").solve((0, 1, 3), Y0, COSTATE0, W0, np.zeros(SHAPE), X)
    with pytest.raises(InputError, match="A static or missing weight has a momentum"):
        h.characteristic_equations("causal").solve((0, 1, 3), Y0, COSTATE0, mask * W0, M0, X)


@pytest.mark.parametrize("what", ["compiled", "integrate", "solve_ensemble"])
def test_what_takes_a_state_alone_is_refused(what):
    arguments = {"compiled": (), "integrate": (np.zeros(20), (0, 1)), "solve_ensemble": (np.zeros((1, 20)), (0, 1))}
    with pytest.raises(InputError, match=f"{what} takes a state at one time, and the reading 'causal' needs values of"):
        getattr(equations("causal"), what)(*arguments[what])
