"""Lyapunov exponents of networks against eigenvalues and finite differences, and the batched emitter behind them."""

import numpy as np
import pytest
import sympy as sp

from qnnsym.codegen.batched import batched_function
from qnnsym.codegen.emit import numpy_function
from qnnsym.codegen.lower import lower
from qnnsym.errors import InputError
from qnnsym.neural import Network, NeuralHamiltonian, QuadraticCost, lyapunov_exponents
from qnnsym.neural.chaos import random_network
from qnnsym.neural.learning import sweep_sets
from qnnsym.neural.numerics.lyapunov import activity_rates
from tests.neural import cases


def test_linear_networks_have_the_real_parts_of_their_eigenvalues():
    w = np.zeros((4, 5))
    w[:, 1:] = np.random.default_rng(1).normal(size=(4, 4)) / 2
    expected = np.sort(((np.linalg.eigvals(w[:, 1:]) - 1) / 0.5).real)[::-1]
    found = lyapunov_exponents(Network(4, 0, "linear"), w, relaxation=0.5)
    assert len(found) == 4 and np.asarray(found).shape == (4,)
    # Complex pairs turn, so that their growth between two times is known to the uncertainty only.
    assert (np.abs(found.exponents - expected) <= 1e-5 + 4 * found.uncertainty).all()
    assert found.uncertainty.max() < 5e-3


def test_small_gain_is_regular_and_large_gain_is_chaotic():
    (quiet, w), (wild, v) = random_network(40, 0.6, 3), random_network(60, 5.0, 1)
    assert lyapunov_exponents(quiet, w, number=1, duration=60)[0] < -0.2
    chaotic = lyapunov_exponents(wild, v, number=2, duration=150)
    assert chaotic[0] > 0.1 and chaotic[0] > 3 * chaotic.uncertainty[0] and chaotic.entropy >= chaotic[0]


def test_tangent_is_the_derivative_of_the_rates():
    net, rng = Network(5, 2, ["tanh", "logistic", "softplus", "tanh", "linear"], None), np.random.default_rng(0)
    rates = activity_rates(net, rng.normal(size=(5, 8)), [0.3, -0.2], 0.7)
    y, v, h = rng.normal(size=5), rng.normal(size=(3, 5)), 1e-5
    _, found = rates(0.0, y, v)
    for direction, product in zip(v, found, strict=True):
        ahead, back = (rates(0.0, y + s * h * direction, v)[0] for s in (1, -1))
        np.testing.assert_allclose(product, (ahead - back) / (2 * h), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("activation", ["tanh", "linear", ["tanh", "relu", "softplus"]])
def test_batched_text_gives_what_the_loops_give_pattern_by_pattern(activation):
    h = NeuralHamiltonian(
        Network(3, 2, activation, cases.MASK), 0.8, 2.5, QuadraticCost(cases.WEIGHT, decay=0.15), dynamical=cases.MOVES
    )
    eqs, rng, count = h.characteristic_equations(), np.random.default_rng(3), 5
    backward = sweep_sets(eqs)["backward"]
    y, d, x, target = (rng.normal(size=(count, n)) for n in (3, 3, 2, 3))
    from qnnsym.neural.numerics import Data

    par, w = Data(eqs).par, cases.W0
    parameters, at = [], len(backward.scalars)
    for array in backward.arrays:
        if array.role == "parameter":
            shape = (3, 6)[: len(array.axes)]
            parameters.append(par[at : at + int(np.prod(shape))].reshape(shape))
            at += int(np.prod(shape))
    function = batched_function(backward, {"y", "D", "x", "d"}, {"d_M"})
    rate, total, once = function(0.0, (3, 2), par[: len(backward.scalars)], (y, d, w, x, target, *parameters))
    loops, sums = numpy_function(lower(backward)), 0
    for k in range(count):
        state = np.concatenate([y[k], d[k], w.ravel()])
        single = loops(0.0, state, np.concatenate([x[k], target[k]]), par, (3, 2))
        np.testing.assert_allclose(rate[k], single[:3], rtol=1e-12, atol=1e-13)
        sums = sums + single[3:].reshape(3, 6) - once
    np.testing.assert_allclose(total, sums, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"number": 0}, "number"),
        ({"duration": -1.0}, "duration"),
        ({"step": 0.0}, "step"),
        ({"relaxation": 0.0}, "relaxation"),
        ({"duration": 1.0}, "fewer than"),
        ({"y0": [1.0]}, "y0"),
        ({"inputs": lambda t: [0.0]}, "constant inputs"),
    ],
)
def test_bad_arguments_are_sentences(options, words):
    with pytest.raises(InputError, match=words):
        lyapunov_exponents(Network(2, 1), np.zeros((2, 4)), **{"inputs": [0.0], **options})
    with pytest.raises(InputError, match="weights"):
        lyapunov_exponents(Network(2, 0), np.zeros((2, 4)))


def test_steps_of_exponents_follow_steep_activations():
    """tanh(-40 y) has the slope -40 at rest: the exponent is -41 in relaxation times."""
    found = lyapunov_exponents(Network(1), [[0, -40.0]], duration=10, transient=1)
    assert found[0] == pytest.approx(-41, abs=0.02) and 0 < found.uncertainty[0] < 0.1


def test_a_value_given_for_the_relaxation_time_scales_duration_and_step():
    lam, w = sp.Symbol("lam", positive=True), np.array([[0, 0.5, 0], [0, 0, 0.2]])
    h = NeuralHamiltonian(Network(2, activation="linear"), lam, 1)
    found = lyapunov_exponents(h, w, values={"lam": 0.01}, duration=20, transient=10)
    assert np.asarray(found) == pytest.approx([-50, -80], rel=5e-3) and found.times[-1] == pytest.approx(0.3)
