"""Several patterns that share their weights: against one pattern, a hand-written flow, and what is conserved."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from qnnsym.errors import InputError
from qnnsym.neural import Network, NeuralHamiltonian, QuadraticCost

N, L, P, LAM, OMEGA, MU = 2, 1, 3, 0.8, 2.0, 0.3
RNG = np.random.default_rng(4)
Y, D, X, TARGETS = (RNG.normal(size=(P, n)) / 2 for n in (N, N, L, N))
W, M = RNG.normal(size=(2, N, L + 1 + N)) / 2
C = np.array([1.0, 0.5])
NET = Network(N, L)
EQS = NeuralHamiltonian(NET, LAM, OMEGA, QuadraticCost(C, decay=MU)).characteristic_equations()
GIVEN = {"y0": Y, "costate0": D, "weights": W, "momenta": M, "inputs": X}


def by_hand(t, flat):
    (y, d), (w, m) = flat[: 2 * P * N].reshape(2, P, N), flat[2 * P * N :].reshape(2, *W.shape)
    z = np.hstack([X, np.ones((P, 1)), y])
    f = np.tanh(z @ w.T)
    s = d * (1 - f**2) / LAM
    rates = ((f - y) / LAM, d / LAM - s @ w[:, L + 1 :] - C * (y - TARGETS), m / OMEGA, -(s.T @ z) - MU * w)
    return np.concatenate([r.ravel() for r in rates])


def test_patterns_share_weights_and_the_decay_counts_once():
    found = EQS.solve((0, 1, 3), targets=TARGETS, **GIVEN)
    start = np.concatenate([Y.ravel(), D.ravel(), W.ravel(), M.ravel()])
    expected = solve_ivp(by_hand, (0, 1), start, "DOP853", rtol=1e-12, atol=1e-14).y[:, -1]
    assert found.states.shape == (3, start.size) and found.final == pytest.approx(expected, abs=1e-8)
    assert found.diagnostics["H_drift"] < 1e-8 and found.names[:3] == ("y_0_0", "y_0_1", "y_1_0")


def test_one_pattern_is_the_network_itself():
    rows = {"y0": Y[:1], "costate0": D[:1], "inputs": X[:1]}
    one = EQS.solve((0, 1, 3), **{**GIVEN, **rows})
    plain = EQS.solve((0, 1, 3), **{**GIVEN, "y0": Y[0], "costate0": D[0], "inputs": X[0]})
    assert one.states == pytest.approx(plain.states, abs=1e-8)
    assert one.expect["H"] == pytest.approx(plain.expect["H"], abs=1e-8)


def test_a_cost_as_expression_and_inputs_of_time():
    """With the same cost written out, whose decay is the part that counts once."""
    w = [NET.W[k, j] for k in range(N) for j in range(NET.columns)]
    cost = sum(c * y**2 for c, y in zip(C, NET.y, strict=True)) / 2 + MU / 2 * sum(v**2 for v in w)
    eqs = NeuralHamiltonian(NET, LAM, OMEGA, cost).characteristic_equations()
    written = eqs.solve((0, 1, 3), **{**GIVEN, "inputs": lambda t: X})
    assert written.states == pytest.approx(EQS.solve((0, 1, 3), **GIVEN).states, abs=1e-8)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"costate0": D[0]}, r"costate0 has the shape \(2,\); it needs \(3, 2\)"),
        ({"inputs": X[:2]}, "inputs has the shape"),
        ({"targets": TARGETS[:2]}, "targets has the shape"),
        ({"method": "radau"}, "method.*not known.*rtol"),
        ({"rtol": "a"}, "rtol"),
        ({"y0": Y[:0], "costate0": D[:0]}, "no pattern"),
    ],
)
def test_bad_arguments_are_sentences(changes, words):
    with pytest.raises(InputError, match=words):
        EQS.solve((0, 1, 3), **{**GIVEN, **changes})
