# %%
"""Kerr oscillator: a coherent state becomes superpositions of coherent states at parts of its revival time.

H = chi (hbar a^dag a)^2 mixes x and p. Its Weyl symbol is the star product of the symbol of hbar a^dag a with itself,
and not its square: the two differ by hbar^2/4, and the symbol of hbar a^dag a is smaller than the energy by hbar/2.
"""

from sympy import pi

from qnnsym import Model
from qnnsym.phase_space import CoherentState, PhaseSpace, limits, observables, star

space = PhaseSpace("x", "p")
(x,), (p,) = space.x, space.p
(chi,) = space.parameters(chi=1)
number = (x**2 + p**2) / 2 - space.hbar / 2

# %%
# The revival time is 2 pi/(chi hbar); half of it, in steps of a twenty-fourth.
model = Model(
    name="kerr_oscillator",
    hamiltonian=chi * star(number, number, space),
    space=space,
    hbar=1,
    state=CoherentState(x0=2),
    times=(0, float(pi), 13),
    observe=[x, p, x**2, observables.energy, observables.purity, observables.negativity],
    checks=[
        limits.revivals(),
        limits.oscillator_basis(),
        limits.conserved("energy", "norm", "purity"),
    ],
    options={"tolerance": 1e-6},
    references=["B. Yurke, D. Stoler, Phys. Rev. Lett. 57, 13 (1986)"],
)
