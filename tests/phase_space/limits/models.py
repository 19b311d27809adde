"""Models that the limits are run on, and the ways in which their physics is broken."""

import sympy as sp

from qnnsym import Model
from qnnsym.checks.check import FAIL, NOT_APPLICABLE, PASS, Context
from qnnsym.phase_space import GaussianState, PhaseSpace, evolve_wigner
from qnnsym.phase_space.equation import MoyalEquation

space = PhaseSpace("x", "p")
(x,), (p,), hbar = space.x, space.p, space.hbar
plane = PhaseSpace("x y", "px py")

QUARTIC = p**2 / 2 + x**4 / 4
PENDULUM = p**2 / 2 + 1 - sp.cos(x)
OSCILLATOR = p**2 / 2 + x**2 / 2
FREE = p**2 / 2
FALLING = p**2 / 2 + x

PACKET = GaussianState(a=sp.sqrt(hbar), x0=1)


def model(H=QUARTIC, **fields):
    arguments = {"space": space, "hbar": 0.1, "state": PACKET, "times": (0, 1, 5), **fields}
    return Model("example", H, **arguments)


def solved(one, **options):
    """The context of a run."""
    found = evolve_wigner(
        one.hamiltonian, one.state, one.times, hbar=one.hbar, space=one.space, values=one.values,
        **{"tolerance": 1e-8, **one.options, **options},
    )  # fmt: skip
    return Context(one, solution=found)


def verdicts(rows):
    assert all(row.verdict in (PASS, FAIL, NOT_APPLICABLE) and row.name and row.quantity for row in rows)
    return [row.verdict for row in rows]


def _first_correction(kinetic, potential, to):
    """The potential factor with its quantum part multiplied."""
    classical = potential.subs(hbar, 0) if potential.is_polynomial(hbar) else sp.limit(potential, hbar, 0)
    return kinetic, classical + to * (potential - classical)


BREAKS = {
    "potential flipped": lambda K, V: (K, -V),
    "kinetic flipped": lambda K, V: (-K, V),
    "both flipped": lambda K, V: (-K, -V),
    "kinetic dropped": lambda K, V: (sp.S.Zero, V),
    "potential dropped": lambda K, V: (K, sp.S.Zero),
    "hbar squared doubled": lambda K, V: (K, V.subs(hbar, sp.sqrt(2) * hbar)),
    "hbar for hbar squared": lambda K, V: (K, V.subs(hbar, sp.sqrt(hbar))),
    "hbar to the 3/2": lambda K, V: (K, V.subs(hbar, hbar ** sp.Rational(3, 4))),
    "no quantum part": lambda K, V: _first_correction(K, V, 0),
    "quantum part flipped": lambda K, V: _first_correction(K, V, -1),
    "one part in a thousand": lambda K, V: (K, V * sp.Rational(1001, 1000)),
    "V(x, 0) not zero": lambda K, V: (K, V + x**2),
}


def break_physics(monkeypatch, what, orders="all"):
    """Every evolution from now on is that of a wrong equation; `orders`: of which truncations."""
    right = MoyalEquation.split

    def split(self, order=None):
        factors = right(self, order)
        return BREAKS[what](*factors) if orders == "all" or order in orders else factors

    monkeypatch.setattr(MoyalEquation, "split", split)
    # A wrong flow leaves every grid; larger ones would only take longer to say so.
    monkeypatch.setattr("qnnsym.phase_space.numerics.ATTEMPTS", 0)
