"""Symmetric compositions of two exactly solvable flows, as data: A(a1 h) B(b1 h) A(a2 h) ... B(bs h) A(a(s+1) h).

Because each is its own mirror image, its error has even powers of h only, and step halving measures it cleanly.

Sources: G. Strang, SIAM J. Numer. Anal. 5, 506 (1968); H. Yoshida, Phys. Lett. A 150, 262 (1990);
S. Blanes, P. C. Moan, J. Comput. Appl. Math. 142, 313 (2002), tables 2 and 3.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Composition:
    """A symmetric composition; both rows of coefficients are palindromes that sum to one.

    Arguments:
        name: what users call it.
        order: power of the step in the error at a fixed time.
        a: coefficients of the flow A, one more than b.
        b: coefficients of the flow B.
        source: the paper the coefficients are from.
    """

    name: str
    order: int
    a: tuple[float, ...]
    b: tuple[float, ...]
    source: str

    @property
    def stages(self) -> int:
        """Pairs of flows per step, the cost of a step once neighbouring steps are merged."""
        return len(self.b)


def _palindrome(half: tuple[float, ...], length: int) -> tuple[float, ...]:
    """The given half, the middle coefficient or two fixed by the sum, then the mirror image."""
    if length % 2:
        return (*half, 1.0 - 2.0 * sum(half), *half[::-1])
    middle = 0.5 - sum(half)
    return (*half, middle, middle, *half[::-1])


_GAMMA = 1.0 / (2.0 - 2.0 ** (1.0 / 3.0))
_BLANES_MOAN = "S. Blanes, P. C. Moan, J. Comput. Appl. Math. 142, 313 (2002)"

STRANG = Composition("strang", 2, (0.5, 0.5), (1.0,), "G. Strang, SIAM J. Numer. Anal. 5, 506 (1968)")
YOSHIDA_4 = Composition(
    "yoshida4",
    4,
    _palindrome((_GAMMA / 2,), 4),
    _palindrome((_GAMMA,), 3),
    "H. Yoshida, Phys. Lett. A 150, 262 (1990)",
)
BLANES_MOAN_4 = Composition(
    "blanes_moan4",
    4,
    _palindrome((0.0792036964311957, 0.353172906049774, -0.0420650803577195), 7),
    _palindrome((0.209515106613362, -0.143851773179818), 6),
    _BLANES_MOAN,
)
BLANES_MOAN_6 = Composition(
    "blanes_moan6",
    6,
    _palindrome((0.0502627644003922, 0.413514300428344, 0.0450798897943977, -0.188054853819569, 0.541960678450780), 11),
    _palindrome((0.148816447901042, -0.132385865767784, 0.067307604692185, 0.432666402578175), 10),
    _BLANES_MOAN,
)

COMPOSITIONS = {c.name: c for c in (STRANG, YOSHIDA_4, BLANES_MOAN_4, BLANES_MOAN_6)}
