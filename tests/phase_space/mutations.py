"""Wrong Moyal equations made from a right one: every row, factor and part changed in every way that a slip would."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

import sympy as sp

from qnnsym.derivation.step import Derivation
from qnnsym.errors import ObligationFailed
from qnnsym.phase_space.equation import MoyalEquation, Term, moyal_equation
from qnnsym.phase_space.fields import ORDERS
from qnnsym.phase_space.space import PhaseSpace
from qnnsym.phase_space.steps import DEFAULT_ORDER, steps


@dataclass(frozen=True)
class WrongFactors(MoyalEquation):
    """An equation whose split() returns what it is told to."""

    wrong: tuple = ()  # ((order, (K, V)), ...)

    def split(self, order=None):
        return dict(self.wrong)[order]


def shifted(orders: tuple[int, ...], by: int) -> tuple[int, ...]:
    return (max(0, orders[0] + by), *orders[1:])


def wrong_rows(row: Term, space) -> Iterator[tuple[str, Term]]:
    c = row.coefficient
    yield "sign flipped", row._replace(coefficient=-c)
    yield "coefficient doubled", row._replace(coefficient=2 * c)
    yield "coefficient off by a thousandth", row._replace(coefficient=c * sp.Rational(1001, 1000))
    yield "(2s+1)! forgotten", row._replace(coefficient=c * sp.factorial(sum(row.dx) + sum(row.dp) + 1))
    yield "hbar once more", row._replace(hbar_power=row.hbar_power + 1)
    yield "hbar squared more", row._replace(hbar_power=row.hbar_power + 2)
    if row.hbar_power:
        yield "hbar squared less", row._replace(hbar_power=row.hbar_power - 2)
    yield "x for p in the derivatives", row._replace(dx=row.dp, dp=row.dx)
    yield "one derivative more", row._replace(dp=shifted(row.dp, 1))
    yield "one derivative in x more", row._replace(dx=shifted(row.dx, 1))
    if row.dp[0]:
        yield "one derivative less", row._replace(dp=shifted(row.dp, -1))
    yield "coefficient differentiated once more", row._replace(coefficient=c * space.x[0])
    for old, new in zip(space.x, space.p, strict=True):
        if c.has(old):
            yield f"{new} for {old} in the coefficient", row._replace(coefficient=c.xreplace({old: new}))
        if c.has(new):
            yield f"{old} for {new} in the coefficient", row._replace(coefficient=c.xreplace({new: old}))


def wrong_tables(table: MoyalEquation) -> Iterator[tuple[str, MoyalEquation]]:
    """Every table in which one row is wrong, missing or twice there."""
    rows = table.terms
    for n, row in enumerate(rows):
        before, after = rows[:n], rows[n + 1 :]
        yield f"row {n}: dropped", replace(table, _rows=before + after)
        yield f"row {n}: twice", replace(table, _rows=(*before, row, row, *after))
        for what, wrong in wrong_rows(row, table.space):
            yield f"row {n}: {what}", replace(table, _rows=(*before, wrong, *after))
    extra = Term(2, sp.Integer(1), (0,) * table.space.dimension, (3,) + (0,) * (table.space.dimension - 1))
    yield "a row too many", replace(table, _rows=(*rows, extra))


def wrong_expressions(expression: sp.Expr, hbar: sp.Symbol, pairs: dict) -> Iterator[tuple[str, sp.Expr]]:
    yield "sign flipped", -expression
    yield "doubled", 2 * expression
    yield "gone", sp.S.Zero
    if expression.has(hbar):
        yield "hbar doubled", expression.subs(hbar, 2 * hbar)
        yield "another power of hbar", expression.subs(hbar, hbar**2)
    terms = sp.Add.make_args(sp.expand(expression))
    for n, term in enumerate(terms):
        if len(terms) > 1:
            yield f"term {n} dropped", expression - term
        yield f"term {n} flipped", expression - 2 * term
        yield f"term {n} off by a thousandth", expression + term / 1000
    for old, new in pairs.items():
        if expression.has(old):
            yield f"{new} for {old}", expression.xreplace({old: new})
            yield f"{old} halved", expression.subs(old, old / 2)


def wrong_factors(exact: MoyalEquation) -> Iterator[tuple[str, MoyalEquation]]:
    """Every equation in which one factor of one order, as kernels are generated from it, is wrong."""
    space = exact.space
    right = {order: exact.split(order) for order in ORDERS}
    fields = {name: getattr(exact, name) for name in exact.__dataclass_fields__}
    (x,), (p,), (k,), (theta,) = space.x, space.p, space.k, space.theta
    for order, (kinetic, potential) in right.items():
        for what, wrong in wrong_expressions(kinetic, space.hbar, {p: x, k: theta}):
            yield (
                f"K to {order}: {what}",
                WrongFactors(**fields, wrong=tuple({**right, order: (wrong, potential)}.items())),
            )
        for what, wrong in wrong_expressions(potential, space.hbar, {x: p, theta: k}):
            yield (
                f"V to {order}: {what}",
                WrongFactors(**fields, wrong=tuple({**right, order: (kinetic, wrong)}.items())),
            )


def wrong_parts(exact: MoyalEquation) -> Iterator[tuple[str, MoyalEquation]]:
    """H taken apart wrongly."""
    t, u = exact.kinetic, exact.potential
    assert t is not None and u is not None
    (x,), (p,) = exact.space.x, exact.space.p
    yield "T and U exchanged", replace(exact, kinetic=u, potential=t)
    yield "U flipped", replace(exact, potential=-u)
    yield "T doubled", replace(exact, kinetic=2 * t)
    yield "x p on both sides", replace(exact, kinetic=t + x * p, potential=u - x * p)
    yield "a term of x in T", replace(exact, kinetic=t + x**3, potential=u - x**3)
    yield "U forgotten", replace(exact, potential=sp.S.Zero)


def wrong_hamiltonians(exact: MoyalEquation) -> Iterator[tuple[str, MoyalEquation]]:
    """The whole of another Hamiltonian under the name of this one."""
    space, h = exact.space, exact.hamiltonian
    (x,), (p,) = space.x, space.p
    for what, other in (
        ("x -> -x", h.subs(x, -x)), ("another scale of x", h.subs(x, 2 * x)), ("a cubic more", h + x**3 / 100),
        ("linear in p more", h + p),
    ):  # fmt: skip
        if sp.expand(other - h) != 0:
            yield f"H with {what}", replace(moyal_equation(other, space, exact.order), hamiltonian=h)


def examples() -> dict[str, MoyalEquation]:
    """Equations of every kind: a series that ends and one that does not, x and p mixed, two degrees of freedom."""
    space, plane = PhaseSpace("x", "p"), PhaseSpace("x y", "px py")
    (x,), (p,), (x1, y1), (px, py) = space.x, space.p, plane.x, plane.p
    m, g = space.parameters(m=1, g=1)
    return {
        "quartic": moyal_equation(p**2 / (2 * m) + g * x**4 / 4, space),
        "pendulum": moyal_equation(p**2 / 2 + 1 - sp.cos(x), space),
        "relativistic": moyal_equation(sp.sqrt(1 + p**2) + x**6 - x**3, space),
        "mixed": moyal_equation(x**2 * p**2 / 2 + x**3 * p**3 + x**5, space),
        "henon_heiles": moyal_equation((px**2 + py**2 + x1**2 + y1**2) / 2 + x1**2 * y1 - y1**3 / 3, plane),
    }


def mutants(exact: MoyalEquation) -> Iterator[tuple[str, MoyalEquation, MoyalEquation]]:
    """(what is wrong, the equation with all orders, the table), as `steps` takes them."""
    table = exact if exact.exact else moyal_equation(exact.hamiltonian, exact.space, DEFAULT_ORDER)
    for what, wrong in wrong_tables(table):
        yield what, wrong if exact.exact else exact, wrong
    if exact.separable and exact.space.dimension == 1:
        for what, wrong in wrong_factors(exact):
            yield what, wrong, table
        for what, wrong in wrong_parts(exact):
            yield what, wrong, table
    if exact.exact and exact.space.dimension == 1:
        for what, wrong in wrong_hamiltonians(exact):
            yield what, wrong, wrong


def catches(exact: MoyalEquation, table: MoyalEquation) -> str | None:
    """Title of the step that fails, None where all of them are proved."""
    derivation = Derivation("mutant")
    try:
        derivation.prove(steps(exact, table))
    except ObligationFailed:
        return derivation.steps[-1][0].title
    return None


def main() -> int:
    total, escaped = 0, []
    for name, equation in examples().items():
        found = [(what, catches(exact, table)) for what, exact, table in mutants(equation)]
        alive = [f"{name}: {what}" for what, title in found if title is None]
        print(f"{name}: {len(found) - len(alive)} of {len(found)} caught", flush=True)
        total, escaped = total + len(found), escaped + alive
    print(f"{total - len(escaped)} of {total} caught", *escaped, sep="\n")
    return int(len(escaped) > 0.05 * total)


if __name__ == "__main__":
    sys.exit(main())
