"""Characteristic equations: index form against SymPy on H written out here, and against the spec's formulas."""

import os
import subprocess
import sys

import numpy as np
import pytest
import sympy as sp

from qnnsym.codegen.build import render
from qnnsym.equations.functions import logistic, relu, softplus
from qnnsym.equations.unroll import entry_symbol, unrolled_rates
from qnnsym.errors import InputError
from qnnsym.neural import Network, NeuralHamiltonian, QuadraticCost, lyapunov_exponents, train
from qnnsym.neural.hamiltonian import INPUTS, SIZE

u, a, b, gamma = sp.symbols("u a b gamma")
NAMES = {"tanh": sp.tanh, "logistic": logistic, "softplus": softplus, "linear": lambda v: v, "relu": relu}
ACTIVATIONS = [*NAMES, a * sp.tanh(b * u) + u**3 / 3, ["softplus", sp.sin(u), "relu"]]
SIZES = [(2, 1), (3, 2)]


def masks(neurons, inputs, seed=0):
    """A mask and a pattern of moving weights, neither of them full, each row with something of both."""
    draw = np.random.default_rng(seed).integers(0, 2, (2, neurons, inputs + 1 + neurons))
    draw[:, :, inputs + 1] = 1
    draw[0, :, 0] = 0
    draw[1, 0, inputs + 1] = 0
    return draw[0], draw[1]


def variables(net):
    """Symbols of y, Delta, W and M in the order of the flat state."""
    rows, places = range(net.neurons), list(np.ndindex(net.neurons, net.columns))
    return (
        [entry_symbol("y", (k,)) for k in rows],
        [entry_symbol("D", (k,)) for k in rows],
        {at: entry_symbol("W", at) for at in places},
        {at: entry_symbol("M", at) for at in places},
    )


def written_hamiltonian(h, sign, functions):
    """H of the spec for a network as it is: numbers in the place of masks, each neuron's own activation."""
    net = h.network
    y, costate, w, m = variables(net)
    lam, omega = h.relaxation, h.inertia
    z = [entry_symbol("x", (n,)) for n in range(net.inputs)] + [sp.Integer(1)] + y
    mask = np.ones((net.neurons, net.columns), int) if net.mask is None else net.mask.astype(int)
    moving = mask if h.dynamical is None else mask * h.dynamical.astype(int)
    total = sum(int(moving[at]) * m[at] ** 2 for at in m) * sign / (2 * omega)
    for k in range(net.neurons):
        drive = sum(int(mask[k, j]) * w[k, j] * z[j] for j in range(net.columns))
        total += costate[k] * (functions[k](drive) - y[k]) / lam
    if isinstance(h.cost, QuadraticCost):
        c, d = ([entry_symbol(n, (k,)) for k in range(net.neurons)] for n in "cd")
        total += sum(c[k] * (y[k] - d[k]) ** 2 for k in range(net.neurons)) / 2
        total += h.decay / 2 * sum(int(mask[at]) * w[at] ** 2 for at in w)
    elif h.cost is not None:
        total += h.cost.xreplace({s: sp.Symbol(s.name, real=True) for s in h.cost.free_symbols})
    return total, moving


def written_rates(h, sign, functions):
    """SymPy's Hamilton equations of it."""
    total, moving = written_hamiltonian(h, sign, functions)
    y, costate, w, m = variables(h.network)
    return [
        *(total.diff(s) for s in costate),
        *(-total.diff(s) for s in y),
        *(total.diff(s) for s in m.values()),
        *(-total.diff(w[at]) * int(moving[at]) for at in w),
    ]


def indexed_rates(h, kinetic):
    """The equations derived at index level, unrolled at the network's own size with its masks as numbers."""
    net = h.network
    numbers = {}
    for name, array in (("S", net.mask), ("G", h.dynamical)):
        if array is not None:
            numbers |= {entry_symbol(name, at): int(array[at]) for at in np.ndindex(array.shape)}
    for n in range(len(h.selectors)):
        numbers |= {entry_symbol(f"f{n}", (k,)): int(net.choice[k] == n) for k in range(net.neurons)}
    eqs = h.characteristic_equations(kinetic=kinetic)
    return [r.subs(numbers) for r in unrolled_rates(eqs.equations, {SIZE: net.neurons, INPUTS: net.inputs})]


def functions_of(activation, neurons):
    def function(given):
        return NAMES[given] if isinstance(given, str) else lambda v: given.subs(named).subs(u, v)

    named = {s: sp.Symbol(kernel, real=True) for s, kernel in ((a, "a_"), (b, "b"))}
    given = activation if isinstance(activation, list) else [activation] * neurons
    return [function(g) for g in given]


def assert_equal(found, expected):
    gaps = [sp.expand(f - e) for f, e in zip(found, expected, strict=True)]
    assert gaps == [0] * len(expected)
    assert sum(e != 0 for e in expected) > len(expected) / 3  # most rates say something


@pytest.mark.parametrize("neurons, inputs", SIZES)
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
def test_indexed_equations_equal_sympy_for_every_activation(activation, neurons, inputs):
    activation = activation[:neurons] if isinstance(activation, list) else activation
    h = NeuralHamiltonian(Network(neurons, inputs, activation), 1.0, 2.0, QuadraticCost())
    assert_equal(indexed_rates(h, "plus"), written_rates(h, 1, functions_of(activation, neurons)))


@pytest.mark.parametrize("neurons, inputs", SIZES)
@pytest.mark.parametrize(
    "masked, dynamical, kinetic", [(True, False, "plus"), (False, True, "minus"), (True, True, "plus")]
)
def test_missing_and_static_weights_keep_their_places(masked, dynamical, kinetic, neurons, inputs):
    mask, moves = masks(neurons, inputs)
    net = Network(neurons, inputs, "tanh", mask if masked else None)
    h = NeuralHamiltonian(net, 1.0, 2.0, QuadraticCost(), dynamical=moves if dynamical else None)
    sign = 1 if kinetic == "plus" else -1
    assert_equal(indexed_rates(h, kinetic), written_rates(h, sign, [sp.tanh] * neurons))


def user_cost(net):
    y, w, x = net.y, net.W, net.x
    driven = gamma * (y[0] - sp.cos(net.t)) ** 2 + y[1] * x[0] * w[0, 1] ** 2
    return driven + sp.exp(-w[1, 0] * w[0, 2]) + logistic(y[0])


@pytest.mark.parametrize("neurons, inputs", SIZES)
@pytest.mark.parametrize("dynamical, kinetic", [(False, "plus"), (True, "minus")])
def test_a_users_cost_acts_on_the_entries_it_names(dynamical, kinetic, neurons, inputs):
    net = Network(neurons, inputs, mask=masks(neurons, inputs)[0] if dynamical else None)
    moves = masks(neurons, inputs)[1] if dynamical else None
    h = NeuralHamiltonian(net, 1.0, 2.0, user_cost(net), dynamical=moves)
    sign = 1 if kinetic == "plus" else -1
    assert_equal(indexed_rates(h, kinetic), written_rates(h, sign, [sp.tanh] * neurons))


# the spec's formulas ------------------------------------------------------------------------------------------------


def spec_rates(net, mask, moves, functions, lam, omega, sign, weight, target, mu, state, x):
    """Section 3 of the spec, canonical reading, as it stands there; f and f' as pairs of functions."""
    y, costate, w, m = state
    z = np.concatenate([x, [1.0], y])
    drive = (mask * w) @ z
    f = np.array([function(v) for (function, _), v in zip(functions, drive, strict=True)])
    slope = np.array([derivative(v) for (_, derivative), v in zip(functions, drive, strict=True)])
    recurrent = (mask * w)[:, len(x) + 1 :]
    return {
        "y": (-y + f) / lam,
        "costate": costate / lam - recurrent.T @ (costate * slope) / lam - weight * (y - target),
        "weights": sign * mask * moves * m / omega,
        "momenta": mask * moves * (-np.outer(costate * slope, z) / lam - mu * w),
    }


PAIRS = {
    "tanh": (np.tanh, lambda v: 1 - np.tanh(v) ** 2),
    "relu": (lambda v: max(v, 0.0), lambda v: float(v > 0)),
    "softplus": (lambda v: np.log1p(np.exp(v)), lambda v: 1 / (1 + np.exp(-v))),
}


@pytest.mark.parametrize("kinetic", ["plus", "minus"])
@pytest.mark.parametrize("inertia", [2.5, float("inf")])
def test_rates_are_those_of_the_spec(inertia, kinetic):
    neurons, inputs, names = 4, 2, ["tanh", "relu", "softplus", "tanh"]
    mask, moves = masks(neurons, inputs, 1)
    rng = np.random.default_rng(2)
    y, costate = rng.normal(size=(2, neurons))
    w = mask * rng.normal(size=mask.shape)
    m = mask * moves * rng.normal(size=mask.shape)
    target, weight, x = rng.normal(size=neurons), rng.uniform(1, 2, neurons), rng.normal(size=inputs)
    h = NeuralHamiltonian(
        Network(neurons, inputs, names, mask), 0.7, inertia, QuadraticCost(weight, target, 0.3), dynamical=moves
    )
    found = h.characteristic_equations(kinetic=kinetic).rhs(0.0, y, costate, w, m, inputs=x)
    expected = spec_rates(
        mask, mask, moves, [PAIRS[n] for n in names], 0.7, inertia, 1 if kinetic == "plus" else -1, weight, target, 0.3,
        (y, costate, w, m), x,
    )  # fmt: skip
    assert list(found) == ["y", "costate", "weights", "momenta"]
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-13, atol=1e-14)
    assert np.any(found["weights"]) == np.isfinite(inertia)


def test_a_network_without_inputs_has_the_bias_as_first_column():
    h = NeuralHamiltonian(Network(2), 1.0, 1.0)
    w = np.array([[0.3, 0.0, 0.0], [0.0, 0.0, 0.0]])
    found = h.characteristic_equations().rhs(0, [0.0, 0.5], [0.0, 0.0], w, np.zeros((2, 3)))
    np.testing.assert_allclose(found["y"], [np.tanh(0.3), -0.5])


# text --------------------------------------------------------------------------------------------------------------


def rendered(neurons, cost=True):
    net = Network(neurons, inputs=2, activation=["tanh", "relu"] * (neurons // 2) + ["tanh"] * (neurons % 2))
    energy = user_cost(net) if cost else QuadraticCost()
    ones = np.ones((neurons, net.columns))
    eqs = NeuralHamiltonian(net, 1.0, 2.0, energy, dynamical=ones).characteristic_equations()
    return render("network", "neural", {"rhs": eqs.equations, "rhs_jvp": eqs.tangent}, eqs.line).files["kernels.py"]


@pytest.mark.parametrize("cost", [False, True])
def test_text_of_a_kernel_does_not_depend_on_the_size(cost):
    assert rendered(5, cost) == rendered(50, cost)


def test_text_of_a_kernel_does_not_depend_on_the_hash_seed():
    here = rendered(4)
    program = "from tests.neural.test_characteristic import rendered; print(rendered(4), end='')"
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        assert run.stdout == here


# refused input -------------------------------------------------------------------------------------------------------

H = NeuralHamiltonian(Network(2, 1), 1.0, 1.0)


@pytest.mark.parametrize("reading", ["causal", "variational", "frozen"])
def test_readings_of_a_delay_are_refused_where_there_is_none(reading):
    with pytest.raises(InputError, match=f"The reading '{reading}' gives a meaning to delayed variables, .* no delay"):
        H.characteristic_equations(reading)


def test_unknown_readings_and_signs_are_refused():
    with pytest.raises(InputError, match="The reading 'hamiltonian' is not known; use one of canonical, causal"):
        H.characteristic_equations("hamiltonian")
    with pytest.raises(InputError, match="kinetic='-' is not a sign; use 'plus' or 'minus'"):
        H.characteristic_equations(kinetic="-")


def test_a_cost_on_too_many_single_entries_names_the_structured_form():
    net = Network(20)
    everything = sum(w**2 for w in net.W)
    with pytest.raises(InputError, match="acts on 420 single entries of y and W, more than the budget of 400; use a Q"):
        NeuralHamiltonian(net, 1.0, 1.0, everything).characteristic_equations()


ZERO = {"y": np.zeros(2), "costate": np.zeros(2), "weights": np.zeros((2, 4)), "momenta": np.zeros((2, 4))}


@pytest.mark.parametrize(
    "wrong, sentence",
    [
        ({"y": np.zeros(3)}, r"The array y has the shape \(3,\); it needs \(2,\)"),
        ({"costate": [0.0]}, r"The array costate has the shape \(1,\); it needs \(2,\)"),
        ({"weights": np.zeros((4, 2))}, r"The array weights has the shape \(4, 2\); it needs \(2, 4\)"),
        ({"momenta": np.zeros(8)}, r"The array momenta has the shape \(8,\); it needs \(2, 4\)"),
        ({"y": [0.0, np.nan]}, "The array y holds NaN or infinite entries; give finite numbers"),
        ({"y": "zero"}, "The array y is no array of numbers"),
        ({"inputs": None}, "The network has 1 inputs and none are given; give inputs=array or a function"),
        ({"inputs": [1.0, 2.0]}, r"The array inputs has the shape \(2,\); it needs \(1,\)"),
        ({"inputs": lambda t: [t, t]}, r"The function inputs at t = 0.5 has the shape \(2,\)"),
        ({"values": {"tau": 1}}, "tau is no parameter of this Hamiltonian; it has lambda, omega"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(wrong, sentence):
    with pytest.raises(InputError, match=sentence):
        H.characteristic_equations().rhs(0.5, **{**ZERO, "inputs": [0.0], **wrong})


def test_masks_that_disagree_with_the_arrays_are_refused():
    mask, moves = np.ones((2, 4)), np.ones((2, 4))
    mask[0, 1] = moves[1, 2] = 0
    h = NeuralHamiltonian(Network(2, 1, mask=mask), 1.0, 1.0, dynamical=moves)
    eqs = h.characteristic_equations()
    extra = np.zeros((2, 4))
    extra[0, 1] = 1
    with pytest.raises(InputError, match="A missing synapse has a weight; set weights to zero where the mask is zero"):
        eqs.rhs(0, **{**ZERO, "inputs": [0.0], "weights": extra})
    with pytest.raises(InputError, match="A static or missing weight has a momentum; set momenta to zero"):
        eqs.rhs(0, **{**ZERO, "inputs": [0.0], "momenta": extra})
    with pytest.raises(InputError, match="A static or missing weight has a momentum"):
        eqs.rhs(0, **{**ZERO, "inputs": [0.0], "momenta": (1 - moves)})


def test_sizes_and_dimension_are_those_of_the_network():
    eqs = H.characteristic_equations()
    assert eqs.sizes == (2, 1) and eqs.dimension == 2 * 2 + 2 * 8
    assert eqs.line.startswith("d_y[k] = ") and eqs.line.count("; ") == 3


@pytest.mark.parametrize("at", [(2, 0), (0, 4), 0, (0, 1, 2), (0, "a"), (-3, 0)])
def test_weights_out_of_range_are_a_sentence(at):
    with pytest.raises(InputError, match=r"is no weight; write W\[k, j\], k from 0 to 1, j from 0 to 3"):
        _ = Network(2, 1).W[at]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda e, a: e.rhs("a", **a), "The time is 'a'"),
        (lambda e, a: e.rhs(0.0, **a, past_momenta=3), "past_momenta is 3"),
        (lambda e, a: e.rhs(0.0, **{**a, "weights": lambda t: None}), "weights are a history"),
        (lambda e, a: e.solve((0, 1, 2), [0, 0], [0, 0], a["weights"], a["momenta"], rtoll=1), "Did you mean rtol"),
        (lambda e, a: e.solve((0, 1, 2), [0, 0], [0, 0], a["weights"], a["momenta"], rtol="a"), "rtol is 'a'"),
        (lambda e, a: e.integrate(np.zeros(16), (0, 1), maximum=1), "maximum= is not known to integrate"),
        (lambda e, a: e.solve_ensemble(np.zeros((1, 16)), (0, 1, 2), treads=1), "Did you mean threads"),
        (lambda e, a: train(Network(2), (None, None), epoch=1), "epoch= is not known to train"),
        (lambda e, a: lyapunov_exponents(Network(2), np.zeros((2, 3)), steps=1), "Did you mean step"),
    ],
)
def test_what_is_not_known_is_told_with_what_is(call, words):
    eqs = NeuralHamiltonian(Network(2), 1, 1).characteristic_equations()
    given = {"y": [0, 0], "costate": [0, 0], "weights": np.zeros((2, 3)), "momenta": np.zeros((2, 3))}
    assert eqs.rhs(0.0, **given, past_momenta=None)["y"].shape == (2,)
    with pytest.raises(InputError, match=words):
        call(eqs, given)


def test_momenta_of_static_weights_are_refused_by_the_driver_too():
    h = NeuralHamiltonian(Network(2), 1, 1, dynamical=np.zeros((2, 3)))
    with pytest.raises(InputError, match="static or missing weight has a momentum"):
        h.characteristic_equations().integrate(np.ones(16), (0, 1))


def test_integrate_by_both_methods_leaves_the_state_given_alone():
    eqs = NeuralHamiltonian(Network(3, 0), 0.8, 2.0).characteristic_equations()
    start = np.random.default_rng(4).normal(size=eqs.dimension) / 3
    given = start.copy()
    n = 3
    weights, momenta = (part.reshape(3, 4) for part in np.split(start[2 * n :], 2))
    expected = eqs.solve((0, 2, 2), start[:n], start[n : 2 * n], weights, momenta).states[-1]
    for _ in range(2):  # the second time from the same state
        np.testing.assert_allclose(eqs.integrate(given, (0, 2)), expected, rtol=1e-13)
        np.testing.assert_allclose(eqs.integrate(given, (0, 2), method="rk4", step=0.005), expected, rtol=1e-7)
        assert np.array_equal(given, start)
    with pytest.raises(InputError, match="fixed step"):
        eqs.integrate(given, (0, 2), method="rk4")


def test_integrate_takes_few_copies_of_the_state():
    import tracemalloc

    eqs = NeuralHamiltonian(Network(150, 0), 0.8, 2.0).characteristic_equations()
    start = np.random.default_rng(4).normal(size=eqs.dimension) / 12
    eqs.integrate(start, (0, 1e-3))  # loads what is loaded once
    for options, most in (({}, 17.5), ({"method": "rk4", "step": 1e-3}, 6.5)):
        tracemalloc.start()
        final = eqs.integrate(start, (0, 1e-3), **options)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert final.nbytes == start.nbytes and peak < most * start.nbytes
