"""Every state of `states` as a sum of Gaussians with complex centres, and their exact moments.

    W = sum_j weight_j exp(-suppression_j) N(x; x_j, a_j) N(p; p_j + i mu_j, w_j)
    N(x; c, a) = exp(-(x-c)^2/a^2)/(sqrt(pi) a)

The fringe of a cat, cos(kappa p) times a Gaussian, is two such pieces with mu = -+ kappa w^2/2: its wave number is the
imaginary part of a centre, and what momentum smearing does to it needs no formula of its own, because smearing changes
w and leaves mu = b hbar/a^2 as it is. A Fock state is the coefficient of t^n of a Gaussian whose squared widths are
multiplied by (1 + t)/(1 - t), divided by 1 - t (the generating function of Laguerre's polynomials).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import comb
from typing import Any

import sympy as sp

from qnnsym.errors import InputError
from qnnsym.phase_space.space import PhaseSpace
from qnnsym.phase_space.states import CatMixture, CatState, FockState, GaussianState, Mixture, State, ThermalState

Row = tuple[sp.Expr, ...]


@dataclass(frozen=True)
class Piece:
    """One Gaussian of a Wigner function; rows have one entry per degree of freedom.

    Attributes:
        weight: its integral over phase space is weight * exp(-suppression).
        suppression: kept apart, because it may be beyond every power of hbar.
        x, p: real centres.
        mu: imaginary parts of the centres in p.
        a2, w2: squared widths.
        level: n of the Fock state of which this is the Gaussian factor; 0 is the Gaussian itself.
    """

    weight: sp.Expr
    suppression: sp.Expr
    x: Row
    a2: Row
    p: Row
    mu: Row
    w2: Row
    level: Row

    @property
    def integral(self) -> sp.Expr:
        """iint of the piece."""
        return self.weight * sp.exp(-self.suppression)


def pieces(state: Any, space: PhaseSpace) -> list[Piece]:
    """The pieces of a state.

    Arguments:
        state: one of the states of `qnnsym.phase_space`.
        space: its phase space.

    Returns:
        The pieces; both members of a conjugate pair are listed.

    Raises:
        InputError: for what is no such state.
    """
    if not isinstance(state, State):
        raise InputError(
            f"{state!r} is no state whose widths are declared; give GaussianState(...), CatState(...) or another "
            "state of qnnsym.phase_space, its widths as expressions in space.hbar."
        )
    if isinstance(state, Mixture):
        return [
            replace(piece, weight=weight * piece.weight)
            for weight, part in zip(state.weights, state.states, strict=True)
            if weight != 0
            for piece in pieces(part, space)
        ]
    rows = [tuple(tuple(entry) for entry in component) for component in state.components(space)]
    none = (sp.Integer(0),) * space.dimension
    if isinstance(state, FockState):
        m, o = ([entry[i] for entry in state._rows(space)] for i in (3, 4))
        return [
            Piece(
                sp.Integer(1), sp.Integer(0), rows[0][0],
                tuple(space.hbar / (mi * oi) for mi, oi in zip(m, o, strict=True)), rows[0][2], none,
                tuple(space.hbar * mi * oi for mi, oi in zip(m, o, strict=True)),
                tuple(entry[0] for entry in state._rows(space)),
            )
        ]  # fmt: skip
    if isinstance(state, (GaussianState, ThermalState, CatMixture)):
        share, overlap = sp.Rational(1, len(rows)), None
        if isinstance(state, CatState):
            (first, a, _, w), (second, _, _, _) = rows
            b = [(one - other) / 2 for one, other in zip(first, second, strict=True)]
            overlap = sp.Add(*(sp.cancel(bi**2 / ai**2) for ai, bi in zip(a, b, strict=True)))
            share = 1 / (2 * (1 + sp.exp(-overlap)))
        found = [Piece(share, sp.Integer(0), x, _squares(a), p, none, _squares(w), none) for x, a, p, w in rows]
        if overlap is not None:
            middle = tuple((one + other) / 2 for one, other in zip(first, second, strict=True))
            mu = tuple(sp.cancel(bi * space.hbar / ai**2) for ai, bi in zip(a, b, strict=True))
            found += [
                Piece(
                    share, overlap, middle, _squares(a), rows[0][2], tuple(sign * m for m in mu), _squares(w), none
                )
                for sign in (1, -1)
            ]  # fmt: skip
        return found
    raise InputError(
        f"{state!r} has no decomposition into Gaussians; use the states of qnnsym.phase_space, or a Mixture of them."
    )


def _squares(widths: Row) -> Row:
    return tuple(sp.expand(width**2) for width in widths)


def expectation(f: sp.Expr, parts: list[Piece], space: PhaseSpace) -> sp.Expr:
    """iint f W of a polynomial in x and p, exact.

    Arguments:
        f: polynomial in the variables of the space; its coefficients may be anything.
        parts: the pieces of W.
        space: phase space.

    Source: moments of Gaussians with complex centres; those of Fock states from the generating function.
    """
    terms = sp.Poly(f, *space.variables).terms()
    # Collected by what multiplies them, so that 1/(1 + exp(-b^2/a^2)) of a cat stays in front.
    shares: dict[sp.Expr, sp.Expr] = {}
    for piece in parts:
        moments = _Moments(piece)
        value = sp.expand(sp.Add(*(coefficient * moments.of(powers) for powers, coefficient in terms)))
        shares[piece.weight] = shares.get(piece.weight, sp.Integer(0)) + value * sp.exp(-piece.suppression)
    return sp.Add(*(
        sp.expand(weight * value) if weight.is_Rational else weight * sp.collect(sp.expand(value), _exponentials(value))
        for weight, value in shares.items()
    ))  # fmt: skip


def _exponentials(value: sp.Expr) -> list[sp.Expr]:
    return sorted(value.atoms(sp.exp), key=sp.default_sort_key)


class _Moments:
    """Moments of one piece, kept by degree of freedom."""

    def __init__(self, piece: Piece) -> None:
        self.piece, self.n = piece, len(piece.x)
        self.known: dict[tuple[int, int, int], sp.Expr] = {}

    def of(self, powers: tuple[int, ...]) -> sp.Expr:
        result = sp.Integer(1)
        for i in range(self.n):
            result *= self._single(i, powers[i], powers[self.n + i])
        return result

    def _single(self, i: int, k: int, m: int) -> sp.Expr:
        """<x_i^k p_i^m>: the moments of the centred Gaussians, times those of Laguerre's polynomial."""
        found = self.known.get((i, k, m))
        if found is None:
            piece = self.piece
            p = piece.p[i] + sp.I * piece.mu[i]
            found = sp.Integer(0)
            for r in range(0, k + 1, 2):
                for s in range(0, m + 1, 2):
                    found += (
                        comb(k, r) * piece.x[i] ** (k - r) * central_moment(r) * piece.a2[i] ** (r // 2)
                        * comb(m, s) * p ** (m - s) * central_moment(s) * piece.w2[i] ** (s // 2)
                        * laguerre_moment(piece.level[i], (r + s) // 2)
                    )  # fmt: skip
            found = self.known[i, k, m] = sp.expand(found)
        return found


def central_moment(k: int) -> sp.Rational:
    """<xi^k> under exp(-xi^2)/sqrt(pi)."""
    return sp.Rational(sp.factorial2(k - 1), 2 ** (k // 2)) if k % 2 == 0 else sp.Rational(0)


def laguerre_moment(n: Any, k: int) -> sp.Integer:
    """Coefficient of t^n in (1 + t)^k/(1 - t)^(k + 1): by what a moment of order 2k of the Gaussian is multiplied."""
    return sp.Integer(sum(comb(k, j) * comb(int(n) - j + k, k) for j in range(min(int(n), k) + 1)))
