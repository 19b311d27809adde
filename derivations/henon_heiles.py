# %%
"""Henon-Heiles: two coupled degrees of freedom, whose coupling entangles them while the whole stays pure."""

from qnnsym import Model
from qnnsym.phase_space import CoherentState, PhaseSpace, limits, observables

space = PhaseSpace("x y", "px py")
(x, y), (px, py) = space.x, space.p
(coupling,) = space.parameters(coupling="1/12")

# %%
model = Model(
    name="henon_heiles",
    hamiltonian=(px**2 + py**2 + x**2 + y**2) / 2 + coupling * (x**2 * y - y**3 / 3),
    space=space,
    hbar=1,
    state=CoherentState(x0=(1, 0), p0=(0, "1/2")),
    times=(0, 2, 6),
    observe=[x, y, px, py, x**2, x * y, observables.energy, observables.purity, observables.negativity],
    checks=[
        limits.oscillator_basis(tolerance=2e-5),
        limits.conserved("energy", "norm", "purity"),
        limits.correction_order(time=0.3),
    ],
    options={"tolerance": 1e-4},
    references=["M. Henon, C. Heiles, Astron. J. 69, 73 (1964)"],
)
