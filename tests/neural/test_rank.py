"""Four ranks and the classification of constraints, each against matrices written by hand."""

import numpy as np
import pytest
import sympy as sp
from scipy.linalg import expm

from qnnsym.errors import InputError
from qnnsym.neural import Network, NeuralHamiltonian, QuadraticCost, rank_report

RNG = np.random.default_rng(4)
LAM = 0.5
A, B, C = sp.symbols("a b c", real=True)


def test_r1_is_the_inverse_flow_and_falls_when_contraction_rates_differ():
    net, rates = Network(3, 0, "linear"), np.array([0.2, 1.0, 3.0])  # y' = -rates y
    w = np.zeros((3, 4))
    w[:, 1:] = np.diag(1 - LAM * rates)
    h = NeuralHamiltonian(net, LAM, 2.0, QuadraticCost())
    for time in (1.0, 3.0, 6.0):
        r1 = rank_report(h, weights=w, time=time, tolerance=1e-4).R1
        np.testing.assert_allclose(r1.singular_values, np.exp(rates * time)[::-1], rtol=1e-8)
        assert r1.rank == np.sum((3.0 - rates) * time < np.log(1e4)) == 3 - r1.deficiency
    w[:, 1:] = RNG.normal(size=(3, 3))
    r1 = rank_report(h, weights=w, time=0.8).R1
    np.testing.assert_allclose(r1.matrix, expm(-(w[:, 1:] - np.eye(3)) / LAM * 0.8), rtol=1e-8)
    w[:, 1:] = 0
    assert rank_report(h, weights=w, time=8.0).R1.rank == 3  # uniform contraction loses none


def test_fixed_constants_lower_r1_by_their_number():
    h = NeuralHamiltonian(Network(3, 0), LAM, 2.0)
    r1 = rank_report(h, weights=RNG.normal(size=(3, 4)), time=0.3, fixed=[1]).R1
    assert (r1.rank, r1.deficiency, r1.lost) == (2, 1, (1,))


def test_r1_determinant_is_the_exponential_of_minus_the_divergence():
    w, y0 = RNG.normal(size=(2, 3)), np.array([0.3, -0.2])
    h, time = NeuralHamiltonian(Network(2, 0, "tanh"), LAM, 2.0, QuadraticCost()), 0.7
    from scipy.integrate import solve_ivp

    def motion(_, s):
        u = w[:, 0] + w[:, 1:] @ s[:2]
        return [*((np.tanh(u) - s[:2]) / LAM), np.sum((1 - np.tanh(u) ** 2) * np.diag(w[:, 1:]) - 1) / LAM]

    divergence = solve_ivp(motion, (0, time), [*y0, 0], rtol=1e-11, atol=1e-13).y[-1, -1]
    r1 = rank_report(h, weights=w, time=time, y0=y0).R1
    assert np.linalg.det(r1.matrix) == pytest.approx(np.exp(-divergence), rel=1e-8)


def test_r2_loses_rank_exactly_where_the_step_meets_a_curvature():
    """A linear neuron: Hess E_ss = sum z z^T over the patterns."""
    net, x = Network(1, 2, "linear", [[1, 1, 1, 0]]), RNG.normal(size=(6, 2))
    z = np.column_stack([x, np.ones(6)])
    curvatures = np.linalg.eigvalsh(z.T @ z)
    w = np.array([[0.3, -0.2, 0.1, 0]])
    for h in curvatures:
        for shift, rank in ((1.0, 2), (1.05, 3)):
            # eta = T^2/(2 omega) = 1/h
            report = rank_report(
                net, weights=w, inputs=x, targets=np.ones((6, 1)), cost=QuadraticCost(), inertia=h * shift * 2.0,
                duration=2.0,
            )  # fmt: skip
            assert report.R2.rank == rank
    expected = np.linalg.svd(np.eye(3) - z.T @ z * 4 / (2 * curvatures[-1] * 1.05 * 2))[1]
    np.testing.assert_allclose(report.R2.singular_values, expected, rtol=1e-7, atol=1e-9)


X = RNG.normal(size=(25, 2))
NET = Network(layers=(2, 3, 1))
W = NET.mask * np.random.default_rng(8).normal(size=NET.mask.shape)


def r3(weights, net=NET, inputs=X, **options):
    return rank_report(net, weights=weights, inputs=inputs, outputs=[3], **options).R3


def test_r3_agrees_with_the_jacobian_by_hand():
    def output(w):
        h = np.tanh(np.column_stack([X, np.ones(25)]) @ w[:3, :3].T)
        return np.tanh(w[3, 2] + h @ w[3, 3:6])

    jacobian = []
    for at in np.argwhere(NET.mask):
        moved = W.astype(complex)
        moved[tuple(at)] += 1e-30j
        jacobian.append(output(moved).imag / 1e-30)
    np.testing.assert_allclose(r3(W).matrix, np.array(jacobian).T, rtol=1e-9, atol=1e-12)
    assert (r3(W).rank, r3(W).deficiency) == (13, 0)


def test_r3_falls_by_the_parameters_that_the_outputs_do_not_know():
    silent = W.copy()
    silent[3, 3] = 0  # a zero output weight hides the three weights of its hidden unit
    assert r3(silent).deficiency == 3
    equal = W.copy()
    equal[0] = equal[1]
    # Hidden units 0 and 1 alike: their output weights act alike (1), and so do their inputs, scaled (3).
    assert r3(equal).deficiency == 4
    free = np.zeros(NET.mask.shape)
    free[3, 2:6] = 1
    assert (r3(W, free=free).rank, r3(W, free=free).deficiency) == (4, 0)
    null = r3(silent).null_vectors
    np.testing.assert_allclose(null @ null.T, np.eye(3), atol=1e-12)
    relu = Network(layers=(2, 3, 1), activation=["relu", "relu", "relu", "linear"])
    # One scaling symmetry for each hidden unit that is alive somewhere.
    alive = np.sum((np.column_stack([X, np.ones(25)]) @ W[:3, :3].T > 0).any(axis=0))
    assert alive == 3 and r3(W, relu).deficiency >= 3


def test_r4_has_corank_n():
    lam, omega = sp.symbols("lambda omega", positive=True)
    for h in (
        NeuralHamiltonian(NET, 0.5, 4.0, QuadraticCost(1, decay=0.1)),
        NeuralHamiltonian(NET, lam, omega, NET.y[0] ** 2 * NET.W[0, 0]),
    ):
        r4 = rank_report(h).R4
        assert (r4.rank, r4.deficiency) == (13, 4)
        np.testing.assert_allclose(np.abs(r4.null_vectors[:, :4]).sum(axis=0), 1, atol=1e-12)
    assert rank_report(NeuralHamiltonian(NET, 0.5, 4.0)).R4.singular_values[0] == 0.25


def test_primary_constraints_are_second_class():
    found = rank_report(NeuralHamiltonian(NET, 0.5, 4.0)).constraints
    assert len(found.first_class) == 0 and len(found.second_class) == 8
    assert found.brackets.det() == 1


def test_null_directions_of_the_cost_are_gauge():
    found = rank_report(cost=(A * B - 1) ** 2 + C**2, weights={A: 2, B: 0.5, C: 0}).constraints
    assert len(found.first_class) == 1 and len(found.second_class) == 4
    direction = found.null_vectors[0]  # along a b = 1: (a, -b, 0)
    assert abs(direction @ [0.5, 2.0, 0]) < 1e-12 and abs(np.linalg.norm(direction) - 1) < 1e-12
    whole = rank_report(cost=A**2 + B**2, weights={A: 0, B: 0}).constraints
    assert len(whole.first_class) == 0 and len(whole.second_class) == 4
    flat = rank_report(cost=A**2, weights={A: 0, B: sp.sqrt(2)}).constraints
    assert len(flat.first_class) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (((), {}), "Nothing is determined"),
        (((NET,), {"weights": W, "inputs": X}), "Nothing is determined"),
        (((NET,), {"inputs": X}), "weights are not given"),
        (((NET,), {"weights": W, "inputs": X, "cost": QuadraticCost()}), "inertia, duration is missing"),
        (((NET,), {"weights": W, "inputs": X, "outputs": [4]}), "numbers of neurons from 0 to 3"),
        (((NET,), {"weights": W + 1, "inputs": X, "outputs": [3]}), "missing synapse"),
        (((3,), {"weights": W}), "NeuralHamiltonian or a Network"),
        (((), {"cost": A**2, "weights": {A: 1}}), "no stationary point"),
        (((), {"cost": A * B, "weights": {A: 0}}), "contains b"),
        (((NeuralHamiltonian(NET, 1.0, 1.0),), {"time": 1.0}), "weights are not given"),
        *[
            (((NeuralHamiltonian(NET, 1.0, 1.0),), {"tolerance": t}), "tolerance=.*above 0 and below 1")
            for t in (-1, 0, 1, 2, float("nan"), "a", True)
        ],
        (((NeuralHamiltonian(NET, 1.0, 1.0),), {"time": -1.0, "weights": W}), "time"),
    ],
)
def test_bad_arguments_are_sentences(arguments, words):
    positional, named = arguments
    with pytest.raises(InputError, match=words):
        rank_report(*positional, **named)
    with pytest.raises(AttributeError, match="needs H"):
        _ = rank_report(cost=A**2, weights={A: 0}).R4
