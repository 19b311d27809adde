# %%
"""Harmonic oscillator: the Moyal equation is Liouville's, and a squeezed state breathes without any correction."""

from sympy import Rational

from qnnsym import Model
from qnnsym.phase_space import PhaseSpace, SqueezedState, limits, observables

space = PhaseSpace("x", "p")
(x,), (p,) = space.x, space.p
m, omega = space.parameters(m=1, omega=1)

H = p**2 / (2 * m) + m * omega**2 * x**2 / 2

# %%
model = Model(
    name="harmonic_oscillator",
    hamiltonian=H,
    space=space,
    hbar=1,
    state=SqueezedState(Rational(1, 2), x0=2),
    times=(0, 6.5, 27),
    observe=[x, p, x**2, p**2, observables.energy, observables.purity, observables.negativity],
    checks=[
        limits.harmonic(),
        limits.linear_flow(),
        limits.truncated(),
        limits.schroedinger(),
        limits.complete_integrals("Oscillator", H, space, [0.3], [-0.7], {m: 1, omega: 1}),
        limits.refined(),
        limits.conserved("energy", "norm", "purity"),
    ],
    references=["W. B. Case, Am. J. Phys. 76, 937 (2008)"],
)
