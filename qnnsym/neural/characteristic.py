"""Hamilton's equations of a neural Hamiltonian, derived at index level: their text does not depend on N.

    y' = H_Delta,   Delta' = -H_y,   W' = H_M,   M' = -H_W
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from qnnsym.equations.calculus import canonical, differentiate, tangent_set
from qnnsym.equations.indexed import Array, Equation, EquationSet
from qnnsym.errors import InputError
from qnnsym.neural.hamiltonian import COLUMNS, COSTATE, INPUTS, MOVING, NEURONS, SIZE, M, NeuralHamiltonian, W, Y, Z

READINGS = ("canonical", "causal", "variational", "frozen")


@dataclass(frozen=True)
class CharacteristicEquations:
    """The characteristic equations of a neural Hamiltonian; made by `NeuralHamiltonian.characteristic_equations`.

    Attributes:
        hamiltonian: the Hamiltonian they come from.
        equations: EquationSet of the rates of y, Delta, W and M, in that order.
        kinetic: +1 or -1, the sign of the kinetic term.
        states: names of the state's parts, in the order of the flat state (weights row by row).
        reading: which meaning shifted variables have.
    """

    hamiltonian: NeuralHamiltonian
    equations: EquationSet
    kinetic: int = 1
    states: tuple[str, ...] = ("y", "costate", "weights", "momenta")
    reading: str = "canonical"

    @cached_property
    def tangent(self) -> EquationSet:
        """Rates of (state, direction): the equations and their derivative along the direction."""
        return tangent_set(self.equations)

    @property
    def sizes(self) -> tuple[int, int]:
        """(N, l) of this network, the kernel's `dims`."""
        return self.hamiltonian.network.neurons, self.hamiltonian.network.inputs

    @property
    def dimension(self) -> int:
        """Length of the flat state."""
        net = self.hamiltonian.network
        return 2 * net.neurons * (1 + net.columns)

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
        """The time derivatives at one point.

        Arguments:
            t: time.  y, costate: arrays (N,).  weights, momenta: arrays (N, l + 1 + N).
            inputs: array (l,) or function of t; needed where the network has inputs.
            delayed_weights, past_momenta, advanced, remaining: values at other times, see `DelayedEquations.rhs`; the
                canonical reading has none.
            values: {name or Symbol: number} for symbolic parameters.

        Returns:
            {"y", "costate", "weights", "momenta"}: arrays of the same shapes.

        Raises:
            InputError: for arrays of a wrong shape, and values of other times that the reading does not have.
        """
        from qnnsym.neural import numerics

        past_momenta = numerics.momenta_list(past_momenta)
        others = {"delayed_weights": delayed_weights, "advanced": advanced, "remaining": remaining}
        others["past_momenta"] = past_momenta if len(past_momenta) else None
        refuse_others(self.reading, others, ())
        return numerics.rates(self, numerics.real_time(t), y, costate, weights, momenta, inputs, values)

    def compiled(self, tangent: bool = False, inputs: Any = None, values: Any = None):
        """The compiled right-hand side, in place on flat float64 arrays ordered as `states`.

        Arguments:
            tangent: False gives f(t, state, out); True gives f(t, state, v, out, out_v) with the derivative along v.
            inputs: array (l,) or function of t; needed where the network has inputs.
        """
        from qnnsym.neural import numerics

        return numerics.compiled(self, tangent, inputs, values)

    def integrate(self, state: Any, times: Any, rtol: float = 1e-10, atol: float = 1e-12, **options: Any):
        """The final state by the compiled driver alone.

        Arguments:
            state: flat array, ordered as `states` says.
            times: the first and the last time (what lies between is passed over).
            rtol, atol: tolerances of dop853.
            options: method ("dop853", or "rk4" with its step), inputs, values.

        Returns:
            Flat array.

        Raises:
            InputError: for states of a wrong shape, an unknown method and a missing step.
            SolverError: where the last time cannot be reached.
        """
        from qnnsym.neural import numerics

        numerics.refuse_unknown(options, numerics.INTEGRATE, "integrate")
        return numerics.integrate(self, state, times, rtol=rtol, atol=atol, **options)

    def solve(
        self,
        times: Any,
        y0: Any,
        costate0: Any,
        weights: Any,
        momenta: Any,
        inputs: Any = None,
        rtol: float = 1e-10,
        **options: Any,
    ):
        """Integrate from initial data.

        Arguments:
            times: array, or (start, stop, number); descending times integrate backwards.
            y0, costate0: arrays (N,), or (patterns, N) for patterns that share weights and momenta.
            weights, momenta: arrays (N, l + 1 + N), momenta of static weights zero.
            inputs: array (l,) or function of t; with patterns (patterns, l), or a function giving it.
            rtol: relative tolerance; atol, method, step, max_steps and events (see `Event`) are passed on. With
                patterns: rtol, atol, and targets (patterns, N) for a QuadraticCost without target.

        Returns:
            Solution; states (times, y | costate | W row-major | M row-major); with patterns, y and costate are
            (patterns, N) flattened.

        Raises:
            InputError: for arrays of a wrong shape, non-finite values, or parameters without a value.
        """
        from qnnsym.neural import numerics

        return numerics.solve(self, times, y0, costate0, weights, momenta, inputs, rtol=rtol, **options)

    def solve_ensemble(
        self,
        states: Any,
        times: Any,
        rtol: float = 1e-10,
        inputs: Any = None,
        lanes: bool | None = None,
        **options: Any,
    ):
        """Integrate from many initial states at once.

        Arguments:
            states: (trajectories, n) flat states, ordered as `states` says.
            times: array, or (start, stop, number).
            rtol: relative tolerance; atol, method, step, max_steps and threads are passed on.
            inputs: array (l,) or function of t, the same for all trajectories.
            lanes: integrate eight trajectories side by side; None: where that is faster. False: one after the other,
                which equals `solve` bit for bit and not only up to rounding.

        Returns:
            Ensemble; states (trajectories, times, n).

        Raises:
            InputError: for states of a wrong shape, non-finite values, or parameters without a value.
        """
        from qnnsym.neural import numerics

        numerics.refuse_unknown(options, numerics.ENSEMBLE, "solve_ensemble")
        return numerics.solve_ensemble(self, states, times, inputs, rtol=rtol, lanes=lanes, **options)

    @cached_property
    def line(self) -> str:
        """The equations as one line of plain text."""
        return "; ".join(f"{e.target} = {sp.sstr(e.rhs)}" for e in (*self.equations.equations, *self.equations.entries))

    @cached_property
    def latex(self) -> dict[str, str]:
        """{variable: LaTeX of its equation}, with Delta_k F_k's derivative written by the activation itself."""
        from qnnsym.neural.printing import equations_latex

        return equations_latex(self)


def characteristic_equations(
    hamiltonian: NeuralHamiltonian, reading: str = "canonical", kinetic: str = "plus"
) -> CharacteristicEquations:
    """Derive the characteristic equations; see `NeuralHamiltonian.characteristic_equations`."""
    if reading not in READINGS:
        raise InputError(f"The reading {reading!r} is not known; use one of {', '.join(READINGS)}.")
    if reading != "canonical" and hamiltonian.delay is None:
        raise InputError(
            f"The reading {reading!r} gives a meaning to delayed variables, and this Hamiltonian has no delay; use "
            'reading="canonical".'
        )
    if kinetic not in ("plus", "minus"):
        raise InputError(f"kinetic={kinetic!r} is not a sign; use 'plus' or 'minus'.")
    sign = 1 if kinetic == "plus" else -1
    if reading != "canonical":
        from qnnsym.neural.readings import DelayedEquations
        from qnnsym.neural.shifts import shifted_equations

        return DelayedEquations(
            hamiltonian, shifted_equations(hamiltonian, reading, sign), sign, reading=reading
        )
    return CharacteristicEquations(hamiltonian, index_equations(hamiltonian, sign), sign)


def refuse_others(reading: str, given: Mapping[str, Any], allowed: tuple[str, ...]) -> None:
    """Refuse values of other times that a reading does not have.

    Raises:
        InputError: naming the first of them.
    """
    for name, value in given.items():
        if value is not None and name not in allowed:
            has = f"only {', '.join(allowed)}" if allowed else "no values of other times"
            raise InputError(f"{name} was given, and the reading {reading!r} has {has}; leave it out.")


def index_equations(hamiltonian: NeuralHamiltonian, sign: int = 1) -> EquationSet:
    """The four families of Hamilton's equations, each with its free indices."""
    h, k, j = hamiltonian.index_form(sign), NEURONS.index(), COLUMNS.index()
    rates = ((Y, COSTATE[k], 1), (COSTATE, Y[k], -1), (W, M[k, j], 1), (M, W[k, j], -1))
    outputs = tuple(Array("d_" + array.name, array.axes) for array, *_ in rates)
    arrays = hamiltonian.arrays
    equations = EquationSet("rhs", (SIZE, INPUTS), hamiltonian.scalars, arrays, (Z,), outputs, ())
    sets = equations.index_sets()
    derived = []
    for output, (array, variable, direction) in zip(outputs, rates, strict=True):
        rate = direction * differentiate(h, variable, (Z,))
        if array is M and hamiltonian.dynamical is not None:
            # A static weight is a parameter: no momentum is conjugate to it.
            rate = MOVING[k, j] * rate
        at = variable.indices
        derived.append(Equation(output[at], canonical(rate, sets, frozenset(at))))
    by_base = {Y.base: outputs[1], W.base: outputs[3]}
    entries = tuple(
        Equation(by_base[entry.base][entry.indices], -derivative) for entry, derivative in hamiltonian.cost_entries()
    )
    return equations.changed(equations=tuple(derived), entries=entries)
