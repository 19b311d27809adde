"""What must hold for phase-space models, as specifications that a model carries in `checks`.

    harmonic, free       exact flows that every propagator has to reproduce
    classical            hbar -> 0: the Liouville flow, at the rate that the widths of the state allow
    truncated            the series in hbar, cut: exact where it ends, else of the next order
    schroedinger         Schrodinger's equation in a basis, then the Wigner transform
    conserved            norm, purity, energy along the run
    terms                exact powers of hbar of the Moyal terms, states by potentials by measures, seen in numbers
    corrections          when the first correction is as large as the classical term, at a saddle
    breaking             when quantum and classical expectation values part
    splitting_orders     every composition converges with its order in the time step
"""

from qnnsym.phase_space.limits.basis import schroedinger
from qnnsym.phase_space.limits.breaking import breaking, corrections
from qnnsym.phase_space.limits.conservation import conserved
from qnnsym.phase_space.limits.exact import free, harmonic
from qnnsym.phase_space.limits.liouville import classical
from qnnsym.phase_space.limits.series import truncated
from qnnsym.phase_space.limits.splitting import splitting_orders
from qnnsym.phase_space.limits.terms import terms

__all__ = [
    "breaking", "classical", "conserved", "corrections", "free", "harmonic", "schroedinger", "splitting_orders",
    "terms", "truncated",
]  # fmt: skip
