"""K(p, k) and V(x, theta) as functions of arrays: in NumPy text, or by the kernels compiled for a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from qnnsym.codegen.emit import numpy_function
from qnnsym.codegen.lower import lower
from qnnsym.errors import InputError
from qnnsym.phase_space.fields import field_equations, field_name
from qnnsym.phase_space.numerics.problem import Problem
from qnnsym.solvers.split_flows import Driven, Field, Kick

FlatField = Callable[[np.ndarray, np.ndarray, float], np.ndarray]
# Entries of the work array per grid point of both axes: more than any pointwise kernel stores.
WORK = 64


@dataclass(frozen=True)
class Fields:
    """What is exponentiated: K(p, k), V(x, theta), and the field of a kick or None."""

    kinetic: Field | Driven
    potential: Field | Driven
    kick: Kick | None = None


def text_fields(problem: Problem, order: int | None) -> Fields:
    """The fields of a problem in NumPy text."""
    sets = field_equations(problem.equation, (order,), problem.kicks)
    functions = {name: numpy_function(lower(equations)) for name, equations in sets.items()}
    par = np.array([problem.hbar, *problem.parameters.values()])

    def field(factor: str) -> FlatField:
        function = functions[field_name(factor, order)]
        return lambda first, second, t: function(t, np.concatenate([first, second]), [], par, (first.size, second.size))

    return _fields(field, problem)


def kernel_fields(name: str, kernels: Any, order: int | None, problem: Problem) -> Fields:
    """The fields of a problem by compiled kernels."""
    factors = ("kinetic", "potential", *(["kick"] if problem.kicks else []))
    missing = [n for n in (field_name(factor, order) for factor in factors) if n not in kernels]
    if missing:
        raise InputError(
            f"The kernels of {name} lack {', '.join(missing)}; generated are {', '.join(sorted(kernels))}. Use one of "
            "these orders, or evolve_wigner, which needs no kernels."
        )
    par = kernel_parameters(name, kernels, problem)

    def field(factor: str) -> FlatField:
        kernel = kernels[field_name(factor, order)]

        def run(first: np.ndarray, second: np.ndarray, t: float) -> np.ndarray:
            rates = np.zeros(first.size * second.size)
            dims = np.array([first.size, second.size], np.int64)
            work = np.zeros(WORK * (first.size + second.size))
            kernel(t, np.concatenate([first, second]), np.zeros(0), par, dims, work, rates)
            return rates

        return run

    return _fields(field, problem)


def kernel_parameters(name: str, kernels: Any, problem: Problem) -> np.ndarray:
    """hbar and the parameters in the order in which the kernels of a model take them.

    Raises:
        InputError: when the kernels were made for other parameters.
    """
    listed = [n for n in kernels.parameters if n != problem.space.hbar.name]
    if len(listed) != len(problem.parameters):
        raise InputError(
            f"The kernels of {name} take the parameters {', '.join(listed) or 'none'} and its space declares "
            f"{', '.join(map(str, problem.parameters)) or 'none'}; generate the kernels anew: qnnsym generate {name}."
        )
    by_name = {s.name: value for s, value in problem.parameters.items()}
    # A name that is no identifier was changed in the kernel; the order of declaration is kept.
    ordered = [by_name.get(n, value) for n, value in zip(listed, problem.parameters.values(), strict=True)]
    return np.array([problem.hbar, *ordered])


def _fields(field: Callable[[str], FlatField], problem: Problem) -> Fields:
    """Fields on flat axes as functions of broadcast arrays; the kinetic ones are stored (k, p)."""
    equation, t = problem.equation, problem.space.t

    def on_kp(factor: str, symbol: sp.Expr) -> Field | Driven:
        flat = field(factor)

        def kinetic(p: np.ndarray, k: np.ndarray, t: float = 0.0) -> np.ndarray:
            return flat(k.ravel(), p.ravel(), t).reshape(k.size, p.size)

        return Driven(kinetic) if symbol.has(t) else kinetic

    def on_xtheta(factor: str, symbol: sp.Expr) -> Field | Driven:
        flat = field(factor)

        def potential(x: np.ndarray, theta: np.ndarray, t: float = 0.0) -> np.ndarray:
            return flat(x.ravel(), theta.ravel(), t).reshape(x.size, theta.size)

        return Driven(potential) if symbol.has(t) else potential

    assert equation.kinetic is not None and equation.potential is not None
    kick, kicks = None, problem.kicks
    if kicks is not None:
        at = (on_kp if kicks.kinetic else on_xtheta)("kick", kicks.symbol)
        kick = Kick(at, problem.period, kicks.kinetic)
    return Fields(on_kp("kinetic", equation.kinetic), on_xtheta("potential", equation.potential), kick)
