"""Write polynomials in ring generators as canonical SymPy expressions, without SymPy's own simplification.

SymPy would sort the terms of a sum by a recursive comparison in Python; for a thousand terms that costs more
than the Moyal bracket. Here each distinct factor is compared once, and terms are sorted by tuples of ranks in
the same order.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cmp_to_key
from typing import Any

import sympy as sp
from sympy.core.basic import Basic, ordering_of_classes

from qnnsym.phase_space.collect import Generator

_CLASS_RANK = {name: i for i, name in enumerate(ordering_of_classes)}
_UNKNOWN = len(ordering_of_classes) + 1
_SINGLE = {
    (0, 1): sp.S.Zero,
    (1, 1): sp.S.One,
    (-1, 1): sp.S.NegativeOne,
    (1, 2): sp.S.Half,
}


def _class_key(expression: Basic) -> tuple[int, str]:
    """Position of a class in SymPy's canonical order; classes unknown to that order are compared by name."""
    name = type(expression).__name__
    rank = _CLASS_RANK.get(name, _UNKNOWN)
    return rank, name if rank == _UNKNOWN else ""


class Printer:
    """Writes polynomials over one tuple of generators.

    Arguments:
        generators: those of the ring, in the order of its exponent tuples.
    """

    def __init__(self, generators: Sequence[Generator]):
        families: dict[sp.Expr, list[int]] = {}
        for i, g in enumerate(generators):
            families.setdefault(g.base, []).append(i)
        self._generators = generators
        self._single = [members[0] for members in families.values() if len(members) == 1]
        self._several = [members for members in families.values() if len(members) > 1]
        self._factors: dict[Any, sp.Expr] = {}
        exponentials = sum(1 for g in generators if g.kind == "exp")
        # Dependent exponents (exp(x), exp(y), exp(x+y)) and radicals of numbers combine: SymPy has to do it
        # then.
        self._simple = (
            exponentials <= 1
            or (exponentials == len(families.get(sp.S.Exp1, ()))
            and _one_argument(generators))
        )
        self._simple = self._simple and not any(
            g.base.is_number and g.base is not sp.S.Exp1 and g.kind in ("root", "power", "inverse")
            for g in generators
        )

    def expression(self, poly: Any) -> Any:
        """The canonical sum of the polynomial's terms."""
        monomials = poly.to_dict()
        if not monomials:
            return sp.S.Zero
        split = [(self._split(exponents), coefficient) for exponents, coefficient in monomials.items()]
        if not self._simple:
            return sp.Add(
                *(
                    sp.Mul(sp.Rational(int(c.p), int(c.q)), *(self._factors[k] for k in keys))
                    for keys, c in split
                )
            )
        used = {k for keys, _ in split for k in keys}
        ordered = sorted(used, key=cmp_to_key(lambda a, b: self._factors[a].compare(self._factors[b])))
        factors = [self._factors[k] for k in ordered]
        rank = {k: i for i, k in enumerate(ordered)}
        class_keys = [_class_key(f) for f in factors]
        sort_keys = [(*class_keys[i], i, 0) for i in range(len(factors))]
        mul_key = _class_key(sp.Mul(sp.Symbol("a"), sp.Symbol("b")))
        constant = None
        terms: list[tuple[Any, Any]] = []
        new_mul = sp.Mul._from_args
        for keys, c in split:
            number, number_key = _number(c)
            if not keys:
                constant = number
                continue
            ranks = sorted([rank[k] for k in keys])
            if number is sp.S.One:
                if len(ranks) == 1:
                    i = ranks[0]
                    terms.append(((*class_keys[i], 0, [sort_keys[i]]), factors[i]))
                    continue
                args = [factors[i] for i in ranks]
                key = (*mul_key, len(args), [sort_keys[i] for i in ranks])
            else:
                args = [number, *[factors[i] for i in ranks]]
                key = (*mul_key, len(args), [number_key, *[sort_keys[i] for i in ranks]])
            terms.append((key, new_mul(args, True)))
        terms.sort(key=_first)
        args = [t for _, t in terms]
        if constant is not None:
            args.insert(0, constant)
        return args[0] if len(args) == 1 else sp.Add._from_args(args, True)

    def _split(self, exponents: tuple[int, ...]) -> list[Any]:
        """The keys of the factors of a monomial; powers of one base are one factor."""
        keys: list[Any] = []
        factors = self._factors
        for i in self._single:
            n = exponents[i]
            if n:
                key = (i, int(n))
                if key not in factors:
                    g = self._generators[i]
                    factors[key] = g.expr if n == 1 else sp.Pow(g.base, g.exponent * int(n))
                keys.append(key)
        for members in self._several:
            powers = tuple(int(exponents[i]) for i in members)
            if any(powers):
                key = (members[0], powers)
                if key not in factors:
                    total = sp.Add(
                        *(self._generators[i].exponent * n for i, n in zip(members, powers, strict=True))
                    )
                    factors[key] = sp.Pow(self._generators[members[0]].base, total)
                if factors[key] is not sp.S.One:
                    keys.append(key)
        return keys


def _one_argument(generators: Sequence[Generator]) -> bool:
    return len({g.argument for g in generators if g.kind == "exp"}) == 1


def _first(pair: tuple[Any, Any]) -> Any:
    return pair[0]


def _number(c: Any) -> tuple[Any, tuple[int, str, int, int]]:
    """A flint rational as a SymPy one, with the key that sorts it as SymPy does."""
    p, q = int(c.p), int(c.q)
    number = _SINGLE.get((p, q))
    if number is None:
        if q == 1:
            number = sp.Integer(p)
        else:
            # Already in lowest terms, so the constructor's gcd is skipped; SymPy's stubs do not list `_new`.
            number = sp.Rational._new(p, q, 1)  # type: ignore[attr-defined]
    name = type(number).__name__
    return number, (_CLASS_RANK[name], "", p, q)
