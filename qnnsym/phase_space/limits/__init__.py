"""What must hold for phase-space models, as specifications that a model carries in `checks`.

    harmonic, free       exact flows that every propagator has to reproduce
    classical            hbar -> 0: the Liouville flow, at the rate that the widths of the state allow
    truncated            the series in hbar, cut: exact where it ends, else of the next order
    schroedinger         Schrodinger's equation in a basis, then the Wigner transform
    conserved            norm, purity, energy along the run
    refined              the proposed grid, step and tolerance: finer ones change nothing
    complete_integrals   trajectories from beta = dJ/dalpha, and what fixed constants lose
    classical_wave       exp(iJ/hbar) without and with Van Vleck's amplitude
    linear_flow          H at most quadratic: W is carried along classical trajectories
    revivals             levels quadratic in n: cats and revivals at rational times
    oscillator_basis     Schrodinger's equation in an oscillator basis, any polynomial H
    correction_order     W0 fixed: the exact evolution leaves the classical one as hbar^2, any polynomial H
    terms                exact powers of hbar of the Moyal terms, states by potentials by measures, seen in numbers
    corrections          when the first correction is as large as the classical term, at a saddle
    breaking             when quantum and classical expectation values part
    splitting_orders     every composition converges with its order in the time step
    damped_moments       open oscillators: decay of the moments, steady state
    madelung             the fluid in the moments of a pure W: pressure, its two equations, trajectories
    lyapunov, chaotic_breaking  driven H beside regular parameters: exponents of the flow, break times
    floquet, localisation  kicked rotors: the Floquet matrix, the standard map
"""

from qnnsym.phase_space.limits.basis import schroedinger
from qnnsym.phase_space.limits.breaking import breaking, corrections
from qnnsym.phase_space.limits.conservation import conserved
from qnnsym.phase_space.limits.correction import correction_order
from qnnsym.phase_space.limits.damped import damped_moments
from qnnsym.phase_space.limits.driven import chaotic_breaking, lyapunov
from qnnsym.phase_space.limits.exact import free, harmonic
from qnnsym.phase_space.limits.integrals import classical_wave, complete_integrals
from qnnsym.phase_space.limits.kicked import floquet, localisation
from qnnsym.phase_space.limits.linear import linear_flow
from qnnsym.phase_space.limits.liouville import classical
from qnnsym.phase_space.limits.madelung import madelung
from qnnsym.phase_space.limits.oscillator import oscillator_basis
from qnnsym.phase_space.limits.refinement import refined
from qnnsym.phase_space.limits.revivals import revivals
from qnnsym.phase_space.limits.series import truncated
from qnnsym.phase_space.limits.splitting import splitting_orders
from qnnsym.phase_space.limits.terms import terms

__all__ = [
    "breaking",
    "chaotic_breaking",
    "classical",
    "classical_wave",
    "complete_integrals",
    "conserved",
    "correction_order",
    "corrections",
    "damped_moments",
    "floquet",
    "free",
    "harmonic",
    "linear_flow",
    "localisation",
    "lyapunov",
    "madelung",
    "oscillator_basis",
    "refined",
    "revivals",
    "schroedinger",
    "splitting_orders",
    "terms",
    "truncated",
]
