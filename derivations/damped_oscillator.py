# %%
"""Damped oscillator: a cat loses its fringes long before its energy, and ends in the thermal state."""

from sympy import sqrt

from qnnsym import Model
from qnnsym.phase_space import CatState, PhaseSpace, limits, observables

space = PhaseSpace("x", "p")
(x,), (p,) = space.x, space.p
m, omega, gamma, nbar = space.parameters(m=1, omega=1, gamma=0.4, nbar=0.5)

# %% [markdown]
# The environment takes quanta by the jumps sqrt(gamma (nbar + 1)) a and gives them by sqrt(gamma nbar) a^dag. In phase
# space this is a drift towards the origin and diffusion, both with every power of hbar.

# %%
model = Model(
    name="damped_oscillator",
    hamiltonian=p**2 / (2 * m) + m * omega**2 * x**2 / 2,
    space=space,
    hbar=0.5,
    state=CatState(a=sqrt(space.hbar), b=1),
    times=(0, 12, 25),
    observe=[x**2, p**2, observables.energy, observables.purity, observables.negativity],
    options={"dissipation": {"damping": gamma, "occupation": nbar}},
    checks=[limits.damped_moments(), limits.conserved("norm")],
    references=["G. Lindblad, Commun. Math. Phys. 48, 119 (1976)", "W. B. Case, Am. J. Phys. 76, 937 (2008)"],
)
