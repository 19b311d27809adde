# %%
"""Hamilton-Jacobi: complete integrals by separation, their trajectories, and what is lost with their constants."""

from sympy import exp, sqrt

from qnnsym import Model
from qnnsym.phase_space import GaussianState, PhaseSpace, limits

space = PhaseSpace("x", "p")
(x,), (p,) = space.x, space.p
m, k = space.parameters(m=1, k=1)
oscillator = p**2 / (2 * m) + k * x**2 / 2

# %%
plane, polar = PhaseSpace("x y", "px py"), PhaseSpace("r phi", "p_r p_phi")
(a, b), (pa, pb) = plane.x, plane.p
(r, phi), (pr, pphi) = polar.x, polar.p
number = {m: 1, k: 1}

# %%
model = Model(
    name="hamilton_jacobi",
    hamiltonian=oscillator,
    space=space,
    hbar=0.2,
    state=GaussianState(a=sqrt(space.hbar), x0=1),
    times=(0, 3, 13),
    observe=[x, p],
    checks=[
        limits.harmonic(),
        limits.complete_integrals("Free particle", p**2 / (2 * m), space, [0.3], [0.7], number),
        limits.complete_integrals("Oscillator", oscillator, space, [0.3], [-0.7], number),
        limits.complete_integrals("Kepler", pr**2 / 2 + pphi**2 / (2 * r**2) - 1 / r, polar, [1, 0], [0.3, 1.1]),
        limits.complete_integrals(
            "Central force", pr**2 / 2 + pphi**2 / (2 * r**2) + r**4 / 4, polar, [1, 0], [0.3, 0.8]
        ),
        limits.complete_integrals("Toda", pa**2 / 2 + pb**2 / 2 + exp(a - b), plane, [0.3, 1], [0.7, -0.2]),
        limits.classical_wave(oscillator, space),
    ],
    references=[
        "H. Goldstein, Classical Mechanics (3rd ed., 2002)",
        "J. H. Van Vleck, Proc. Natl. Acad. Sci. 14 (1928) 178",
    ],
)
