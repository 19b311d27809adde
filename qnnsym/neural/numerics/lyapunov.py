"""Numbers for Lyapunov exponents: the generated tangent equations over all directions at once."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from qnnsym.codegen.batched import batched_function
from qnnsym.errors import InputError
from qnnsym.neural.chaos import activity_set
from qnnsym.neural.hamiltonian import NeuralHamiltonian
from qnnsym.neural.network import Network
from qnnsym.neural.numerics import Data
from qnnsym.neural.numerics.lessons import integer, positive
from qnnsym.solvers.lyapunov import Exponents, Rates, lyapunov_spectrum
from qnnsym.solvers.solution import finite_array


@lru_cache(maxsize=8)
def _function(equations: Any) -> Any:
    return batched_function(equations, {"y_v"})


def activity_rates(net: Any, weights: Any, inputs: Any = None, relaxation: float = 1.0, values: Any = None) -> Rates:
    """(t, y, V) -> (F(y), F'(y) along every row of V), from the derived equations."""
    if isinstance(net, NeuralHamiltonian):
        h = net.changed()
        for key, value in dict(values or {}).items():
            h.set_value(str(key), value)
        relaxation = h.values.get(h.relaxation, relaxation)
        net, given = h.network, {s.name: v for s, v in ((h._symbols.get(k), v) for k, v in h.values.items()) if s}
        given = {k: v for k, v in given.items() if k in {p.name for p in net.parameters}}
    elif isinstance(net, Network):
        given = {str(k): v for k, v in dict(values or {}).items()}
    else:
        raise InputError(f"The network is {net!r}; give a Network, or a NeuralHamiltonian.")
    hamiltonian = NeuralHamiltonian(net, relaxation, float("inf"), values=given)
    eqs = hamiltonian.characteristic_equations()
    data = Data(eqs, None, inputs)
    if callable(inputs):
        raise InputError("Inputs that depend on time drive the network; exponents are found for constant inputs.")
    w = np.ascontiguousarray(finite_array(weights, data.shape, "The array weights"))
    equations, par = activity_set(eqs), data.par
    count, n, columns = len(equations.scalars), net.neurons, net.columns
    arrays, at = [], count
    for array in equations.arrays:
        if array.role == "external":
            arrays.append(data.signals(0.0)[: net.inputs])
        elif array.name == "W":
            arrays.append(w)
        elif array.role == "parameter":
            shape = (n, columns)[: len(array.axes)]
            arrays.append(par[at : at + int(np.prod(shape))].reshape(shape))
            at += int(np.prod(shape))
    function, scalars, sizes = _function(equations), tuple(par[:count]), eqs.sizes

    def rates(t: float, y: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return function(t, sizes, scalars, (y, directions, *arrays))

    return rates


OPTIONS = (
    "inputs", "relaxation", "duration", "transient", "step", "every", "y0", "seed", "values", "progress",
)  # fmt: skip


def exponents(
    net: Any, weights: Any, number: int = 10, *, inputs: Any = None, relaxation: float | None = None,
    duration: float = 200.0, transient: float = 100.0, step: float = 0.05, every: int = 4, y0: Any = None,
    seed: int = 0, values: Any = None, progress: bool | None = None,
) -> Exponents:  # fmt: skip
    """See `qnnsym.neural.lyapunov_exponents`."""
    if relaxation is not None and isinstance(net, NeuralHamiltonian):
        raise InputError("A NeuralHamiltonian brings its own relaxation; leave it out, or give the Network.")
    lam = 1.0 if relaxation is None else positive(relaxation, "relaxation", "a relaxation time")
    if isinstance(net, NeuralHamiltonian):
        numeric = net.changed()
        for key, value in dict(values or {}).items():
            numeric.set_value(str(key), value)
        lam = float(numeric.values.get(numeric.relaxation, 1.0))
    rates = activity_rates(net, weights, inputs, lam, values)
    n = (net.network if isinstance(net, NeuralHamiltonian) else net).neurons
    integer(number, "number", 1)
    for name, value in (("duration", duration), ("step", step)):
        positive(value, name, "a time")
    start = np.random.default_rng(seed).normal(size=n) if y0 is None else finite_array(y0, (n,), "The array y0")
    return lyapunov_spectrum(
        rates, start, min(number, n), duration=duration * lam, step=step * lam, transient=transient * lam, every=every,
        seed=seed, progress=progress,
    )  # fmt: skip
