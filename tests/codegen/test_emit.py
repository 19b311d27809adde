"""One loop form, three emitters: they agree with each other and with the written-out equations."""

import mpmath
import numpy as np
import pytest
import sympy as sp

from qnnsym.codegen.emit import emit_numba, mpmath_function, numpy_function
from qnnsym.codegen.lower import lower
from qnnsym.equations.calculus import tangent_set
from qnnsym.equations.functions import logistic, softplus
from qnnsym.equations.unroll import array_entries, unrolled_rates
from tests.networks import LAM, MU, OMEGA, L, N, characteristic_equations

SIZES = {N: 3, L: 2}


def data(equations, seed=3):
    rng = np.random.default_rng(seed)
    parts = {"state": [], "external": [], "parameter": []}
    for array in equations.arrays:
        parts[array.role].append(rng.normal(size=int(array.size.subs(SIZES))))
    par = np.concatenate([[0.7, 1.3, 0.2], *parts["parameter"]])
    return np.concatenate(parts["state"]), np.concatenate(parts["external"]), par


def compiled(functions, folder):
    path = folder / "kernel.py"
    path.write_text(emit_numba(functions, '"""Test kernel."""'))
    namespace = {"__file__": str(path), "__name__": "kernel"}
    exec(compile(path.read_text().replace("cache=True, ", ""), str(path), "exec"), namespace)
    return namespace


@pytest.mark.parametrize("activation", [sp.tanh, logistic, softplus])
def test_numpy_and_mpmath_kernels_equal_the_unrolled_equations(activation):
    equations = characteristic_equations(activation)
    y, ext, par = data(equations)
    values = {LAM: 0.7, OMEGA: 1.3, MU: 0.2}
    for role, flat in (("state", y), ("external", ext), ("parameter", par[3:])):
        entries = [s for a in equations.arrays if a.role == role for _, s in array_entries(a, SIZES)]
        values.update(zip(entries, flat, strict=True))
    rates = [e.rewrite(sp.exp) if not e.has(sp.tanh) else e for e in unrolled_rates(equations, SIZES)]
    symbols = list(values)
    expected = np.array(sp.lambdify(symbols, rates, "numpy")(*(float(values[s]) for s in symbols)), float)
    function = lower(equations)
    np.testing.assert_allclose(numpy_function(function)(0.0, y, ext, par, (3, 2)), expected, rtol=0, atol=1e-13)
    with mpmath.workdps(30):
        exact = mpmath_function(function)(0.0, y, ext, par, (3, 2))
    np.testing.assert_allclose(np.array(exact, float), expected, rtol=0, atol=1e-13)


def test_compiled_kernel_equals_numpy_and_its_jvp_equals_the_complex_step(tmp_path):
    equations = characteristic_equations()
    pair = lower(equations), lower(tangent_set(equations))
    kernels = compiled(pair, tmp_path)
    y, ext, par = data(equations)
    v = np.random.default_rng(5).normal(size=y.size)
    dims, out = np.array([3, 2]), np.empty_like(y)
    kernels["rhs"](0.0, y, ext, par, dims, np.empty(64), out)
    plain = numpy_function(pair[0])
    np.testing.assert_allclose(out, plain(0.0, y, ext, par, (3, 2)), rtol=0, atol=1e-13)
    both = np.empty(2 * y.size)
    kernels["rhs_jvp"](0.0, np.concatenate([y, v]), ext, par, dims, np.empty(64), both)
    step = plain(0.0, y + 1e-30j * v, ext, par, (3, 2)).imag / 1e-30
    np.testing.assert_allclose(both, np.concatenate([out, step]), rtol=0, atol=1e-12)


def test_kernel_text_does_not_mention_a_size():
    text = emit_numba([lower(characteristic_equations())], '"""Kernel."""')
    assert "N = dims[0]" in text and "l = dims[1]" in text
