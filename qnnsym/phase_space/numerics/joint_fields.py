"""K(p, k), V(x, theta) and the coefficients of the table for any H, as functions of arrays: in text or by kernels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import sympy as sp

from qnnsym.codegen.emit import numpy_function
from qnnsym.codegen.lower import lower
from qnnsym.errors import InputError
from qnnsym.phase_space.equation import moyal_equation
from qnnsym.phase_space.fields import field_name, joint_equations
from qnnsym.phase_space.parts import Parts
from qnnsym.solvers.axes import Axes
from qnnsym.solvers.split_grid import JointField, JointPropagator
from qnnsym.solvers.table_operator import Rows, TableOperator

# A pointwise function: (flat arrays of all variables laid end to end, points, t) -> outputs laid end to end.
Pointwise = Callable[[np.ndarray, int, float], np.ndarray]
# Points evaluated at once, and entries of the work array for each of them: more than any pointwise kernel stores.
CHUNK, WORK = 2**15, 64


class JointFields:
    """The pointwise functions of one Hamiltonian at one order in hbar.

    Arguments:
        parts: of H.
        order: highest power of hbar, None for all.
        functions: {"kinetic", "potential", "table": pointwise function}; the table only where M is not zero.

    Raises:
        InputError: when all orders are asked for and the table does not end.
    """

    def __init__(self, parts: Parts, order: int | None, functions: Mapping[str, Pointwise]) -> None:
        self.parts, self.order, self.functions = parts, order, functions
        self.rows = parts.rows(order)

    @classmethod
    def text(cls, parts: Parts, order: int | None, parameters: Mapping[sp.Symbol, float], hbar: float) -> JointFields:
        """In NumPy text."""
        parts.rows(order)  # says why there may be none
        sets, par = joint_equations(parts, (order,)), np.array([hbar, *parameters.values()])

        def pointwise(equations: Any) -> Pointwise:
            function = numpy_function(lower(equations))
            return lambda state, points, t: np.ravel(function(t, state, [], par, (points,)))

        found = {factor: sets[field_name(factor, order)] for factor in FACTORS if field_name(factor, order) in sets}
        return cls(parts, order, {factor: pointwise(equations) for factor, equations in found.items()})

    @classmethod
    def compiled(cls, name: str, parts: Parts, order: int | None, kernels: Any, par: np.ndarray) -> JointFields:
        """By the kernels of a model.

        Arguments:
            name: of the model.
            kernels: {name: compiled kernel}.
            par: hbar and the parameters in the order of the kernels.

        Raises:
            InputError: when kernels of this order are missing.
        """
        parts.rows(order)
        wanted = [factor for factor in FACTORS if factor != "table" or parts.rows(order)]
        missing = [n for n in (field_name(factor, order) for factor in wanted) if n not in kernels]
        if missing:
            raise InputError(
                f"The kernels of {name} lack {', '.join(missing)}; generated are {', '.join(sorted(kernels))}. Use one "
                "of these orders, or evolve_wigner, which needs no kernels."
            )
        outputs = {"kinetic": 1, "potential": 1, "table": len(parts.rows(order))}

        def pointwise(factor: str) -> Pointwise:
            kernel = kernels[field_name(factor, order)]

            def run(state: np.ndarray, points: int, t: float) -> np.ndarray:
                rates = np.zeros(outputs[factor] * points)
                kernel(t, state, np.zeros(0), par, np.array([points], np.int64), np.zeros(WORK * points), rates)
                return rates

            return run

        return cls(parts, order, {factor: pointwise(factor) for factor in wanted})

    def propagator(self, axes: Axes, workers: int, start: float) -> JointPropagator:
        """The exact flows of H = T + U on a grid."""
        return JointPropagator(
            axes, self._field("kinetic"), self._field("potential"),
            driven=self._driven, workers=workers, start=start,
        )  # fmt: skip

    def operator(self, axes: Axes, workers: int, start: float, hbar: float) -> TableOperator:
        """The right-hand side of H = T + U + M on a grid; with all orders of hbar W stays a density matrix."""
        t = self.parts.space.t
        driven = any(row.coefficient.has(t) for row in self.rows)
        rows = Rows([row.dx + row.dp for row in self.rows], self._coefficients, driven)
        return TableOperator(
            axes, self._field("kinetic"), self._field("potential"), rows,
            driven=self._driven, workers=workers, start=start, hbar=hbar if self.complete else None,
        )  # fmt: skip

    @property
    def complete(self) -> bool:
        """Whether no term of the equation is left out."""
        return self.order is None or moyal_equation(
            self.parts.equation.hamiltonian, self.parts.space, self.order
        ).exact

    @property
    def _driven(self) -> tuple[bool, bool]:
        t = self.parts.space.t
        return self.parts.kinetic.has(t), self.parts.potential.has(t)

    def _field(self, factor: str) -> JointField:
        return lambda coordinates, t: _over_grid(self.functions[factor], coordinates, t, 1)[0]

    def _coefficients(self, coordinates: tuple[np.ndarray, ...], t: float) -> list[np.ndarray]:
        if not self.rows:
            return []
        values = _over_grid(self.functions["table"], coordinates, t, len(self.rows))
        variables = self.parts.space.variables
        # What does not depend on a coordinate is kept once.
        return [
            np.ascontiguousarray(
                value[tuple(slice(None) if row.coefficient.has(v) else slice(1) for v in variables)]
            )
            for row, value in zip(self.rows, values, strict=True)
        ]


FACTORS = ("kinetic", "potential", "table")


def _over_grid(function: Pointwise, coordinates: tuple[np.ndarray, ...], t: float, outputs: int) -> np.ndarray:
    """(outputs, *grid): a pointwise function of coordinates that broadcast, some slices of the first axis at a time."""
    shape = np.broadcast_shapes(*(c.shape for c in coordinates))
    found = np.empty((outputs, *shape))
    stride = max(1, CHUNK // max(1, int(np.prod(shape[1:]))))
    for at in range(0, shape[0], stride):
        part = [c[at : at + stride] if c.shape[0] > 1 else c for c in coordinates]
        part_shape = (min(stride, shape[0] - at), *shape[1:])
        points = int(np.prod(part_shape))
        state = np.concatenate([np.broadcast_to(c, part_shape).ravel() for c in part])
        found[:, at : at + stride] = function(state, points, t).reshape(outputs, *part_shape)
    return found
