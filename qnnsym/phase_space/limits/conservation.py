"""What the evolution conserves, at every order in hbar: norm, purity, and the energy of an autonomous H."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qnnsym.checks.check import Check, Context
from qnnsym.checks.invariants import drift
from qnnsym.errors import InputError
from qnnsym.phase_space.limits.subject import array_function, beside, hamiltonian, numbers_of
from qnnsym.solvers.solution import Solution

INVARIANTS = ("norm", "purity", "energy")
SOURCES = {
    "energy": "iint H {{H, W}} dx dp = 0",
    "norm": "K(p, 0) = V(x, 0) = 0",
    "purity": "both factors of the evolution have modulus one",
}
DEFAULT = 1e-8


@dataclass(frozen=True)
class _Conserved:
    """Named quantities keep their value along the run."""

    quantities: tuple[str, ...]
    tolerance: float | None = None
    name: str = "conservation"

    def applies(self, model: Any) -> str | None:
        return None

    def run(self, context: Context) -> list[Check]:
        solution = context.solution
        unknown = [q for q in self.quantities if q not in solution.expect]
        if unknown:
            raise InputError(
                f"conserved({', '.join(map(repr, unknown))}) names what was not recorded; use one of "
                f"{', '.join(sorted(solution.expect))}, or add it to observe=[...]."
            )
        beyond, driven = beside(context.model), hamiltonian(context.model).has(context.model.space.t)
        not_kept = {"energy": "H depends on time, so that the energy does too."} if driven else {}
        if "kick" in beyond:
            not_kept["energy"] = "Kicks change the energy."
        if "dissipation" in beyond:
            not_kept |= dict.fromkeys(("energy", "purity"), "The system is open.")
        tolerance = self.tolerance
        if tolerance is None:
            tolerance = float(solution.provenance.get("tolerance", DEFAULT))
        rows = [
            Check.below(
                self.name, f"relative drift of {quantity}",
                drift(solution.expect[quantity], _scale(quantity, context)), tolerance,
                SOURCES.get(quantity, "the model"), f"{len(solution.times)} times up to {solution.times[-1]:g}",
            )
            for quantity in self.quantities
            if quantity not in not_kept
        ]  # fmt: skip
        rows += [
            Check.not_applicable(self.name, f"relative drift of {q}", reason, SOURCES[q])
            for q, reason in not_kept.items()
            if q in self.quantities
        ]
        context.figures += _figures(solution)
        return rows


def conserved(*quantities: str, tolerance: float | None = None) -> _Conserved:
    """Named quantities keep their value along the run.

    Arguments:
        quantities: "energy", "purity", "norm" (all of them if none is named), or names of observables.
        tolerance: largest drift relative to the size of the quantity; None takes the tolerance of the run.
    """
    return _Conserved(quantities or INVARIANTS, tolerance)


def _scale(quantity: str, context: Context) -> float:
    """What a drift is relative to: iint |H W| for the energy, which itself may be zero."""
    solution = context.solution
    largest = float(np.max(np.abs(solution.expect[quantity])))
    if quantity == "energy" and solution.states is not None:
        model = context.model
        energy = array_function(hamiltonian(model), model.space.variables, numbers_of(model, model.hbar))
        mesh = np.meshgrid(*solution.grid, indexing="ij", sparse=True)
        cell = np.prod([axis[1] - axis[0] for axis in solution.grid])
        largest = max(largest, float(np.abs(energy(*mesh) * solution.states[0]).sum() * cell))
    return largest or 1.0


def _figures(solution: Solution) -> list[dict[str, Any]]:
    wanted = {k: v for k, v in solution.expect.items() if k not in INVARIANTS}
    found = [
        {
            "kind": "expectation", "name": "expectation_values", "t": solution.times, "curves": wanted,
            "xlabel": "t", "ylabel": "expectation value", "caption": "Expectation values over time.",
            "alt": "Curves of expectation values against time.",
        }
    ]  # fmt: skip
    return found if wanted else []
