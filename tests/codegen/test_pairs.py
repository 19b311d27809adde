"""Two rows at a time: the same sums, whatever the number of rows, and no name of one row in the other."""

import numpy as np
import pytest
import sympy as sp

from qnnsym.codegen.emit import emit_numba
from qnnsym.codegen.loops import Accumulate, Assign, Let, Loop, Row, View
from qnnsym.codegen.lower import lower
from qnnsym.codegen.pairs import paired
from tests.networks import characteristic_equations

N = sp.Symbol("N", integer=True, positive=True)
k, j = sp.symbols("k j", integer=True)
u, v = sp.symbols("u v", real=True)
ROW = Row("W_row", View("W", "state", sp.S.Zero, (N, N)), k, sp.S.Zero)


def entry(name, at):
    return sp.IndexedBase(sp.Symbol(name, real=True))[at]


def test_reductions_share_a_loop_and_keep_their_scalars_apart():
    body = (ROW, Let("u", sp.S.Zero), Loop(j, N, (Accumulate(u, entry("W_row", j) * entry("z", j)),)),
            Assign(entry("d", k), u))  # fmt: skip
    row, row_next, first, second, loop, one, two = paired(body, k)
    assert (row.name, row_next.name, row_next.index) == ("W_row", "W_row_next", k + 1)
    assert (first.name, second.name) == ("u", "u_next")
    assert [str(n.target) for n in loop.body] == ["u", "u_next"]
    assert loop.body[1].value == entry("W_row_next", j) * entry("z", j)
    assert (one.target, two.target) == (entry("d", k), entry("d", k + 1))


def test_accumulations_into_one_vector_become_one():
    body = (ROW, Let("v", entry("D", k)), Loop(j, N, (Accumulate(entry("d", j), v * entry("W_row", j)),)))
    loop = paired(body, k)[-1]
    (node,) = loop.body
    after = sp.Symbol("v_next", real=True)
    assert node.value == v * entry("W_row", j) + after * entry("W_row_next", j)


def test_loops_that_write_into_their_row_stay_apart():
    body = (ROW, Loop(j, N, (Assign(entry("W_row", j), entry("z", j)),)))
    assert [type(n) for n in paired(body, k)] == [Row, Row, Loop, Loop]


@pytest.mark.parametrize("neurons", (1, 2, 3, 15, 16, 17, 31, 32, 33, 50))
def test_every_number_of_rows_gives_what_numpy_gives(neurons):
    from qnnsym.codegen.emit import numpy_function

    function = lower(characteristic_equations().changed(name="rhs"))
    namespace: dict = {}
    # A module is written for caching; here it only has to run.
    exec(compile(emit_numba([function], "").replace("cache=True, ", ""), "<kernel>", "exec"), namespace)
    rng = np.random.default_rng(neurons)
    sizes = dict(zip(function.sizes, (neurons, 2), strict=True))

    def length(expression):
        return int(sp.sympify(expression).subs(sizes))

    state, ext = rng.normal(size=length(function.state_size)), rng.normal(size=length(function.external_size))
    par = rng.uniform(0.5, 1.5, length(function.parameter_size))
    rates, work = np.empty(length(function.output_size)), np.zeros(length(function.work))
    namespace["rhs"](0.0, state, ext, par, np.array([neurons, 2]), work, rates)
    expected = numpy_function(function)(0.0, state, ext, par, (neurons, 2))
    assert np.abs(rates - expected).max() < 1e-13 * max(1.0, np.abs(expected).max())
