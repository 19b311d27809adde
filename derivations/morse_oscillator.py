# %%
"""Morse oscillator: an anharmonic bond, whose exponentials are shifted to exp(-alpha x) cos-like factors in theta."""

from sympy import exp, sqrt

from qnnsym import Model
from qnnsym.phase_space import GaussianState, PhaseSpace, limits, observables

space = PhaseSpace("x", "p")
(x,), (p,) = space.x, space.p
m, D, alpha = space.parameters(m=1, D=4, alpha=0.4)

# %%
model = Model(
    name="morse_oscillator",
    hamiltonian=p**2 / (2 * m) + D * (1 - exp(-alpha * x)) ** 2,
    space=space,
    hbar=0.2,
    state=GaussianState(a=sqrt(space.hbar), x0=0.5),
    times=(0, 6, 31),
    observe=[x, p, x**2, observables.energy, observables.purity, observables.negativity],
    checks=[
        limits.classical(),
        limits.truncated(),
        limits.schroedinger(tolerance=1e-8),
        limits.refined(),
        limits.conserved("energy", "norm", "purity"),
    ],
    references=["P. M. Morse, Phys. Rev. 34, 57 (1929)"],
)
