"""Operators that are not words in X and P: the parity, and |n><m| of a harmonic oscillator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef

from qnnsym.errors import InputError
from qnnsym.phase_space.space import PhaseSpace


class Parity(sp.Expr):
    """The parity |x> -> |-x> of all degrees of freedom; made by `PhaseSpace.parity`. Its square is 1."""

    is_commutative = False
    is_hermitian = True

    def __new__(cls, dimension: Any) -> Parity:
        return super().__new__(cls, sp.sympify(dimension))

    def _eval_power(self, exponent: sp.Expr) -> sp.Expr | None:
        if exponent.is_Integer:
            return self if exponent % 2 else sp.S.One
        return None

    def _eval_adjoint(self) -> Parity:
        return self

    def _sympystr(self, printer: Any) -> str:
        return "Parity"

    def _latex(self, printer: Any) -> str:
        return r"\hat\Pi"


class KetBra(sp.Expr):
    """|n><m| of a harmonic oscillator, a product over degrees of freedom; made by `PhaseSpace.ket_bra`.

    Attributes:
        n, m: tuples of non-negative integers.
        stiffness: mass times frequency per degree of freedom; the ground state is exp(-stiffness x^2/(2 hbar)).
    """

    is_commutative = False

    def __new__(cls, n: Any, m: Any, stiffness: Any) -> KetBra:
        return super().__new__(cls, sp.Tuple(*n), sp.Tuple(*m), sp.Tuple(*stiffness))

    @property
    def n(self) -> tuple[int, ...]:
        return tuple(int(i) for i in self.args[0])

    @property
    def m(self) -> tuple[int, ...]:
        return tuple(int(i) for i in self.args[1])

    @property
    def stiffness(self) -> tuple[sp.Expr, ...]:
        return tuple(self.args[2])

    def _eval_power(self, exponent: sp.Expr) -> sp.Expr | None:
        if exponent.is_Integer and exponent > 1:
            return self if self.n == self.m else sp.S.Zero
        return None

    def _eval_adjoint(self) -> KetBra:
        return KetBra(self.m, self.n, self.stiffness)

    def _sympystr(self, printer: Any) -> str:
        return f"|{_label(self.n)}><{_label(self.m)}|"

    def _latex(self, printer: Any) -> str:
        return rf"|{_label(self.n)}\rangle\langle{_label(self.m)}|"


def to_operators(f: Any, space: PhaseSpace) -> Any:
    """A function of commuting variables as the same function of the operators.

    SymPy lets undefined functions that were declared real, and Abs, commute with everything, whatever their argument;
    the functions in the result do not.

    Raises:
        InputError: for a function that SymPy would let commute nevertheless.
    """
    result = f.xreplace(space.operator_of)
    result = result.replace(sp.Abs, lambda a: sp.sqrt(a**2) if not a.is_commutative else sp.Abs(a))
    functions = {g: _operator_function(g.func)(*g.args) for g in _commuting_functions(result, space)}
    result = result.xreplace(functions)
    lost = next(commuting_pieces(result, space), None)
    if lost is not None:
        raise InputError(
            f"{f} holds {lost}, which SymPy lets commute with every operator although it is a function of one, so that "
            "the order of factors would be lost; write it with powers, exponentials and other smooth functions."
        )
    return result


def to_variables(operator: Any, space: PhaseSpace) -> Any:
    """A function of operators that commute with each other as the same function of the variables."""
    result = operator.xreplace({o: v for v, o in space.operator_of.items()})
    functions = {g: g.func.of(*g.args) for g in result.atoms(AppliedUndef) if hasattr(g.func, "of")}
    return result.xreplace(functions)


def commuting_pieces(expression: Any, space: PhaseSpace) -> Iterator[Any]:
    """Pieces that are functions of operators and that SymPy takes for commuting numbers."""
    operators = {*space.X, *space.P}
    for piece in sp.preorder_traversal(expression):
        if (
            isinstance(piece, sp.Expr)
            and not piece.is_Add
            and not piece.is_Mul
            and piece.is_commutative
            and not piece.free_symbols.isdisjoint(operators)
        ):
            yield piece


def _commuting_functions(expression: Any, space: PhaseSpace) -> list[Any]:
    return [g for g in commuting_pieces(expression, space) if isinstance(g, AppliedUndef)]


def _operator_function(function: Any) -> Any:
    """The undefined function of that name whose values do not commute; it remembers the one it stands for."""
    found = sp.Function(function.__name__, commutative=False, hermitian=True)
    found.of = function
    return found


def _label(numbers: tuple[int, ...]) -> str:
    return ",".join(map(str, numbers))


def ket_bra(space: PhaseSpace, n: Any, m: Any, mass: Any, omega: Any) -> KetBra:
    """The operator behind `PhaseSpace.ket_bra`, where arguments and errors are described."""
    from qnnsym.phase_space.states import _spread, _values

    numbers = []
    for name, value in (("n", n), ("m", m)):
        entries = _values(value, f"The quantum number {name}")
        for entry in entries:
            if not (entry.is_Integer and entry.is_nonnegative):
                raise InputError(f"The quantum number {name} is {entry}; |n><m| needs non-negative integers.")
        numbers.append(_spread(entries, space, name))
    masses = _spread(_values(mass, "The mass", positive=True), space, "mass")
    omegas = _spread(_values(omega, "The frequency omega", positive=True), space, "omega")
    return KetBra(*numbers, [a * b for a, b in zip(masses, omegas, strict=True)])


def ladder_operators(
    space: PhaseSpace, mass: Any = 1, omega: Any = 1
) -> tuple[tuple[sp.Expr, ...], tuple[sp.Expr, ...]]:
    """Annihilation and creation operators as expressions in X and P.

    Arguments:
        space: the phase space.
        mass, omega: the oscillator, one value or one per degree of freedom (positive).

    Returns:
        (a, a_dagger), tuples over degrees of freedom, a = (m omega X + i P)/sqrt(2 m omega hbar).

    Raises:
        InputError: for a mass or frequency that is not positive.
    """
    down, up = [], []
    for X, P, stiffness in zip(space.X, space.P, oscillator(space, mass, omega), strict=True):
        unit = sp.sqrt(2 * stiffness * space.hbar)
        down.append(stiffness / unit * X + sp.I / unit * P)
        up.append(stiffness / unit * X - sp.I / unit * P)
    return tuple(down), tuple(up)


def oscillator(space: PhaseSpace, mass: Any, omega: Any) -> list[sp.Expr]:
    """mass times omega per degree of freedom; the oscillator length is sqrt(hbar/(mass omega))."""
    return list(ket_bra(space, 0, 0, mass, omega).stiffness)
