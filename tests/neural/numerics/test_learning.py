"""The epoch scheme: gradients against hand-written networks, closed forms, learning to convergence, refusals."""

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from qnnsym.errors import InputError, SolverError, StorageError
from qnnsym.neural import Network, NeuralHamiltonian, QuadraticCost, train
from qnnsym.neural.numerics.learner import Learner

RNG = np.random.default_rng(2)
N, L, P = 3, 2, 4
LAM, T = 0.4, 1.5
INPUTS, TARGETS = RNG.normal(size=(P, L)), RNG.normal(size=(P, N)) / 2
MASK = np.ones((N, L + 1 + N))
MASK[0, 4] = MASK[2, 1] = 0
W0 = MASK * RNG.normal(size=MASK.shape) / 2
Y0 = RNG.normal(size=(P, N)) / 3
C, MU = np.array([1.0, 0.5, 2.0]), 0.1
XOR = (
    np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]),
    np.array([[0, 0, 0, d] for d in (-0.8, 0.8, 0.8, -0.8)], float),
)


def learner(**options):
    net = Network(N, L, "tanh", MASK)
    h = NeuralHamiltonian(net, LAM, 2.0, QuadraticCost(C, decay=MU))
    made = Learner(h, INPUTS, TARGETS, T, **options)
    made.steps = 8
    return made


def cost(weights, y0=Y0):
    """Integral of E over an epoch by SciPy's integrator on the network written by hand, real or complex."""

    def motion(_, state):
        y = state[:-1].reshape(P, N)
        z = np.concatenate([INPUTS, np.ones((P, 1)), y], axis=1)
        rate = (np.tanh(z @ (MASK * weights).T) - y) / LAM
        error = np.sum(C * (y - TARGETS) ** 2) / 2 + MU / 2 * np.sum((MASK * weights) ** 2)
        return np.append(rate.ravel(), error)

    start = np.append(y0.ravel(), 0).astype(np.result_type(weights, y0))
    return solve_ivp(motion, (0, T), start, method="DOP853", rtol=1e-12, atol=1e-14).y[-1, -1]


def complex_gradient(f, at):
    gradient = np.zeros(at.shape)
    for place in np.ndindex(*at.shape):
        moved = at.astype(complex)
        moved[place] += 1e-30j
        gradient[place] = f(moved).imag / 1e-30
    return gradient


@pytest.mark.parametrize("backend", ["compiled", "batched"])
def test_momenta_are_minus_the_gradient_of_the_cost(backend):
    epoch = learner(backend=backend).epoch(W0, Y0)
    assert epoch.cost == pytest.approx(cost(W0), rel=1e-9)
    np.testing.assert_allclose(epoch.momenta, -complex_gradient(cost, W0), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(epoch.costate, complex_gradient(lambda y: cost(W0, y), Y0), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("activation", ["tanh", "softplus", "linear", "logistic", ["tanh", "relu", "softplus"]])
def test_matrix_products_and_loops_over_patterns_are_one_scheme(activation):
    h = NeuralHamiltonian(Network(N, L, activation, MASK), LAM, 2.0, QuadraticCost(C, decay=MU))
    loops, products = (Learner(h, INPUTS, TARGETS, T, backend=b).epoch(W0, Y0) for b in ("compiled", "batched"))
    for name in ("cost", "momenta", "change", "costate", "end"):
        np.testing.assert_allclose(getattr(products, name), getattr(loops, name), rtol=1e-12, atol=1e-13)


def test_steps_of_rk4_converge_with_their_order():
    made, exact, errors = learner(method="rk4"), cost(W0), []
    for steps in (8, 16):
        made.steps = steps
        errors.append(abs(made.epoch(W0, Y0).cost / exact - 1))
    assert 3.5 < np.log2(errors[0] / errors[1]) < 4.5


@pytest.mark.parametrize("backend", ["compiled", "batched"])
@pytest.mark.parametrize("method", ["dop853", "rk4"])
def test_the_gradient_is_that_of_the_discrete_cost_whatever_the_step(method, backend):
    made = learner(method=method, backend=backend)
    made.steps = 2  # far from converged
    rough, step = made.epoch(W0, Y0), 1e-4
    direction = MASK * np.random.default_rng(3).normal(size=W0.shape)
    costs = [made.epoch(W0 + n * step * direction, Y0).cost for n in (-2, -1, 1, 2)]
    slope = (costs[0] - 8 * costs[1] + 8 * costs[2] - costs[3]) / (12 * step)
    assert slope == pytest.approx(-np.sum(rough.momenta * direction), rel=1e-10)
    assert abs(rough.cost / cost(W0) - 1) > 1e-9


def test_relaxed_starts_add_the_derivative_of_the_rest():
    made = learner()

    def relaxed(weights):
        y = np.zeros((P, N))
        for _ in range(400):  # by hand: y = f(W z)
            z = np.concatenate([INPUTS, np.ones((P, 1)), y], axis=1)
            y = np.tanh(z @ (MASK * weights).T)
        return cost(weights, y)

    epoch = made.epoch(W0, made.at_rest(W0, np.zeros((P, N))))
    total = made.rest_gradient(W0, epoch) - epoch.momenta
    np.testing.assert_allclose(total, complex_gradient(relaxed, W0), rtol=1e-7, atol=1e-9)
    assert np.max(np.abs(total + epoch.momenta)) > 1e-2  # the difference is no rounding


@pytest.mark.parametrize("weights", ["parametric", "dynamical"])
@pytest.mark.parametrize("ratio", [0.03, 0.3, 2.0])
def test_one_linear_neuron_from_its_rest_has_a_closed_form(weights, ratio):
    w, x, d, omega, t = 0.7, 1.3, -0.4, 2.0, 1.1
    lam, e = ratio * t, w * x - d
    net = Network(1, 1, "linear", [[1, 0, 0]])
    found = train(
        net, ([[x]], [[d]]), epochs=1, weights=weights, weights0=[[w, 0, 0]], relaxation=lam, inertia=omega, duration=t
    )
    decay = np.exp(-t / lam)
    change = -(e * x / omega) * (t**2 / 2 - lam**2 * (1 - (1 + t / lam) * decay))
    assert found.weights[1, 0, 0] - w == pytest.approx(change, rel=1e-8)
    assert found.momenta[0, 0, 0] == pytest.approx(-e * x * (t - lam * (1 - decay)), rel=1e-8)


def test_dynamical_weights_move_at_each_time_of_the_epoch_by_the_double_integral():
    """w(tau) of the linear neuron after one epoch, from W'' = M'/omega by hand."""
    w, x, d, omega, t, lam = 0.7, 1.3, -0.4, 2.0, 1.1, 0.3
    net = Network(1, 1, "linear", [[1, 0, 0]])
    found = train(
        net, ([[x]], [[d]]), epochs=1, weights="dynamical", weights0=[[w, 0, 0]], relaxation=lam, inertia=omega,
        duration=t,
    )  # fmt: skip
    tau = np.linspace(0, t, 7)
    # Delta(s) = -e (lam)(e^{(s-t)/lam} - 1) ... M'(s) = -(x/lam) Delta = -e x (1 - e^{(s-t)/lam})
    e = w * x - d
    first = tau**2 / 2 - lam**2 * np.exp((tau - t) / lam) + lam**2 * np.exp(-t / lam) + lam * tau * np.exp(-t / lam)
    np.testing.assert_allclose(found.path(tau)[:, 0, 0] - w, -e * x / omega * first, rtol=1e-8, atol=1e-10)


def backprop(weights, layers=(2, 3, 1)):
    """dE/dW of the feed-forward tanh network by textbook backpropagation, at rest; targets on the last neuron."""
    inputs, targets = XOR
    hidden, gradient = layers[1], np.zeros(weights.shape)
    for x, d in zip(inputs, targets, strict=True):
        z0 = np.append(x, 1.0)
        h = np.tanh(weights[:hidden, :3] @ z0)
        z1 = np.append(1.0, h)
        out = np.tanh(weights[hidden, 2:6] @ z1)
        delta = (out - d[-1]) * (1 - out**2)
        gradient[hidden, 2:6] += delta * z1
        gradient[:hidden, :3] += np.outer(delta * weights[hidden, 3:6] * (1 - h**2), z0)
    return gradient


def test_fast_relaxation_is_backpropagation_and_the_gap_has_its_orders():
    """DeltaW -> -eta dE/dW, eta = T^2/(2 omega): gap of second order in lambda/T from rest, of first order from 0."""
    net, omega = Network(layers=(2, 3, 1)), 3.0
    w = net.mask * np.random.default_rng(1).normal(size=net.mask.shape)
    eta, exact = 1 / (2 * omega), backprop(w)
    for start, order in (("relaxed", 2), ("reset", 1)):
        gaps = []
        for ratio in (0.04, 0.02, 0.01):
            found = train(
                net, XOR, epochs=1, start=start, weights0=w, relaxation=ratio, inertia=omega, duration=1.0,
                cost=QuadraticCost([0, 0, 0, 1]),
            )  # fmt: skip
            gaps.append(np.max(np.abs(found.weights[1] - w + eta * exact)))
        assert np.diff(np.log2(gaps)) == pytest.approx(-order, abs=0.15)


def test_xor_is_learned():
    net = Network(layers=(2, 3, 1))
    w = net.mask * np.random.default_rng(3).normal(size=net.mask.shape)
    found = train(
        net, XOR, epochs=300, start="relaxed", weights="parametric", weights0=w, relaxation=0.1, inertia=4.0,
        duration=1.0, cost=QuadraticCost([0, 0, 0, 1.0]),
    )  # fmt: skip
    assert found.weights.shape == (301, *net.mask.shape) and found.momenta.shape == (300, *net.mask.shape)
    assert found.costs.shape == (301,) and found.costs[-1] < 1e-4 * found.costs[0]
    assert (found.weights[:, net.mask == 0] == 0).all()
    np.testing.assert_array_equal(np.sign(found.y[:, 3]), [-1, 1, 1, -1])


def test_dynamical_weights_follow_the_powers_of_a_volterra_operator():
    """Fast linear neuron: w_n - w* = (1 - (x^2/omega) V^2)^n (w_0 - w*), V the integral from the epoch's start."""
    x, d, omega, t, n = 1.3, -0.4, 2.0, 1.0, 5
    net = Network(1, 1, "linear", [[1, 0, 0]])
    found = train(
        net, ([[x]], [[d]]), epochs=n, weights="dynamical", weights0=[[0.7, 0, 0]], relaxation=1e-3, inertia=omega,
        duration=t, rtol=1e-7,
    )  # fmt: skip
    tau, rest = np.linspace(0, 0.98, 6), d / x
    powers = sum(
        math.comb(n, j) * (-(x**2) / omega) ** j * tau ** (2 * j) / math.factorial(2 * j) for j in range(n + 1)
    )
    np.testing.assert_allclose(found.path(tau)[:, 0, 0], rest + (0.7 - rest) * powers, atol=3e-3)
    # Powers of 1 - K V^2 grow in the end: only the first epochs descend.
    assert (np.diff(found.costs[:5]) < 0).all()


def test_unresolved_dynamical_weights_are_said():
    net = Network(1, 1, "linear", [[1, 0, 0]])
    found = train(
        net, ([[1.0]], [[0.0]]), epochs=2, weights="dynamical", weights0=[[0.7, 0, 0]], relaxation=0.01, inertia=1.0,
        duration=1.0, modes=4,
    )  # fmt: skip
    assert "more modes" in found.warnings[0]


def test_a_cost_as_expression_counts_terms_without_activity_once():
    net = Network(2, 1, "tanh")
    given = (net.y[0] - net.x[0] * net.t) ** 2 / 2 + net.y[1] * net.W[0, 0] + net.W[0, 1] ** 2 / 10
    draw = np.random.default_rng(4)
    w, x = draw.normal(size=(2, 4)), draw.normal(size=(3, 1))
    made = Learner(NeuralHamiltonian(net, LAM, 1.0, given), x, None, 1.0)
    made.steps = 16
    start = np.zeros((3, 2))

    def by_hand(weights):
        def motion(t, state):
            y = state[:-1].reshape(3, 2)
            z = np.concatenate([x, np.ones((3, 1)), y], axis=1)
            each = (y[:, 0] - x[:, 0] * t) ** 2 / 2 + y[:, 1] * weights[0, 0]
            return np.append((np.tanh(z @ weights.T) - y).ravel() / LAM, each.sum() + weights[0, 1] ** 2 / 10)

        run = solve_ivp(motion, (0, 1), np.zeros(7, weights.dtype), method="DOP853", rtol=1e-12, atol=1e-14)
        return run.y[-1, -1]

    epoch = made.epoch(w, start)
    assert epoch.cost == pytest.approx(by_hand(w), rel=1e-8)
    assert epoch.cost - epoch.error == pytest.approx(w[0, 1] ** 2 / 10, rel=1e-12)
    np.testing.assert_allclose(epoch.momenta, -complex_gradient(by_hand, w), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("weights", ["parametric", "dynamical"])
@pytest.mark.parametrize("start", ["relaxed", "continue"])
def test_a_resumed_training_is_the_same_to_the_bit(tmp_path, weights, start):
    options = {"start": start, "weights": weights, "relaxation": LAM, "inertia": 30.0, "duration": T}
    net, data = Network(N, L, "tanh", MASK), (INPUTS, TARGETS)
    whole = train(net, data, epochs=7, weights0=W0, **options)
    path = train(net, data, epochs=4, weights0=W0, **options).save(tmp_path / "training.nc")
    joined = train(net, data, epochs=3, resume=path, **options)
    np.testing.assert_array_equal(joined.weights, whole.weights)
    np.testing.assert_array_equal(joined.costs, whole.costs)
    np.testing.assert_array_equal(joined.momenta, whole.momenta)
    with pytest.raises(StorageError, match="train again"):
        train(net, data, epochs=1, resume=tmp_path / "missing.nc", **options)


def test_signals_that_depend_on_time_are_taken_at_the_epochs_own_time():
    net = Network(1, 1, "linear", [[1, 0, 0]])
    options = {"relaxation": 0.5, "inertia": 9.0, "duration": 1.0, "weights0": [[1.0, 0, 0]], "start": "reset"}
    found = train(net, (lambda t: [t > 1], lambda t: [[0.0]]), epochs=1, steps=40, **options)
    assert found.costs[0] == 0 and found.costs[1] > 0.01


def test_divergence_is_named_with_the_bound_and_the_bound_is_sharp():
    net, data = Network(1, 1, "linear", [[1, 0, 0]]), ([[2.0]], [[1.0]])
    options = {"relaxation": 0.01, "duration": 1.0, "weights0": [[0.1, 0, 0]], "epochs": 200}
    with pytest.raises(InputError, match=r"diverges.*stable while inertia > (\d\.\d+)") as error:
        train(net, data, inertia=0.5, **options)
    bound = float(str(error.value).split("inertia > ")[1].split()[0])
    # eta x^2 = 2 with eta = T^2/(2 omega) - lambda^2/omega + ...
    assert bound == pytest.approx(4 * (0.5 - 0.01**2) / 2, rel=1e-3)
    assert train(net, data, inertia=1.02 * bound, **options).costs[-1] < 1e-3
    with pytest.raises(InputError, match="diverges"):
        train(net, data, inertia=0.97 * bound, **options)


def test_a_rising_cost_is_said():
    net = Network(layers=(2, 3, 1))
    w = net.mask * np.random.default_rng(3).normal(size=net.mask.shape)
    options = {"weights0": w, "relaxation": 0.1, "duration": 1.0, "cost": QuadraticCost([0, 0, 0, 1.0])}
    fast = train(net, XOR, epochs=60, inertia=2.0, **options)
    assert fast.diagnostics["rises"] > 0 and "The cost rose in" in fast.warnings[0]
    slow = train(net, XOR, epochs=60, inertia=20.0, **options)
    assert slow.diagnostics["rises"] == 0 and not slow.warnings and (np.diff(slow.costs) < 0).all()


@pytest.mark.parametrize(("curvature", "words"), [(-1e-12, "are saturated"), (np.nan, "do not come to rest")])
def test_where_no_bound_is_known_none_is_said(monkeypatch, curvature, words):
    net = Network(layers=(2, 2, 1))
    w = net.mask * np.random.default_rng(0).normal(size=net.mask.shape) / np.sqrt(net.columns)
    monkeypatch.setattr("qnnsym.neural.numerics.learner.Learner.stability", lambda *_: curvature)
    targets = np.array([[0, 0, d] for d in (0.0, 1, 1, 0)])
    fast = train(
        net, (XOR[0], targets), 9, weights0=w, inertia=0.5, relaxation=0.1, duration=1.0, cost=QuadraticCost([0, 0, 1])
    )
    assert words in fast.warnings[0] and "inertia >" not in fast.warnings[0]


NET = Network(N, L, "tanh", MASK)
GOOD = {"epochs": 1, "relaxation": LAM, "inertia": 2.0, "duration": T, "weights0": W0}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data": (INPUTS, TARGETS), "cost": QuadraticCost(1, target=[0, 0, 0])}, "targets are given twice"),
        ({"data": (INPUTS[:3], TARGETS)}, "3 patterns of inputs and 4 of targets"),
        ({"data": (INPUTS[:, :1], TARGETS)}, "inputs have the shape"),
        ({"data": (INPUTS, TARGETS[:, :2])}, "targets have the shape"),
        ({"data": INPUTS}, "no pair"),
        ({"data": (None, TARGETS)}, "2 inputs and none are given"),
        ({"data": (INPUTS, np.full((P, N), np.nan))}, "targets"),
        ({"relaxation": 0.0}, "relaxation"),
        ({"relaxation": None}, "relaxation"),
        ({"inertia": -1.0}, "inertia"),
        ({"inertia": None}, "inertia"),
        ({"duration": 0}, "duration"),
        ({"duration": None}, "duration"),
        ({"duration": 1e6}, r"steps of a relaxation time.*the budget is"),
        ({"epochs": 10**9}, r"steps of a relaxation time.*the budget is"),
        ({"epochs": -1}, "epochs"),
        ({"epochs": 2.5}, "epochs"),
        ({"start": "warm"}, "relaxed, reset, continue"),
        ({"weights": "fast"}, "parametric, dynamical"),
        ({"weights0": np.ones((2, 2))}, "weights0"),
        ({"weights0": np.ones((N, L + 1 + N))}, "missing synapse"),
        ({"y0": np.ones(7)}, "y0 has the shape"),
        ({"cost": NET.y[0] ** 2 * __import__("sympy").Symbol("q")}, "No number is known for q"),
        ({"cost": NET.y[0] ** 2}, "beside a cost that is an expression"),
        ({"backend": "gpu"}, "backend"),
        ({"method": "euler"}, "method='euler' is not known; use one of dop853, rk4"),
        ({"resume": 3, "weights0": None}, "no training"),
        ({"dynamical": np.ones((1, 1))}, "dynamical"),
    ],
)
def test_bad_arguments_are_sentences(changes, words):
    given = {**GOOD, "data": (INPUTS, TARGETS), **changes}
    with pytest.raises(InputError, match=words) as error:
        train(NET, given.pop("data"), **given)
    assert str(error.value).rstrip().endswith((".", "}"))


def test_a_network_that_oscillates_has_no_rest():
    net = Network(2, 0, "tanh")
    rotation = np.array([[0, 2.0, -3.0], [0, 3.0, 2.0]])
    with pytest.raises(SolverError, match=r'do not come to rest.*start="reset"'):
        train(
            net, (None, [[0, 0]]), epochs=1, weights0=rotation, y0=[0.3, 0.1], relaxation=1.0, inertia=1.0, duration=1
        )
