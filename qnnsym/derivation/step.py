"""A derivation is an ordered list of steps, and a step is a claim together with the obligation that proves it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from qnnsym.errors import ObligationFailed


@dataclass(frozen=True)
class Proof:
    """The outcome of an executed obligation: `method` says how it was proved, `detail` what was found."""

    holds: bool
    method: str
    detail: str


class Obligation(Protocol):
    """Something that can be executed and either holds or does not."""

    def discharge(self) -> Proof: ...


@dataclass(frozen=True)
class Step:
    """One step of a derivation.

    Arguments:
        title: a few words.
        sentence: what is done and why it may be done.
        before, after: the formula before and after, as LaTeX without delimiters (empty where there is none).
        assumption: what is assumed here and nowhere earlier.
        obligation: what is executed to prove the step.
    """

    title: str
    sentence: str
    before: str
    after: str
    obligation: Obligation
    assumption: str = ""


@dataclass
class Derivation:
    """The checked steps that lead from a model to its equations.

    Attributes:
        name: the model's name.
        steps: the steps with their proofs, in order.
        equations: {name: EquationSet} derived by the steps (what kernels are generated from).
        results: named symbolic results (the term table, the exact form, the characteristic equations).
        latex: {label: LaTeX} of the equations to be shown, in order.
        line: the equations as one line of plain text, for the header of what is generated from them.
    """

    name: str
    steps: list[tuple[Step, Proof]] = field(default_factory=list)
    equations: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    latex: dict[str, str] = field(default_factory=dict)
    line: str = ""

    def prove(self, steps: Iterable[Step]) -> None:
        """Execute each step's obligation and append it; stop at the first that fails.

        Raises:
            ObligationFailed: naming the step and what its obligation found.
        """
        for step in steps:
            proof = step.obligation.discharge()
            self.steps.append((step, proof))
            if not proof.holds:
                raise ObligationFailed(
                    f"The derivation of {self.name} stops at step {len(self.steps)} ({step.title}): "
                    f"{proof.method} found {proof.detail}. Nothing after it was derived; mend the step or the model."
                )
