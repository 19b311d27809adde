"""A model is data: a Hamiltonian, a state, times, what is observed and which checks must hold."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from qnnsym.errors import InputError


class Room(Protocol):
    """What a physics room offers to the pipeline; it lives in the room's `family.py`, imported by name.

    A Hamiltonian or space names its room in the attribute `room`, so the pipeline needs no list of kinds.
    """

    def derive(self, model: Model, order: int | None = None) -> Any: ...

    def solve(self, model: Model, kernels: Any, **options: Any) -> Any: ...


@dataclass(frozen=True)
class Model:
    """A physical model and everything that is to be shown about it.

    Arguments:
        name: identifier; the derivation file, generated folder and results carry it.
        hamiltonian: SymPy expression over `space`, or a structured Hamiltonian that brings its own variables.
        space: the phase space (None where the Hamiltonian brings its own).
        reading: for Hamiltonians with shifted arguments, which meaning is taken.
        hbar: numeric value of hbar in runs (dimensionless action); derivations keep it symbolic.
        state: initial state (an object of the room, or a dictionary of arrays).
        times: array, or (start, stop, number).
        observe: symbols or sentinels to be recorded, or {name: symbol}.
        inputs: external signals, arrays or functions of t.
        values: {name or symbol: number} for parameters; defaults declared with the space are added to it.
        checks: specifications of the limits and invariants that must hold.
        references: where the model comes from.
        options: solver options handed to the room (tolerance, method, grid, ...).
        description: what it shows, its first line a title; a derivation file's docstring where it is empty.
        overrides: {name: text} by which it differs from its derivation file.

    Raises:
        InputError: for a name that cannot name a folder, or a model without Hamiltonian.
    """

    name: str
    hamiltonian: Any
    space: Any = None
    reading: str = "canonical"
    hbar: Any = 1
    state: Any = None
    times: Any = None
    observe: Any = ()
    inputs: Any = None
    values: Mapping[Any, Any] = field(default_factory=dict)
    checks: Sequence[Any] = ()
    references: Sequence[str] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""
    overrides: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,63}", self.name):
            raise InputError(
                f"The model name {self.name!r} cannot name a folder; use letters, digits and underscores, "
                "starting with a letter, at most 64 of them."
            )
        if self.hamiltonian is None:
            raise InputError(f"The model {self.name} has no Hamiltonian; give hamiltonian=... .")
        for what, given, kind in (
            ("checks", self.checks, Sequence), ("references", self.references, Sequence),
            ("options", self.options, Mapping), ("values", self.values, Mapping),
        ):  # fmt: skip
            if not isinstance(given, kind) or isinstance(given, str):
                shape = "a list" if kind is Sequence else "a dictionary"
                raise InputError(f"{what} of the model {self.name} is {given!r}; give {shape}.")
        wrong = [check for check in self.checks if not (hasattr(check, "run") and hasattr(check, "applies"))]
        if wrong:
            raise InputError(f"{wrong[0]!r} in checks of the model {self.name} is no check; use those of `limits`.")
        if self.room_name is None:
            raise InputError(
                f"The Hamiltonian of {self.name} is {self.hamiltonian!r} and no phase space is given; "
                "give space=PhaseSpace(...), or a structured Hamiltonian such as NeuralHamiltonian."
            )

    @property
    def room_name(self) -> str | None:
        """Dotted name of the physics room, as its Hamiltonian or space declares it."""
        return getattr(self.hamiltonian, "room", None) or getattr(self.space, "room", None)

    def changed(self, **changes: Any) -> Model:
        """The same model with some fields replaced."""
        return replace(self, **changes)
