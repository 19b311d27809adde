# %%
"""The classical limit of a pendulum: what each Moyal term does as hbar goes to zero depends on state and measure."""

from sympy import Rational, cos, pi, sqrt

from qnnsym import Model
from qnnsym.phase_space import (
    CatState,
    GaussianState,
    PhaseSpace,
    classical_limit,
    correction_time,
    limits,
    observables,
)

space = PhaseSpace("x", "p")
(x,), (p,), hbar = space.x, space.p, space.hbar
(k,) = space.parameters(k=1)

# %%
H = p**2 / 2 + k * (1 - cos(x))

# %% [markdown]
# A cat of coherent width: its fringes keep L2 and sup norm from any limit, an observable does not see them.

# %%
if __name__ == "__main__":
    print(classical_limit(H, CatState(a=sqrt(hbar), b=1, x0=Rational(1, 2)), space))
    print(correction_time(H, GaussianState(a=sqrt(hbar), x0=pi), space))

# %%
model = Model(
    name="classical_limit",
    hamiltonian=H,
    space=space,
    hbar=0.2,
    state=GaussianState(a=sqrt(hbar), x0=1),
    times=(0, 2, 21),
    observe=[x, p, observables.energy, observables.purity],
    checks=[
        limits.terms(potentials={"quartic": p**2 / 2 + x**4 / 4}),
        limits.corrections(),
        limits.breaking(),
        limits.conserved("energy", "norm", "purity"),
    ],
    references=["W. B. Case, Am. J. Phys. 76, 937 (2008)"],
)
