# %%
"""Double well: a packet of the left well tunnels to the right one, which no classical trajectory of its energy does."""

from sympy import sqrt

from qnnsym import Model
from qnnsym.phase_space import GaussianState, PhaseSpace, limits, observables

space = PhaseSpace("x", "p")
(x,), (p,) = space.x, space.p
m, g, b = space.parameters(m=1, g=1, b=1)

# %% [markdown]
# The wells lie at x = -b and x = b, with the barrier g b^4/4 between them.

# %%
model = Model(
    name="double_well",
    hamiltonian=p**2 / (2 * m) + g * (x**2 - b**2) ** 2 / 4,
    space=space,
    hbar=0.2,
    state=GaussianState(a=sqrt(space.hbar / (sqrt(2 * g / m) * m * b)), x0=-b),
    times=(0, 60, 61),
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
