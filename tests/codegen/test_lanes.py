"""Kernels of eight lanes: each lane is the kernel of one state."""

import math
import types

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings

from qnnsym.codegen import elementary
from qnnsym.codegen.emit import numpy_function
from qnnsym.codegen.lanes import LANES, emit_lanes
from qnnsym.codegen.lower import lower
from qnnsym.equations.calculus import tangent_set
from qnnsym.equations.functions import logistic, softplus
from qnnsym.neural import Network, NeuralHamiltonian, QuadraticCost
from qnnsym.neural.numerics import Data, lanes_of
from tests.codegen.random_sets import equation_sets
from tests.codegen.test_agreement import DIMS, SIZES, buffers
from tests.networks import characteristic_equations

EIGHT = 8


def exact(name):
    """A function of lanes by NumPy."""
    own = {
        "logistic": lambda u: 1 / (1 + np.exp(-u)), "softplus": lambda u: np.logaddexp(0, u),
        "relu": lambda u: np.maximum(u, 0), "step": lambda u: (u > 0) * 1.0,
    }  # fmt: skip
    names = {"asinh": "arcsinh", "acos": "arccos", "asin": "arcsin", "atan": "arctan"}
    return own.get(name) or getattr(np, names.get(name, name.removeprefix("near_")))


def interpreted(function):
    """The text run by Python itself, with rows of eight numbers in place of registers."""
    vectors = types.SimpleNamespace(
        wide=lambda a: a.reshape(-1, EIGHT), held=lambda u: u, packed=lambda f: exact(f.__name__),
        lane_by_lane=lambda f: exact(f.__name__), guarded=lambda near, far, limit: exact(far.__name__),
    )  # fmt: skip
    text = emit_lanes([function], "")
    for module in ("from numba import", "from numba.core", "from qnnsym.solvers import"):
        text = text.replace(module, f"# {module}")
    text = text.replace("class Disjoint(Compiler)", "class Disjoint").replace("math.sqrt(", "np.sqrt(")
    namespace = {"math": math, "np": np, "vectors": vectors, "njit": lambda *a, **k: lambda f: f}
    exec(compile(text, "<lanes>", "exec"), namespace)
    return namespace[function.name]


def check(equations, seed):
    function = lower(equations)
    lanes = [buffers(equations, seed + q)[1:] for q in range(EIGHT)]
    par = lanes[0][2]
    expected = np.array([numpy_function(function)(0.0, state, ext, par, DIMS) for state, ext, _ in lanes])
    state, ext = (np.array([lane[n] for lane in lanes]).T for n in range(2))
    ext = np.vstack([ext, np.zeros(EIGHT)])  # the last row is time
    found, work = np.full(expected.size, np.nan), np.full(EIGHT * int(function.work.subs(SIZES)), np.nan)
    interpreted(function)(0.0, state.ravel(), ext.ravel(), par, DIMS, work, found)
    scale = max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(found.reshape(-1, EIGHT).T, expected, rtol=0, atol=1e-12 * scale)


@settings(max_examples=12)
@given(equation_sets())
def test_each_lane_is_the_kernel_of_its_state(equations):
    check(equations, 1)


@settings(max_examples=3)
@given(equation_sets())
def test_each_lane_is_the_tangent_kernel_of_its_state(equations):
    check(tangent_set(equations), 2)


def compared(eqs, inputs, seed=0):
    """The compiled kernel of eight lanes against NumPy's of one, at random states, times and signals."""
    draw, data = np.random.default_rng(seed), Data(eqs, None, inputs)
    n, channels = eqs.dimension, data.signals(0.0).size
    states, signals, times = draw.normal(size=(n, EIGHT)), draw.normal(size=(channels, EIGHT)), draw.normal(size=EIGHT)
    found = np.full((n, EIGHT), np.nan)
    ext = np.concatenate([signals, times[None]]).ravel()
    work = np.full(EIGHT * data.work_size, np.nan)
    lanes_of(eqs)(np.nan, states.ravel(), ext, data.par, data.dims, work, found.ravel())
    one = numpy_function(lower(eqs.equations))
    for q in range(EIGHT):
        expected = one(times[q], states[:, q], signals[:, q], data.par, tuple(data.dims))
        np.testing.assert_allclose(found[:, q], expected, rtol=0, atol=1e-13 * np.abs(expected).max())


def test_masks_static_weights_activations_and_a_quadratic_cost():
    u = sp.Symbol("u")
    chosen = ["tanh", "relu", sp.sin(u) + softplus(u) / 3]
    draw = np.random.default_rng(1)

    def equations(size):
        mask, moves = (draw.random((2, size, size + 3)) < 0.8) * 1.0
        net = Network(size, 2, [chosen[k % 3] for k in range(size)], mask)
        cost = QuadraticCost(0.8, target=0.2, decay=0.1)
        return NeuralHamiltonian(net, 1.3, 0.7, cost, dynamical=moves).characteristic_equations()

    text = emit_lanes([lower(equations(3).equations)], "")
    for size in (3, 4, 9, 20):
        assert emit_lanes([lower(equations(size).equations)], "") == text
        compared(equations(size), np.zeros(2), size)


def test_a_cost_of_the_users_own_with_time_and_roots():
    net = Network(2, 1)
    cost = net.y[0] ** 3 * sp.cos(net.t) + sp.sqrt(1 + net.y[1] ** 2) + logistic(net.W[0, 1]) * net.x[0] ** 2
    compared(NeuralHamiltonian(net, 1.0, 2.0, cost).characteristic_equations(), np.zeros(1))


def test_functions_that_no_kernel_calls_are_not_in_its_text():
    text = emit_lanes([lower(characteristic_equations())], "")
    assert text.count("@vectors.packed") == 1 and "def tanh(u):" in text and "guarded" not in text
    text = emit_lanes([lower(characteristic_equations(sp.sin))], "")
    assert text.count("@vectors.packed") == 2
    assert f"sin = vectors.guarded(near_sin, math.sin, {elementary.FAR!r})" in text
    assert "lane_by_lane" not in text
    text = emit_lanes([lower(characteristic_equations(sp.atan))], "")
    assert "atan = vectors.lane_by_lane(math.atan)" in text and "packed" not in text


def test_every_function_of_kernels_has_lanes():
    from qnnsym.codegen.printing import NUMBA

    assert set(LANES) == set(NUMBA)


@pytest.mark.parametrize("function", (sp.tanh, sp.sin))
def test_the_text_does_not_depend_on_what_was_emitted_before(function):
    first = emit_lanes([lower(characteristic_equations(function))], "")
    emit_lanes([lower(characteristic_equations(sp.exp))], "")
    assert emit_lanes([lower(characteristic_equations(function))], "") == first
