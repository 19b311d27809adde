"""Random equation sets: every emitter gives the values of the equations evaluated entry by entry."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings

from qnnsym.codegen.emit import emit_numba, mpmath_function, numpy_function
from qnnsym.codegen.lower import lower
from qnnsym.equations.calculus import tangent_set
from tests.codegen.random_sets import equation_set, equation_sets
from tests.equations.direct import rates_of, values_of
from tests.networks import LAM, MU, L, N

SIZES = {N: 3, L: 2}
NUMBERS = {**SIZES, LAM: 0.7, MU: 0.2}
DIMS = (3, 2)


def interpreted(function):
    """The kernel's numba text, run by Python itself: the same statements without the compiler."""
    text = emit_numba([function], "").replace("from numba import", "# ")
    namespace = {"math": math, "njit": lambda *a, **k: lambda f: f, "float64": lambda _: None}
    exec(compile(text, "<kernel>", "exec"), namespace)
    return namespace[function.name]


def buffers(equations, seed):
    """Random arrays by name, and the same in the kernel's flat buffers."""
    arrays = values_of(equations.arrays, equations.stacks, SIZES, np.random.default_rng(seed))
    parts = {"state": [], "external": [], "parameter": [[NUMBERS[s] for s in equations.scalars]]}
    for array in equations.arrays:
        parts[array.role].append(arrays[array.name].ravel())
    return arrays, *(np.concatenate(parts[role]) for role in ("state", "external", "parameter"))


def check(equations, seed):
    arrays, state, ext, par = buffers(equations, seed)
    expected = rates_of(equations, arrays, NUMBERS)
    function = lower(equations)
    scale = max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(
        numpy_function(function)(0.0, state, ext, par, DIMS), expected, rtol=0, atol=1e-12 * scale
    )
    found, work = np.full(expected.size, np.nan), np.full(int(function.work.subs(SIZES)), np.nan)
    interpreted(function)(0.0, state, ext, par, DIMS, work, found)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * scale)
    with mpmath.workdps(30):
        exact = np.array(mpmath_function(function)(0.0, state, ext, par, DIMS), float)
    np.testing.assert_allclose(exact, expected, rtol=0, atol=1e-12 * scale)


@settings(max_examples=25)
@given(equation_sets())
def test_emitters_give_the_values_of_the_equations(equations):
    check(equations, 1)


@settings(max_examples=6)
@given(equation_sets())
def test_emitters_give_the_values_of_the_tangent_equations(equations):
    check(tangent_set(equations), 2)


@pytest.mark.parametrize("seed", [3, 4])
def test_buffers_of_the_declared_sizes_are_enough(seed):
    """NumPy checks no bounds of slices; a kernel that asked for too little would read its neighbour."""
    function = lower(equation_set(seed))
    _, state, ext, par = buffers(equation_set(seed), seed)
    for declared, buffer in (("state_size", state), ("external_size", ext), ("parameter_size", par)):
        assert int(getattr(function, declared).subs(SIZES)) == buffer.size
    views = [v for v in function.views if v.buffer == "work"]
    ends = [int((v.offset + np.prod(v.extents)).subs(SIZES)) for v in views]
    assert max(ends) == int(function.work.subs(SIZES))
