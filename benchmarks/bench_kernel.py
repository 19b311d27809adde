"""The network's kernel against one streaming pass over the same bytes, and against NumPy in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, types
from scipy.linalg.blas import dger

from benchmarks.measure import Row, folder, interleaved
from benchmarks.networks import INPUTS, arguments, hamiltonian, network
from qnnsym.codegen.emit import SIGNATURE
from qnnsym.neural.characteristic import CharacteristicEquations
from qnnsym.neural.numerics import kernels_of
from qnnsym.solvers.stepping import KERNEL

TITLE = "The network's kernel, one thread"
# Neurons: calls of compiled functions and of NumPy in a turn. Handing a kernel to compiled code takes 40 us.
SIZES = {10: (100_000, 300), 100: (1000, 200), 1000: (5, 5)}
TURNS = 41
STREAM_BARS = {100: 1.7, 1000: 1.3}
NUMPY_BAR = 2.5


@njit(SIGNATURE, fastmath={"contract", "reassoc", "nsz"}, error_model="numpy")
def stream(t, state, ext, par, dims, work, rates):
    """Reads W and M once and writes their derivatives once: the traffic of the kernel and nothing else."""
    rows = dims[0]
    size = rows * (dims[1] + 1 + rows)
    weights, momenta = state[2 * rows : 2 * rows + size], state[2 * rows + size : 2 * (rows + size)]
    d_weights, d_momenta = rates[2 * rows : 2 * rows + size], rates[2 * rows + size : 2 * (rows + size)]
    for i in range(size):
        d_weights[i] = 0.5 * momenta[i]
        d_momenta[i] = 0.25 * weights[i]


@njit(types.void(KERNEL, types.int64, *KERNEL.signature.args))
def repeat(kernel, count, t, state, ext, par, dims, work, rates):
    """Call a kernel as the driver does: compiled, through a pointer."""
    for _ in range(count):
        kernel(t, state, ext, par, dims, work, rates)


class ByHand:
    """The right-hand side as a careful NumPy user writes it: BLAS, preallocated arrays, no temporary of size N^2."""

    def __init__(self, eqs: CharacteristicEquations, given: dict[str, Any]) -> None:
        n, inputs = eqs.sizes
        h, columns = eqs.hamiltonian, inputs + 1 + n
        numbers = dict(zip(h.scalars, given["par"], strict=False))
        self.rate, self.inverse_inertia = 1 / numbers[h.relaxation], 1 / numbers[h.inertia]
        self.decay = numbers[h.decay] if h.decay is not None else 0.0
        self.rates = np.full_like(given["state"], np.nan)
        cuts = np.cumsum([n, n, n * columns])
        self.y, self.costate, weights, momenta = np.split(given["state"], cuts)
        self.d_y, self.d_costate, d_weights, d_momenta = np.split(self.rates, cuts)
        shape = (n, columns)
        self.weights, self.momenta = weights.reshape(shape), momenta.reshape(shape)
        self.d_weights, self.d_momenta = d_weights.reshape(shape), d_momenta.reshape(shape)
        self.recurrent, self.neurons = self.weights[:, inputs + 1 :], slice(inputs + 1, None)
        self.z = np.concatenate([given["ext"][:inputs], [1.0], self.y])
        self.target = given["ext"][inputs:]
        self.c = given["par"][len(h.scalars) : len(h.scalars) + n]
        self.f, self.v, self.part = np.empty(n), np.empty(n), np.empty(n)

    def __call__(self) -> np.ndarray:
        """All rates, in place."""
        np.copyto(self.z[self.neurons], self.y)
        np.dot(self.weights, self.z, out=self.f)
        np.tanh(self.f, out=self.f)
        np.multiply(self.f, self.f, out=self.v)
        np.subtract(1.0, self.v, out=self.v)
        np.multiply(self.v, self.costate, out=self.v)
        np.multiply(self.v, self.rate, out=self.v)
        np.subtract(self.f, self.y, out=self.d_y)
        np.multiply(self.d_y, self.rate, out=self.d_y)
        np.dot(self.v, self.recurrent, out=self.part)
        np.multiply(self.costate, self.rate, out=self.d_costate)
        np.subtract(self.d_costate, self.part, out=self.d_costate)
        np.multiply(self.momenta, self.inverse_inertia, out=self.d_weights)
        if not self.decay:
            np.negative(self.v, out=self.v)
            np.multiply(self.v[:, None], self.z, out=self.d_momenta)
            return self.rates
        np.subtract(self.y, self.target, out=self.part)
        np.multiply(self.part, self.c, out=self.part)
        np.subtract(self.d_costate, self.part, out=self.d_costate)
        np.multiply(self.weights, -self.decay, out=self.d_momenta)
        dger(-1.0, self.z, self.v, a=self.d_momenta.T, overwrite_a=1)
        return self.rates


def reference(eqs: CharacteristicEquations, given: dict[str, Any]) -> np.ndarray:
    """The same rates in extended precision, from the formulas."""
    n, inputs = eqs.sizes
    h = eqs.hamiltonian
    numbers = {s: np.longdouble(v) for s, v in zip(h.scalars, given["par"], strict=False)}
    shape, ext = (n, inputs + 1 + n), given["ext"].astype(np.longdouble)
    cuts = np.cumsum([n, n, n * shape[1]])
    y, costate, weights, momenta = np.split(given["state"].astype(np.longdouble), cuts)
    weights, momenta = weights.reshape(shape), momenta.reshape(shape)
    z = np.concatenate([ext[:inputs], [1], y])
    f = np.tanh((weights * z).sum(axis=1))
    v = costate * (1 - f * f) / numbers[h.relaxation]
    d_costate = costate / numbers[h.relaxation] - (v[:, None] * weights[:, inputs + 1 :]).sum(axis=0)
    d_momenta = -v[:, None] * z
    if h.decay is not None:
        d_costate -= given["par"][len(h.scalars) : len(h.scalars) + n] * (y - ext[inputs:])
        d_momenta -= numbers[h.decay] * weights
    parts = [(f - y) / numbers[h.relaxation], d_costate, momenta.ravel() / numbers[h.inertia], d_momenta.ravel()]
    return np.concatenate(parts)


def gap(found: np.ndarray, expected: np.ndarray) -> str:
    """The largest error over the largest rate."""
    return f"{float(np.abs(found - expected).max() / np.abs(expected).max()):.1e}"


def measured(neurons: int, cost: bool) -> list[Row]:
    """Stream, kernel and NumPy in turn, at one size."""
    eqs = hamiltonian(network(neurons, INPUTS if cost else 0), cost).characteristic_equations()
    given, kernels = arguments(eqs), kernels_of(eqs)
    calls, numpy_calls = SIZES[neurons]
    call = tuple(given.values())
    by_hand = ByHand(eqs, given)

    def run(kernel: Any) -> Callable[[], None]:
        return lambda: repeat(kernel, calls, *call)

    def in_python() -> None:
        for _ in range(numpy_calls):
            by_hand()

    runs = {"stream": run(stream), "kernel": run(kernels["rhs"]), "NumPy": in_python}
    times = interleaved(runs, TURNS, {"stream": calls, "kernel": calls, "NumPy": numpy_calls})
    kernels["rhs"](*call)
    expected = reference(eqs, given)
    errors = f"{gap(given['rates'], expected)}, NumPy {gap(by_hand(), expected)} (max norm)"
    what = f"N = {neurons}, {'inputs, cost, decay' if cost else 'no cost'}"
    ours = times.median("kernel")
    over_stream, first = times.ratio("kernel", "stream")
    over_numpy, second = times.ratio("NumPy", "kernel")
    bar = ("<=", STREAM_BARS[neurons]) if neurons in STREAM_BARS else None
    numpy_bar = (">=", NUMPY_BAR) if bar else None
    streaming, blas = "one pass over the bytes", "NumPy, BLAS in place"
    return [
        Row(
            f"{what}: kernel over stream", over_stream, bar, "", ours, times.median("stream"), streaming, first, errors
        ),
        Row(f"{what}: NumPy over kernel", over_numpy, numpy_bar, "", ours, times.median("NumPy"), blas, second, errors),
    ]


def rows() -> list[Row]:
    """The bare equations, then those with inputs, cost and decay."""
    with folder():
        return [row for cost in (False, True) for neurons in SIZES for row in measured(neurons, cost)]
