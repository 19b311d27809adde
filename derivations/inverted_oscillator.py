# %%
"""Inverted oscillator: a packet on top of a barrier, stretched and squeezed as a whole by a linear flow."""

from sympy import sqrt

from qnnsym import Model
from qnnsym.phase_space import GaussianState, PhaseSpace, limits, observables

space = PhaseSpace("x", "p")
(x,), (p,) = space.x, space.p
m, rate = space.parameters(m=1, rate=1)

# %%
model = Model(
    name="inverted_oscillator",
    hamiltonian=p**2 / (2 * m) - m * rate**2 * x**2 / 2,
    space=space,
    hbar=0.1,
    state=GaussianState(a=sqrt(space.hbar), x0=-0.5, p0=0.4),
    times=(0, 2, 21),
    observe=[x, p, x**2, p**2, observables.energy, observables.purity, observables.negativity],
    checks=[
        limits.linear_flow(),
        limits.conserved("energy", "norm", "purity"),
        limits.truncated(),
    ],
    references=["W. B. Case, Am. J. Phys. 76, 937 (2008)", "G. Barton, Ann. Phys. (N.Y.) 166, 322 (1986)"],
)
