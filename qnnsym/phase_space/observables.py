"""Observables that are not Weyl symbols: what a model may ask to be recorded besides functions of x and p."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Observable:
    """A quantity of the whole Wigner function, recorded under its name.

    Attributes:
        name: the key in results.
        description: one sentence saying what is computed.
    """

    name: str
    description: str

    def __str__(self) -> str:
        return self.name


energy = Observable("energy", "The expectation value of the Hamiltonian, iint H W dx dp.")
purity = Observable("purity", "Tr rho^2 = h^n iint W^2 dx dp; 1 for a pure state.")
negativity = Observable(
    "negativity", "The negativity volume (iint |W| dx dp - 1)/2; 0 for a classical density."
)
norm = Observable("norm", "The normalisation iint W dx dp, 1 for every state.")

ALL = {observable.name: observable for observable in (energy, purity, negativity, norm)}
