# %%
"""Quartic oscillator: how the exact Wigner evolution leaves the classical one."""

from sympy import sqrt

from qnnsym import Model
from qnnsym.phase_space import GaussianState, PhaseSpace, limits, observables

space = PhaseSpace("x", "p")
(x,), (p,) = space.x, space.p
m, g = space.parameters(m=1, g=1)

# %%
model = Model(
    name="quartic_oscillator",
    hamiltonian=p**2 / (2 * m) + g * x**4 / 4,
    space=space,
    hbar=0.1,
    state=GaussianState(a=sqrt(space.hbar), x0=1),
    times=(0, 5, 51),
    observe=[x, p, x**2, observables.energy, observables.purity, observables.negativity],
    checks=[
        limits.harmonic(),
        limits.free(),
        limits.classical(),
        limits.refined(),
        limits.conserved("energy", "norm", "purity"),
        limits.schroedinger(tolerance=1e-8),
        limits.splitting_orders(),
        limits.truncated(),
    ],
    references=["W. B. Case, Am. J. Phys. 76, 937 (2008)"],
)
