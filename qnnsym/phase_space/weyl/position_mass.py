"""Kinetic energies of a mass that depends on position, in the usual orderings.

    T = (1/4) (m^a P m^b P m^c + m^c P m^b P m^a),    a + b + c = -1

All have the symbol p^2/(2m) and differ by a term of order hbar^2 in m' and m''.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from qnnsym.equations.numbers import exact_decimals
from qnnsym.errors import InputError
from qnnsym.phase_space.space import PhaseSpace
from qnnsym.phase_space.weyl import check_operator
from qnnsym.phase_space.weyl.operators import to_variables
from qnnsym.phase_space.weyl.quantize import weyl_quantize

# The exponents (a, b, c).
ORDERINGS = {
    "bendaniel-duke": (0, -1, 0),
    "gora-williams": (-1, 0, 0),
    "zhu-kroemer": ("-1/2", 0, "-1/2"),
    "li-kuhn": (0, "-1/2", "-1/2"),
    "mustafa-mazharimousavi": ("-1/4", "-1/2", "-1/4"),
}


def kinetic_operator(mass: Any, space: PhaseSpace, ordering: str = "bendaniel-duke", exponents: Any = None) -> sp.Expr:
    """The kinetic energy of a mass that depends on position.

    Arguments:
        mass: the operator m(X), an expression in `space.X` and parameters or an undefined function of them.
        space: the phase space; the sum over its degrees of freedom is returned.
        ordering: "bendaniel-duke" (P 1/(2m) P), "weyl" (the quantisation of p^2/(2m)), "gora-williams",
            "zhu-kroemer", "li-kuhn" or "mustafa-mazharimousavi".
        exponents: (a, b, c) with a + b + c = -1, O. von Roos's family, instead of a named ordering.

    Returns:
        An operator in `space.X`, `space.P`; weyl_symbol gives its symbol.

    Raises:
        InputError: for an unknown ordering, exponents that do not sum to -1, or a mass that depends on P.

    Source: O. von Roos, Phys. Rev. B 27, 7547 (1983); D. J. BenDaniel and C. B. Duke, Phys. Rev. 152, 683 (1966).
    """
    m = check_operator(mass, space)
    if not m.free_symbols.isdisjoint(space.P):
        raise InputError(f"The mass {m} depends on a momentum; give a function of {', '.join(map(str, space.X))}.")
    if exponents is None and ordering == "weyl":
        kinetic = sp.Add(*(p**2 for p in space.p)) / (2 * to_variables(m, space))
        return weyl_quantize(sp.expand(kinetic), space)
    if exponents is None:
        if ordering not in ORDERINGS:
            raise InputError(
                f"{ordering!r} is not an ordering of the kinetic energy; choose one of weyl, {', '.join(ORDERINGS)}, "
                "or give exponents=(a, b, c) with a + b + c = -1."
            )
        exponents = ORDERINGS[ordering]
    try:
        a, b, c = (exact_decimals(sp.sympify(e)) for e in exponents)
    except (TypeError, ValueError):
        raise InputError(f"exponents is {exponents!r}; give three numbers or Symbols (a, b, c).") from None
    if sp.simplify(a + b + c) != -1:
        raise InputError(f"The exponents {a}, {b}, {c} of the mass sum to {a + b + c}; they have to sum to -1.")
    words = []
    for P in space.P:
        words += [m**a * P * m**b * P * m**c, m**c * P * m**b * P * m**a]
    return sp.expand_mul(sp.Add(*words) / 4)
