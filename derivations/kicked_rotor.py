# %%
"""Kicked rotor: quantum interference stops the diffusion of the standard map (dynamical localisation)."""

from sympy import cos

from qnnsym import Model
from qnnsym.phase_space import GaussianState, PhaseSpace, limits, observables

space = PhaseSpace("x", "p")
(x,), (p,) = space.x, space.p
(K,) = space.parameters(K=5)

# %% [markdown]
# x is an angle, so that momenta are whole multiples of hbar and W lives on their half-integers as well. A packet as
# wide as this is the momentum eigenstate n = 0 once it is wound up on the circle.

# %%
model = Model(
    name="kicked_rotor",
    hamiltonian=p**2 / 2,
    space=space,
    hbar=1,
    state=GaussianState(a=7),
    times=(0, 80, 21),
    observe={"p**2": p**2, "cos": cos(x), "purity": observables.purity, "negativity": observables.negativity},
    options={"kick": K * cos(x), "period": 1, "periodic": True},
    checks=[limits.floquet(), limits.localisation(), limits.conserved("norm", "purity")],
    references=[
        "S. Fishman, D. R. Grempel, R. E. Prange, Phys. Rev. Lett. 49, 509 (1982)",
        "B. V. Chirikov, Phys. Rep. 52, 263 (1979)",
    ],
)
