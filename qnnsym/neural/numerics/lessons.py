"""What a training is given: patterns, targets, signals and numbers, checked before anything is compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp

from qnnsym.errors import InputError
from qnnsym.neural.hamiltonian import NeuralHamiltonian, QuadraticCost
from qnnsym.neural.network import Network, numbers
from qnnsym.solvers.solution import finite_array

if TYPE_CHECKING:
    from qnnsym.neural.numerics.learner import Learner


def setting(net, data, relaxation, inertia, cost, dynamical, values) -> tuple[NeuralHamiltonian, Any, Any]:
    """The Hamiltonian with all its numbers, inputs and targets."""
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise InputError("The data are no pair; give (inputs, targets), None for what is not needed.")
    inputs, targets = data
    if isinstance(net, NeuralHamiltonian):
        doubled = [n for n, v in (("relaxation", relaxation), ("inertia", inertia), ("cost", cost)) if v is not None]
        if doubled or dynamical is not None:
            raise InputError(
                f"A NeuralHamiltonian brings its own {', '.join(doubled) or 'dynamical'}; leave it out, or give the "
                "Network."
            )
        hamiltonian = net.changed()
        for key, value in dict(values or {}).items():
            hamiltonian.set_value(str(key), value)
    else:
        if not isinstance(net, Network):
            raise InputError(f"The network is {net!r}; give a Network, or a NeuralHamiltonian.")
        positive(relaxation, "relaxation", "the relaxation time lambda")
        if inertia is None:
            raise InputError("inertia=None; give the inertia omega of the weights, a positive number.")
        cost = QuadraticCost() if cost is None else cost
        hamiltonian = NeuralHamiltonian(net, relaxation, inertia, cost, dynamical=dynamical, values=values)
    missing = [
        n for s, n in zip(hamiltonian.scalars, hamiltonian.parameter_names, strict=True) if s not in hamiltonian.values
    ]
    if missing:
        raise InputError(
            f"No number is known for {', '.join(missing)} in the cost, the activation or the Hamiltonian; use the "
            f"Symbols of the network (net.t, .x, .y, .W), or give values={{{missing[0]!r}: ...}}."
        )
    if hamiltonian.values[hamiltonian.relaxation] == float("inf"):
        raise InputError("The relaxation time is infinite; give a positive number.")
    if isinstance(hamiltonian.cost, QuadraticCost):
        own = hamiltonian.cost.target
        if own is not None and targets is not None:
            raise InputError(
                "The targets are given twice, in (inputs, targets) and in the cost; leave target= out of the cost, or "
                "give (inputs, None)."
            )
        targets = hamiltonian.target if own is not None else targets
        if targets is None:
            targets = np.zeros(hamiltonian.network.neurons)
    elif targets is not None:
        raise InputError(
            "Targets are given beside a cost that is an expression, which says itself what is aimed at; give "
            "(inputs, None), or a QuadraticCost."
        )
    return hamiltonian, inputs, targets


def patterns(net: Network, inputs: Any, targets: Any) -> int:
    """The number of patterns, from whatever has it."""
    counts = {}
    for what, given, size in (("inputs", inputs, net.inputs), ("targets", targets, net.neurons)):
        if given is None:
            continue
        array = numbers(given(0.0) if callable(given) else given, f"The {what}")
        if array.ndim not in (1, 2) or array.shape[-1] != size:
            raise InputError(f"The {what} have the shape {array.shape}; give (patterns, {size}), or ({size},) for one.")
        if array.ndim == 2:
            if not len(array):
                raise InputError(f"The {what} hold no pattern; give at least one.")
            counts[what] = len(array)
    if len(set(counts.values())) > 1:
        raise InputError(
            f"There are {counts['inputs']} patterns of inputs and {counts['targets']} of targets; give as many of both."
        )
    return next(iter(counts.values()), 1)


def signal(given: Any, patterns: int, size: int, what: str) -> Any:
    """(patterns, size) as an array, or as a function of t."""

    def checked(value: Any, label: str) -> np.ndarray:
        array = numbers(value, label)
        if array.ndim == 1:
            array = np.broadcast_to(array, (patterns, array.size))
        return np.array(finite_array(array, (patterns, size), label))

    if given is None:
        if size and what == "inputs":
            raise InputError(f"The network has {size} inputs and none are given; give (inputs, targets).")
        return np.zeros((patterns, size))
    if callable(given):
        return lambda t: checked(given(t), f"The function {what} at t = {t:.6g}")
    return checked(given, f"The array {what}")


def activities(y0: Any, learner: Learner) -> np.ndarray:
    n = learner.network.neurons
    array = numbers(0.0 if y0 is None else y0, "The array y0")
    if array.shape not in ((), (n,), (learner.patterns, n)) or (array.shape == () and y0 is not None):
        raise InputError(f"y0 has the shape {array.shape}; give ({n},) or ({learner.patterns}, {n}).")
    if not np.isfinite(array).all():
        raise InputError("y0 holds NaN or infinite entries; give finite numbers.")
    return np.array(np.broadcast_to(array, (learner.patterns, n)))


def positive(value: Any, name: str, what: str) -> float:
    ok = isinstance(value, (int, float, np.number, sp.Number)) and not isinstance(value, bool)
    if not ok or not 0 < float(value) < float("inf"):
        raise InputError(f"{name}={value!r} is not {what}; give a positive number.")
    return float(value)


def integer(value: Any, name: str, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise InputError(f"{name}={value!r}; give an integer of at least {least}.")
    return int(value)
