# %%
"""Cat and mixture: the same two packets with and without coherence, and what of the difference survives hbar -> 0.

Mixing adds Wigner functions, superposing does not: the fringes between the packets are the difference. Position
decoherence removes them at the rate D (2b/hbar)^2 and leaves the packets, spread in momentum, behind.
"""

from sympy import Rational, cos, sqrt

from qnnsym import Model
from qnnsym.phase_space import CatMixture, CatState, GaussianState, PhaseSpace, classical_limit, limits, observables

space = PhaseSpace("x", "p")
(x,), (p,), hbar = space.x, space.p, space.hbar
m, k = space.parameters(m=1, k=1)
H = p**2 / (2 * m) + k * (1 - cos(x))
cat, mixture = CatState(a=Rational(1, 2), b=1), CatMixture(a=Rational(1, 2), b=1)

# %%
if __name__ == "__main__":
    for state in (cat, mixture):
        print(classical_limit(H, state, space))

# %%
model = Model(
    name="cat_and_mixture",
    hamiltonian=H,
    space=space,
    hbar=0.25,
    state=cat,
    times=(0, 6, 31),
    observe=[x**2, p**2, observables.energy, observables.purity, observables.negativity],
    checks=[
        limits.terms(
            states={
                "cat": cat, "mixture": mixture, "smeared cat": CatState(a=Rational(1, 2), b=1, c=Rational(1, 2)),
                "coherent": GaussianState(a=sqrt(hbar), x0=1),
            }
        ),
        limits.schroedinger(tolerance=1e-8),
        limits.conserved("energy", "norm", "purity"),
    ],
    references=["W. B. Case, Am. J. Phys. 76, 937 (2008)"],
)  # fmt: skip
