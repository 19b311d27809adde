"""Readings of shifted variables: derived rates against the spec's formulas in NumPy, and their derivatives."""

import numpy as np
import pytest
import sympy as sp

from qnnsym.codegen.build import render
from qnnsym.codegen.emit import numpy_function
from qnnsym.codegen.lower import lower
from qnnsym.derivation.obligations import SymbolicZero
from qnnsym.errors import InputError
from qnnsym.neural import Network, NeuralHamiltonian, QuadraticCost
from qnnsym.neural.shifts import EPOCH, LAGS, SHIFTED_M, _advanced, _at_one_time, shifted_equations, shifted_form

N, L = 3, 2
RNG = np.random.default_rng(8)
MASK = np.ones((N, L + 1 + N))
MASK[0, 4] = MASK[2, 0] = 0
MOVES = np.ones(MASK.shape)
MOVES[1, 3] = 0
LAM, OMEGA, MU = 0.7, 2.5, 0.3
C, TARGET, X, NEXT_X = RNG.uniform(1, 2, N), *RNG.normal(size=(1, N)), *RNG.normal(size=(2, L))
Y, COSTATE, NEXT_Y, NEXT_COSTATE = RNG.normal(size=(4, N))
W, DELAYED = MASK * RNG.normal(size=(2, *MASK.shape))
M, *PAST = MASK * MOVES * RNG.normal(size=(4, *MASK.shape))


def hamiltonian(**changes):
    net = Network(N, L, "tanh", MASK)
    given = {"cost": QuadraticCost(C, TARGET, MU), "delay": 0.5, "dynamical": MOVES}
    return NeuralHamiltonian(net, LAM, OMEGA, **{**given, **changes})


def force(weights, y, costate, x):
    """(1/lambda) Delta_k f'_k z_j and F_y^T Delta, as the spec writes them."""
    z = np.concatenate([x, [1.0], y])
    u = (MASK * weights) @ z
    local = costate * (1 - np.tanh(u) ** 2) / LAM
    back = -costate / LAM + (MASK * weights)[:, L + 1 :].T @ local
    return MASK * np.outer(local, z), back, (np.tanh(u) - y) / LAM


def spec(reading, sign, remaining):
    """Section 2 and 3 of the spec."""
    own, back, motion = force(DELAYED, Y, COSTATE, X)
    decay = MU * MASK * W
    rates = {"y": motion, "costate": -back - C * (Y - TARGET)}
    if reading == "causal":
        rates |= {"weights": sum(PAST, M) / OMEGA, "momenta": -own - decay}
    elif reading == "frozen":
        rates |= {"weights": M / OMEGA, "momenta": -decay}
    else:
        # chi(t + T < KT) times the force at t + T, whose drives see W(t)
        later = force(W, NEXT_Y, NEXT_COSTATE, NEXT_X)[0] if remaining > 1 else 0.0
        rates |= {"weights": remaining * M / OMEGA, "momenta": -decay - later}
    rates["weights"] = sign * MASK * MOVES * rates["weights"]
    rates["momenta"] = MOVES * rates["momenta"]
    return rates


CASES = [("causal", None), ("frozen", None), ("variational", 1), ("variational", 3)]


def others(reading, remaining):
    given = {"delayed_weights": DELAYED}
    if reading == "causal":
        given["past_momenta"] = PAST
    if reading == "variational":
        given["remaining"] = remaining
        given["advanced"] = {"y": NEXT_Y, "costate": NEXT_COSTATE, "inputs": NEXT_X} if remaining > 1 else None
    return given


@pytest.mark.parametrize("kinetic", ["plus", "minus"])
@pytest.mark.parametrize("reading, remaining", CASES)
def test_rates_are_those_of_the_spec(reading, remaining, kinetic):
    eqs = hamiltonian().characteristic_equations(reading=reading, kinetic=kinetic)
    found = eqs.rhs(0.3, Y, COSTATE, W, M, inputs=X, **others(reading, remaining))
    expected = spec(reading, 1 if kinetic == "plus" else -1, remaining)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-13, atol=1e-14)


def test_the_canonical_reading_leaves_shifts_out():
    with_delay, without = hamiltonian(), hamiltonian(delay=None)
    found, expected = (h.characteristic_equations().rhs(0, Y, COSTATE, W, M, inputs=X) for h in (with_delay, without))
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])


def test_telescoping_of_the_causal_rates():
    eqs = hamiltonian().characteristic_equations("causal")
    now = eqs.rhs(0, Y, COSTATE, W, M, inputs=X, **others("causal", None))["weights"]
    past = {"delayed_weights": DELAYED, "past_momenta": PAST[1:]}
    before = eqs.rhs(0, Y, COSTATE, W, PAST[0], inputs=X, **past)["weights"]
    np.testing.assert_allclose(now - before, MASK * MOVES * M / OMEGA, atol=1e-15)


@pytest.mark.parametrize("reading", ["causal", "variational", "frozen"])
def test_tangents_reach_values_of_other_times(reading):
    eqs = hamiltonian().characteristic_equations(reading)
    function, tangent = lower(eqs.neighbours), lower(eqs.tangent)
    sizes = dict(zip(function.sizes, (N, L), strict=True))
    width, outside, number = (
        int(s.subs(sizes)) for s in (function.state_size, function.external_size, function.parameter_size)
    )
    rng = np.random.default_rng(1)
    state, v, ext = (rng.normal(size=n) for n in (width, width, outside))
    par = rng.uniform(1, 2, number)
    step = numpy_function(function)(0.1, state + 1e-30j * v, ext, par, (N, L)).imag / 1e-30
    found = numpy_function(tangent)(0.1, np.concatenate([state, v]), ext, par, (N, L))
    np.testing.assert_allclose(found[len(step) :], step, rtol=1e-12, atol=1e-13)
    assert width > eqs.dimension


def test_a_users_cost_acts_alike_in_every_reading():
    net = Network(2)
    cost = net.y[0] ** 2 * net.W[0, 1] + net.W[1, 2] ** 2
    h = NeuralHamiltonian(net, 1.0, 1.0, cost, delay=1.0)
    y, w, zero = np.array([0.5, -1.0]), np.arange(6.0).reshape(2, 3), np.zeros((2, 3))
    for reading, more in (("causal", {}), ("frozen", {}), ("variational", {"remaining": 1})):
        found = h.characteristic_equations(reading).rhs(0, y, [0, 0], w, zero, delayed_weights=zero, **more)
        np.testing.assert_allclose(found["costate"], [-2 * 0.5 * w[0, 1], 0])
        np.testing.assert_allclose(found["momenta"], [[0, -0.25, 0], [0, 0, -2 * w[1, 2]]])


@pytest.mark.parametrize("reading", ["causal", "variational", "frozen"])
def test_text_of_a_kernel_does_not_depend_on_the_size(reading):
    def text(neurons):
        h = NeuralHamiltonian(Network(neurons, 2), 1.0, 2.0, QuadraticCost(), delay=1.0)
        eqs = h.characteristic_equations(reading)
        return render("network", "neural", {"rhs": eqs.equations, "rhs_jvp": eqs.tangent}, eqs.line).files["kernels.py"]

    assert text(3) == text(30)


def test_rules_refuse_what_they_cannot_contract():
    v = LAGS.index()
    k, j = sp.symbols("k j", integer=True)
    with pytest.raises(InputError, match="is no sum of momenta"):
        _at_one_time(LAGS.sum(SHIFTED_M[v, k, j] ** 2, v))
    with pytest.raises(InputError, match="is no value that these equations receive"):
        _at_one_time(SHIFTED_M[3, k, j])
    with pytest.raises(InputError, match="only neighbouring epochs are coupled"):
        _advanced(sp.IndexedBase(sp.Symbol("y", real=True))[k], 2)


def test_without_lags_the_shifted_form_is_the_hamiltonian():
    h = hamiltonian()
    at_once = _flattened(shifted_form(h).subs(EPOCH, -1).doit(deep=False))
    assert SymbolicZero([at_once - h.index_form()]).discharge().holds


def _flattened(expression):
    if isinstance(expression, sp.Indexed) and len(expression.indices) == 3:
        return expression.base[expression.indices[1:]]
    if isinstance(expression, sp.Sum) and expression.limits[-1][0] == LAGS.index():
        *inner, _ = expression.limits
        return _flattened(sp.Sum(expression.function.subs(LAGS.index(), 0), *inner))
    return expression.func(*(_flattened(a) for a in expression.args)) if expression.args else expression


# refusals ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delay", [0, -1.0, np.inf, np.nan, "long", True, 1j])
def test_delays_that_are_not_positive_are_refused(delay):
    with pytest.raises(InputError, match=r"The delay is .*; give a positive number or a Symbol"):
        hamiltonian(delay=delay)


def test_state_dependent_delays_are_refused():
    net = Network(N, L, "tanh", MASK)
    for delay in (net.y[0], 1 + net.y[0] ** 2, net.t, sp.Symbol("T") + 1, lambda t: 1.0):
        with pytest.raises(InputError, match="depends on time, state or other symbols; delays are constant here"):
            hamiltonian(delay=delay)


def test_a_symbolic_delay_takes_its_number_later():
    h = hamiltonian(delay=sp.Symbol("tau", positive=True))
    assert "tau" in h.parameter_names
    h.set_value("tau", 2.0)
    assert h.changed().values[h.changed().delay] == 2.0
    with pytest.raises(InputError, match="The parameter tau is -1; give a positive number"):
        h.set_value("tau", -1)


@pytest.mark.parametrize(
    "reading, given, sentence",
    [
        ("causal", {}, "The reading 'causal' needs delayed_weights"),
        ("causal", {"delayed_weights": W[:2]}, r"The array delayed_weights has the shape \(2, 6\); it needs \(3, 6\)"),
        ("causal", {"delayed_weights": W, "past_momenta": [M[:1]]}, r"past_momenta has the shape \(1, 6\)"),
        ("causal", {"delayed_weights": W, "remaining": 2}, "remaining was given, and the reading 'causal' has only"),
        ("frozen", {"delayed_weights": W, "past_momenta": [M]}, "past_momenta was given, and the reading 'frozen'"),
        ("canonical", {"delayed_weights": W}, "delayed_weights was given, and the reading 'canonical' has no values"),
        ("variational", {"delayed_weights": W}, "remaining=None is no number of epochs"),
        ("variational", {"delayed_weights": W, "remaining": 0}, "remaining=0 is no number of epochs"),
        ("variational", {"delayed_weights": W, "remaining": 2}, "every epoch but the last"),
        (
            "variational",
            {"delayed_weights": W, "remaining": 2, "advanced": {"y": NEXT_Y, "costate": NEXT_COSTATE}},
            "has to be a dictionary of y, costate, inputs one epoch later",
        ),
        (
            "variational",
            {"delayed_weights": W, "remaining": 2, "advanced": {"y": [0], "costate": NEXT_COSTATE, "inputs": X}},
            r"advanced\['y'\] has the shape \(1,\); it needs \(3,\)",
        ),
    ],
)
def test_values_of_other_times_are_checked(reading, given, sentence):
    with pytest.raises(InputError, match=sentence):
        hamiltonian().characteristic_equations(reading).rhs(0, Y, COSTATE, W, M, inputs=X, **given)


def test_equations_are_made_for_each_reading():
    readings = ("causal", "variational", "frozen")
    names = {r: {a.name for a in shifted_equations(hamiltonian(), r).arrays} for r in readings}
    assert "Mp" in names["causal"] and "Da" in names["variational"] and not names["frozen"] & {"Mp", "Da"}
