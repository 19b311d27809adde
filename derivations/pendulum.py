# %%
"""Pendulum: all odd derivatives of the potential take part, and the shifted cosine sums them."""

from sympy import cos, sqrt

from qnnsym import Model
from qnnsym.phase_space import GaussianState, PhaseSpace, limits, observables

space = PhaseSpace("x", "p")
(x,), (p,) = space.x, space.p
m, k = space.parameters(m=1, k=1)

# %%
model = Model(
    name="pendulum",
    hamiltonian=p**2 / (2 * m) + k * (1 - cos(x)),
    space=space,
    hbar=0.2,
    state=GaussianState(a=sqrt(space.hbar), x0=1),
    times=(0, 6, 31),
    observe=[x, p, x**2, observables.energy, observables.purity, observables.negativity],
    checks=[
        limits.classical(),
        limits.corrections(),
        limits.truncated(),
        limits.schroedinger(tolerance=1e-8),
        limits.conserved("energy", "norm", "purity"),
    ],
    references=["W. B. Case, Am. J. Phys. 76, 937 (2008)"],
)
