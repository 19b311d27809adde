"""A phase space: the symbols of its canonical pairs, of hbar and time, and its declared parameters."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import sympy as sp

from qnnsym.equations.numbers import exact_number
from qnnsym.errors import InputError

if TYPE_CHECKING:
    from qnnsym.phase_space.ring import Element

# SymPy prints these as constants, so a variable of that name could not be told from them.
RESERVED = ("hbar", "h", "t", "I", "E", "pi", "oo", "zoo", "nan")


class PhaseSpace:
    """The phase space of canonical pairs (x_i, p_i) with symbolic hbar.

    Arguments:
        x, p: names of the positions and momenta, separated by blanks or commas ("x", "p" or "x y", "px py").

    Attributes:
        x, p: tuples of real Symbols.
        X, P: tuples of non-commuting, Hermitian operator Symbols, printed with a hat.
        hbar, h: positive Symbols (h = 2 pi hbar is not substituted).
        t: the real Symbol of time in driven Hamiltonians.
        k, theta: tuples of real Symbols conjugate to x and p: W^(k, p) = int e^{-ikx} W dx and
            W^(x, theta) = int e^{-ip theta} W dp.
        defaults: {Symbol: exact number} of the declared parameters.

    Raises:
        InputError: for names that are not identifiers, repeated, reserved, or not as many as their partners.
    """

    room = "qnnsym.phase_space"

    def __init__(self, x: str | Iterable[str] = "x", p: str | Iterable[str] = "p"):
        names_x, names_p = _names(x, "positions"), _names(p, "momenta")
        if len(names_x) != len(names_p):
            raise InputError(
                f"PhaseSpace was given {len(names_x)} position(s) ({', '.join(names_x)}) and {len(names_p)} "
                f"momentum name(s) ({', '.join(names_p)}); every position needs its own momentum."
            )
        names = [*names_x, *names_p]
        repeated = sorted({n for n in names if names.count(n) > 1})
        if repeated:
            raise InputError(
                f"The name(s) {', '.join(repeated)} occur twice in PhaseSpace; give each variable its own "
                f"name."
            )
        self.x: tuple[sp.Symbol, ...] = tuple(sp.Symbol(n, real=True) for n in names_x)
        self.p: tuple[sp.Symbol, ...] = tuple(sp.Symbol(n, real=True) for n in names_p)
        self.X: tuple[sp.Symbol, ...] = tuple(_operator(n) for n in names_x)
        self.P: tuple[sp.Symbol, ...] = tuple(_operator(n) for n in names_p)
        self.hbar = sp.Symbol("hbar", positive=True)
        self.h = sp.Symbol("h", positive=True)
        self.t = sp.Symbol("t", real=True)
        self.defaults: dict[sp.Symbol, sp.Expr] = {}

    @property
    def dimension(self) -> int:
        """The number of degrees of freedom."""
        return len(self.x)

    @property
    def variables(self) -> tuple[sp.Symbol, ...]:
        """The positions followed by the momenta."""
        return self.x + self.p

    @property
    def operator_of(self) -> dict[sp.Symbol, sp.Symbol]:
        """{variable: operator} of all positions and momenta."""
        return dict(zip(self.variables, self.X + self.P, strict=True))

    @property
    def k(self) -> tuple[sp.Symbol, ...]:
        """Real Symbols of the wave numbers conjugate to x."""
        return self._conjugate("k")

    @property
    def theta(self) -> tuple[sp.Symbol, ...]:
        """Real Symbols conjugate to p, labelled by the position: theta_x shifts x by hbar theta_x/2."""
        return self._conjugate("theta")

    def _conjugate(self, stem: str) -> tuple[sp.Symbol, ...]:
        taken = {s.name for s in (*self.variables, *self.defaults)}
        names = [stem] if self.dimension == 1 else [f"{stem}_{x.name}" for x in self.x]
        # A parameter called k (a spring constant) keeps its name; the wave number gives way.
        while taken & set(names):
            names = [f"{n}_{x.name}" for n, x in zip(names, self.x, strict=True)]
        return tuple(sp.Symbol(n, real=True) for n in names)

    def parameters(self, **values: Any) -> tuple[sp.Symbol, ...]:
        """Declare positive parameters with exact numeric defaults.

        Arguments:
            values: name=default; decimals become the Rational their text says (0.1 is 1/10).

        Returns:
            A tuple of positive Symbols in the order given; the defaults are kept in `defaults`.

        Raises:
            InputError: for a default that is not a finite non-negative number or a name the space already
                uses.
        """
        symbols = []
        for name, value in values.items():
            _check_name(name, "a parameter")
            if any(name == s.name for s in self.variables):
                raise InputError(
                    f"The parameter {name} has the name of a phase-space variable of {self!r}; rename one "
                    f"of them."
                )
            number = exact_number(value, f"The default of the parameter {name}")
            if number.is_negative:
                raise InputError(
                    f"The parameter {name} is declared positive and was given {value}; write the sign in the "
                    "Hamiltonian and give the magnitude here."
                )
            symbol = sp.Symbol(name, positive=True)
            self.defaults[symbol] = number
            symbols.append(symbol)
        return tuple(symbols)

    def polynomial(self, f: Any) -> Element:
        """The exact element of the fast engine that stands for f; star and moyal_bracket take and return it.

        Arguments:
            f: SymPy expression in x, p, hbar and any parameters (polynomials and functions closed under d/dx,
                d/dp).

        Returns:
            A ring element; `.as_expr()` prints it.

        Raises:
            InputError: when f does not close under differentiation (an undefined function, Abs, ...).
        """
        from qnnsym.phase_space.ring import element

        return element(f, self)

    def parity(self) -> sp.Expr:
        """The parity operator |x> -> |-x> (all degrees of freedom), for words given to weyl_symbol."""
        from qnnsym.phase_space.weyl.operators import Parity

        return Parity(self.dimension)

    def ket_bra(self, n: Any, m: Any, mass: Any = 1, omega: Any = 1) -> sp.Expr:
        """The operator |n><m| of a harmonic oscillator, for words given to weyl_symbol.

        Arguments:
            n, m: non-negative integers, or tuples of them over degrees of freedom.
            mass, omega: the oscillator (positive), one value or one per degree of freedom.

        Raises:
            InputError: for quantum numbers that are not non-negative integers.
        """
        from qnnsym.phase_space.weyl.operators import ket_bra

        return ket_bra(self, n, m, mass, omega)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PhaseSpace) and (self.x, self.p) == (other.x, other.p)

    def __hash__(self) -> int:
        return hash((self.x, self.p))

    def __repr__(self) -> str:
        x, p = (" ".join(s.name for s in group) for group in (self.x, self.p))
        return f'PhaseSpace("{x}", "{p}")'


def _names(text: str | Iterable[str], what: str) -> list[str]:
    if isinstance(text, str):
        names = re.split(r"[\s,]+", text.strip()) if text.strip() else []
    else:
        names = list(text) if isinstance(text, Iterable) else [text]
    if not names:
        raise InputError(
            f'PhaseSpace was given no names of {what}; write them as in PhaseSpace("x y", "px py").'
        )
    for name in names:
        _check_name(name, f"one of the {what}")
    return names


def _check_name(name: Any, what: str) -> None:
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        raise InputError(
            f"{name!r} cannot name {what}; use letters, digits and underscores, starting with a letter."
        )
    if name in RESERVED:
        raise InputError(
            f"{name!r} cannot name {what} because it is reserved for a constant of the space; choose "
            f"another name."
        )


def _operator(name: str) -> sp.Symbol:
    stem, _, index = name.partition("_")
    # SymPy typesets a trailing "hat" as an accent.
    return sp.Symbol(f"{stem}hat_{index}" if index else f"{stem}hat", commutative=False, hermitian=True)
