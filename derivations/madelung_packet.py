# %%
"""Madelung's fluid: density, quantum potential and Bohm's trajectories of a packet, from its Wigner function."""

from sympy import sqrt

from qnnsym import Model
from qnnsym.phase_space import GaussianState, PhaseSpace, limits, observables

space = PhaseSpace("x", "p")
(x,), (p,) = space.x, space.p
m, g = space.parameters(m=1, g=1)

# %% [markdown]
# At fixed x the momenta of a pure state have the variance -(hbar^2/4) d^2 ln(rho)/dx^2: the pressure of the fluid.
# Where two parts of the packet interfere rho has narrow minima, and the quantum potential is steep.

# %%
model = Model(
    name="madelung_packet",
    hamiltonian=p**2 / (2 * m) + g * x**4 / 4,
    space=space,
    hbar=0.3,
    state=GaussianState(a=sqrt(space.hbar), x0=1),
    times=(0, 2.5, 51),
    observe=[x, p, x**2, observables.energy, observables.purity, observables.negativity],
    checks=[limits.madelung(), limits.schroedinger(), limits.conserved("energy", "norm", "purity")],
    references=[
        "E. Madelung, Z. Phys. 40, 322 (1927)",
        "D. Bohm, Phys. Rev. 85, 166 (1952)",
        "T. Takabayasi, Prog. Theor. Phys. 8, 143 (1952)",
    ],
)
