# %%
"""Driven Duffing oscillator: chaotic and regular driving, and how soon quantum and classical mean positions part."""

from sympy import cos, sqrt

from qnnsym import Model
from qnnsym.phase_space import GaussianState, PhaseSpace, limits, observables

space = PhaseSpace("x", "p")
(x,), (p,), t = space.x, space.p, space.t
F, w = space.parameters(F=0.158, w=1.357)

# %% [markdown]
# These are Lin and Ballentine's parameters p^2/2 - 10 x^2 + x^4/2 + 10 x cos(6.07 t) in units of length sqrt(10), time
# 1/sqrt(20) and energy 200: F = sqrt(10)/20 and w = 6.07/sqrt(20). The orbit from x = 1 is chaotic; with F = 0.02 it is
# regular.

# %%
regular = {"F": 0.02}
model = Model(
    name="driven_duffing",
    hamiltonian=p**2 / 2 - x**2 / 2 + x**4 / 4 - F * x * cos(w * t),
    space=space,
    hbar=0.15,
    state=GaussianState(a=sqrt(space.hbar), x0=1),
    times=(0, 4.6, 24),
    observe=[x, p, x**2, observables.energy, observables.purity, observables.negativity],
    checks=[
        limits.schroedinger(tolerance=1e-6),
        limits.conserved("energy", "norm", "purity"),
        limits.lyapunov(regular=regular),
        limits.chaotic_breaking(regular=regular),
    ],
    references=[
        "W. A. Lin, L. E. Ballentine, Phys. Rev. Lett. 65, 2927 (1990)",
        "S. Habib, K. Shizume, W. H. Zurek, Phys. Rev. Lett. 80, 4361 (1998)",
        "G. P. Berman, G. M. Zaslavsky, Physica A 91, 450 (1978)",
    ],
)
