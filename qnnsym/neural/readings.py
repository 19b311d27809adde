"""Characteristic equations of a neural Hamiltonian with shift operators, in one of the readings of the shifts.

    causal       a delay equation, solved from a history
    variational  a boundary problem with retarded and advanced terms, solved on the stack of its epochs
    frozen       Hamilton's equations of each epoch with the weights of the one before as known functions of time

Only the variational reading makes the action stationary; the causal flow keeps the volume of the stack, but not its
symplectic form, and H changes along it. `limits` measures all of this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from qnnsym.equations.calculus import tangent_set
from qnnsym.equations.indexed import EquationSet
from qnnsym.errors import InputError
from qnnsym.neural.characteristic import CharacteristicEquations, refuse_others
from qnnsym.neural.shifts import neighbours_as_states

# Values of other times that the right-hand side of a reading takes.
TAKES = {
    "causal": ("delayed_weights", "past_momenta"),
    "variational": ("delayed_weights", "advanced", "remaining"),
    "frozen": ("delayed_weights",),
}


@dataclass(frozen=True)
class DelayedEquations(CharacteristicEquations):
    """Equations of one reading; made by `NeuralHamiltonian.characteristic_equations(reading=...)`."""

    @cached_property
    def neighbours(self) -> EquationSet:
        """The equations with y, costates and weights of other times behind the state."""
        return neighbours_as_states(self.equations)

    @cached_property
    def tangent(self) -> EquationSet:
        """Rates and their derivative along directions of the state and of the values of other times."""
        return tangent_set(self.neighbours)

    def rhs(
        self,
        t: float,
        y: Any,
        costate: Any,
        weights: Any,
        momenta: Any,
        inputs: Any = None,
        delayed_weights: Any = None,
        past_momenta: Any = (),
        advanced: Any = None,
        remaining: Any = None,
        values: Any = None,
    ) -> Mapping[str, np.ndarray]:
        """The time derivatives at one point, given values of other times.

        Arguments:
            t: time.  y, costate: arrays (N,).  weights, momenta: arrays (N, l + 1 + N).
            inputs: array (l,) or function of t.
            delayed_weights: W(t - T), array (N, l + 1 + N).
            past_momenta: causal: [M(t - T), M(t - 2T), ..., M(t - (n+1)T)].
            advanced: variational: {"y", "costate", "inputs"} at t + T, inputs only where the network has some; None in
                the last epoch.
            remaining: variational: N_rem = K - n, the number of epochs left.
            values: {name or Symbol: number} for symbolic parameters.

        Returns:
            {"y", "costate", "weights", "momenta"}: arrays of the same shapes.

        Raises:
            InputError: for arrays of a wrong shape, missing values of other times, and those that the reading lacks.
        """
        from qnnsym.neural.numerics import delay as numerics_delay

        t, past_momenta = numerics_delay.real_time(t), numerics_delay.momenta_list(past_momenta)
        others = {"delayed_weights": delayed_weights, "advanced": advanced, "remaining": remaining}
        others["past_momenta"] = past_momenta if len(past_momenta) else None
        refuse_others(self.reading, others, TAKES[self.reading])
        return numerics_delay.rates(
            self, t, y, costate, weights, momenta, inputs, delayed_weights, past_momenta, advanced, remaining, values
        )

    def solve(
        self,
        times: Any,
        y0: Any,
        costate0: Any = None,
        weights: Any = None,
        momenta: Any = None,
        inputs: Any = None,
        rtol: float = 1e-10,
        **options: Any,
    ):
        """Solve from histories (causal, frozen), or as a boundary problem over a number of epochs (variational).

        Arguments:
            times: ascending from 0, or (0, stop, number); for the variational reading times within [0, K T].
            y0: array (N,).
            costate0: array (N,); not for the variational reading, whose costates vanish at the end.
            weights, momenta: histories on [-T, 0]: arrays (N, l + 1 + N), constant; functions of t; or (times, values)
                with values (m, N, l + 1 + N). Momenta of static weights are zero.
            inputs: array (l,) or function of t.
            rtol: relative tolerance.
            options: epochs (variational: the number K), momenta0 (M at 0+ where it differs from the history),
                input_jumps (times at which inputs or targets jump), atol, max_steps, values, and the like.

        Returns:
            Solution; states (times, y | costate | W row-major | M row-major).

        Raises:
            InputError: for histories that do not cover [-T, 0], arrays of a wrong shape, and missing values.
        """
        from qnnsym.neural.numerics import delay as numerics_delay

        known = (*numerics_delay.OPTIONS[self.reading], "values", "kernels", "provenance")
        known += () if self.reading == "variational" else ("events",)
        numerics_delay.refuse_unknown(options, known, f"solve in the reading {self.reading!r}")
        if self.reading == "variational":
            from qnnsym.neural.numerics import boundary as numerics_boundary

            return numerics_boundary.solve(
                self, times, y0, weights, momenta, inputs, costate0=costate0, rtol=rtol, **options
            )
        return numerics_delay.solve(self, times, y0, costate0, weights, momenta, inputs, rtol=rtol, **options)

    def compiled(self, tangent: bool = False, inputs: Any = None, values: Any = None):
        """Not for delayed readings, whose right-hand side needs values of other times: use `rhs` and `solve`."""
        raise self._refused("compiled")

    def integrate(self, state: Any, times: Any, rtol: float = 1e-10, atol: float = 1e-12, **options: Any):
        """Not for delayed readings: a state alone does not determine what follows; use `solve`."""
        raise self._refused("integrate")

    def solve_ensemble(self, states: Any, times: Any, rtol: float = 1e-10, inputs: Any = None, **options: Any):
        """Not for delayed readings: a state alone does not determine what follows; use `solve`."""
        raise self._refused("solve_ensemble")

    def _refused(self, what: str) -> InputError:
        return InputError(
            f"{what} takes a state at one time, and the reading {self.reading!r} needs values of other times as well; "
            "use rhs or solve, or the canonical reading."
        )
