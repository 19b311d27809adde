"""Four ranks that "rank diminishing" may mean, each by its singular values, and the classification of constraints.

    R1  J_{alpha q} of J = alpha.phi(y, t) - int E with phi the backward flow at fixed weights: det = exp(-int div F)
    R2  the epoch's map of the weights for lambda/T -> 0: D = 1 - eta Hess E_ss, eta = T^2/(2 omega)
    R3  d y_out / d W at rest: which parameters the outputs identify
    R4  the Legendre Hessian H_pp: corank N, because H is linear in the costates

Constraints: L = Delta.(y' - F) + (omega/2) W'^2 - E has the primary constraints P_y - Delta and P_Delta, second class;
imposing M_a = 0 for the reduced H = M^2/(2 omega) + C(W) brings chi_a = C_a, with {M_a, chi_b} = -C_ab.

Source: P. A. M. Dirac, Lectures on Quantum Mechanics (1964); A. T. Patrascu, arXiv:2209.07577.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import sympy as sp

from qnnsym.equations.numbers import exact_decimals, exact_number
from qnnsym.errors import InputError
from qnnsym.neural.hamiltonian import NeuralHamiltonian
from qnnsym.neural.network import Network


@dataclass(frozen=True)
class Rank:
    """A numerical rank with what it was judged by.

    Attributes:
        matrix: the matrix itself.
        singular_values: descending, as many as the matrix has columns.
        tolerance: relative to the largest singular value.
        rank, deficiency: number of singular values above and at most the tolerance.
        gap: the smallest singular value that counts over the largest that does not (inf where none is left out).
        null_vectors: (deficiency, columns), orthonormal directions that the matrix does not see.
        lost: names or numbers of the constants or parameters that were fixed beforehand.
    """

    matrix: np.ndarray
    singular_values: np.ndarray
    tolerance: float
    rank: int
    deficiency: int
    gap: float
    null_vectors: np.ndarray
    lost: tuple[Any, ...] = ()

    @classmethod
    def of(cls, matrix: np.ndarray, tolerance: float, lost: Sequence[Any] = ()) -> Rank:
        """The rank of a matrix (rows, columns), relative to its columns."""
        matrix = np.atleast_2d(np.asarray(matrix, float))
        columns = matrix.shape[1]
        _, values, right = np.linalg.svd(matrix, full_matrices=True)
        values = np.concatenate([values, np.zeros(max(0, columns - values.size))])[:columns]
        top = float(values[0]) if values.size else 0.0
        rank = int(np.sum(values > tolerance * top)) if top > 0 else 0
        below = float(values[rank]) if rank < columns else 0.0
        gap = float(values[rank - 1]) / below if rank and below > 0 else float("inf")
        return cls(matrix, values, tolerance, rank, columns - rank, gap, right[rank:], tuple(lost))

    def __str__(self) -> str:
        return (
            f"rank {self.rank} of {self.matrix.shape[1]} (singular values {self.singular_values[0]:.3g} to "
            f"{self.singular_values[-1]:.3g}, relative tolerance {self.tolerance:g}, gap {self.gap:.2g})"
        )


@dataclass(frozen=True)
class Constraints:
    """First- and second-class constraints.

    Attributes:
        first_class: combinations of constraints that commute with all of them: gauge generators, whose constants of
            motion stay undetermined.
        second_class: the independent others; their number is even.
        brackets: matrix of the Poisson brackets of all constraints.
        constraints: all constraints, in the order of the matrix.
        null_vectors: gauge directions, (first class, variables).
    """

    first_class: tuple[sp.Expr, ...]
    second_class: tuple[sp.Expr, ...]
    brackets: sp.Matrix
    constraints: tuple[sp.Expr, ...]
    null_vectors: np.ndarray

    def __str__(self) -> str:
        return f"{len(self.first_class)} first class, {len(self.second_class)} second class"


@dataclass(frozen=True)
class RankReport:
    """The ranks that the arguments determine; asking for another says what it needs."""

    found: Mapping[str, Any]

    NEEDS: ClassVar[dict[str, str]] = {
        "R1": "H, weights= and time=",
        "R2": "net, weights=, inputs=, cost=, inertia= and duration=",
        "R3": "net, weights=, inputs= and outputs=",
        "R4": "H",
        "constraints": "cost=C and weights={symbol: value}, or H",
    }

    def __getattr__(self, name: str) -> Any:
        if name in RankReport.NEEDS:
            if name in self.found:
                return self.found[name]
            raise AttributeError(f"{name} was not computed; rank_report needs {RankReport.NEEDS[name]} for it.")
        raise AttributeError(f"a rank report has no {name!r}")

    def __str__(self) -> str:
        return "\n".join(f"{name}: {value}" for name, value in self.found.items())


def rank_report(
    model: Any = None,
    *,
    weights: Any = None,
    time: float | None = None,
    tolerance: float | None = None,
    inputs: Any = None,
    targets: Any = None,
    cost: Any = None,
    inertia: Any = None,
    duration: Any = None,
    outputs: Sequence[int] | None = None,
    free: Any = None,
    y0: Any = None,
    fixed: Sequence[int] = (),
    values: Any = None,
) -> RankReport:
    """Ranks of the complete integral, the learning map, the identifiability and the Legendre map, and constraints.

    Arguments:
        model: NeuralHamiltonian (R1, R4, constraints), Network (R2, R3), or None (constraints of a cost).
        weights: (N, l + 1 + N); for constraints {Symbol: value}, a stationary point of the cost.
        time: t of J = alpha.phi(y, t), along the trajectory from y0 (zero when not given).
        tolerance: relative to the largest singular value; 1e-8 (R1), 1e-7 (R2), 1e-10 (R3, R4, constraints).
        inputs: (patterns, l) or (l,).  targets: (patterns, N), for R2 with a QuadraticCost without target.
        cost: as for `train`; for constraints a SymPy expression in the weights.
        inertia, duration: omega and T of the learning map.
        outputs: neurons whose activities are observed.  free: 0/1 mask of the parameters in question; None: all
            synapses that exist.
        fixed: numbers of constants alpha_a that are held fixed; their beta^a are lost.

    Returns:
        RankReport with those of R1, R2, R3, R4 and constraints that the arguments determine.

    Raises:
        InputError: for arguments that determine nothing, or do not fit. SolverError: for networks without a rest.
    """
    if tolerance is not None:
        ok = isinstance(tolerance, (int, float, np.number, sp.Number)) and not isinstance(tolerance, bool)
        if not ok or not 0 < float(tolerance) < 1:
            raise InputError(
                f"tolerance={tolerance!r} is no share of the largest singular value; give a number above 0 and below "
                "1, or None."
            )
        tolerance = float(tolerance)
    if model is None:
        if cost is None or not isinstance(weights, Mapping):
            raise InputError(
                "Nothing is determined by these arguments; give a NeuralHamiltonian, a Network, or cost=C with "
                "weights={symbol: value}."
            )
        return RankReport({"constraints": reduced_constraints(cost, weights, tolerance or 1e-10)})
    from qnnsym.neural.numerics import rank as numerics_rank

    if isinstance(model, NeuralHamiltonian):
        found: dict[str, Any] = {}
        if time is not None:
            if weights is None:
                raise InputError("R1 is asked for by time=, and the weights are not given; give weights=array.")
            found["R1"] = numerics_rank.backward_flow(
                model, weights, time, tolerance or 1e-8, inputs, y0, fixed, values
            )
        found["R4"] = numerics_rank.legendre_hessian(model, tolerance or 1e-10, values)
        found["constraints"] = primary_constraints(model)
        return RankReport(found)
    if not isinstance(model, Network):
        raise InputError(f"The model is {model!r}; give a NeuralHamiltonian or a Network.")
    if weights is None:
        raise InputError("The weights are not given; give weights=array (N, l + 1 + N).")
    found = {}
    if cost is not None or inertia is not None or duration is not None:
        missing = [n for n, v in (("cost", cost), ("inertia", inertia), ("duration", duration)) if v is None]
        if missing:
            raise InputError(f"R2 needs cost, inertia and duration, and {', '.join(missing)} is missing; give it.")
        found["R2"] = numerics_rank.learning_map(
            model, weights, inputs, targets, cost, inertia, duration, tolerance or 1e-7, free, y0, values
        )
    if outputs is not None:
        found["R3"] = numerics_rank.identifiability(
            model, weights, inputs, outputs, tolerance or 1e-10, free, y0, values
        )
    if not found:
        raise InputError(
            "Nothing is determined by these arguments; give outputs=[...] for R3, or cost=, inertia= and duration= "
            "for R2."
        )
    return RankReport(found)


def primary_constraints(hamiltonian: NeuralHamiltonian) -> Constraints:
    """The primary constraints P_y - Delta and P_Delta of L = Delta.(y' - F) + (omega/2) W'^2 - E: all second class."""
    names = [s.name for s in hamiltonian.network.y]
    y, d = hamiltonian.network.y, hamiltonian.p[: len(names)]
    p_y = tuple(sp.Symbol(f"P_{n}", real=True) for n in names)
    p_d = tuple(sp.Symbol(f"P_{s.name}", real=True) for s in d)
    constraints = tuple(a - b for a, b in zip(p_y, d, strict=True)) + p_d
    brackets = _brackets(constraints, (*y, *d), (*p_y, *p_d))
    return _classified(constraints, brackets, len(names))


def reduced_constraints(cost: Any, weights: Mapping[Any, Any], tolerance: float = 1e-10) -> Constraints:
    """Constraints M_a = 0 and chi_a = dC/dW_a of H = M^2/(2 omega) + C(W) at a stationary point.

    Arguments:
        cost: C, a SymPy expression in the weights alone.
        weights: {Symbol: value}; exact numbers are treated exactly.

    Raises:
        InputError: where the point is not stationary, or C has other symbols.
    """
    if not isinstance(cost, sp.Expr):
        raise InputError(f"The cost is {cost!r}; give a SymPy expression in the weights.")
    cost = exact_decimals(cost)
    symbols = tuple(weights)
    if not symbols or not all(isinstance(s, sp.Symbol) for s in symbols):
        raise InputError(f"The weights are {weights!r}; give {{Symbol: value}}.")
    strange = sorted(s.name for s in cost.free_symbols - set(symbols))
    if strange:
        raise InputError(f"The cost contains {', '.join(strange)}, for which weights={{...}} has no value; give one.")
    point = {s: exact_number(v, f"The weight {s}") for s, v in weights.items()}
    gradient = [sp.diff(cost, s).subs(point) for s in symbols]
    hessian = sp.hessian(cost, symbols).subs(point)
    size = max([abs(float(h)) for h in hessian] + [1.0])
    if any(abs(float(g)) > 1e-8 * size for g in gradient):
        raise InputError(
            f"The weights are no stationary point: dC/dW = {[float(g) for g in gradient]}. The secondary constraints "
            "dC/dW_a = 0 have to hold where constraints are classified; give a stationary point."
        )
    momenta = tuple(sp.Symbol(_momentum(s.name), real=True) for s in symbols)
    chi = tuple(sp.diff(cost, s) for s in symbols)
    constraints = (*momenta, *chi)
    brackets = _brackets(constraints, symbols, momenta).subs(point)
    exact = all(v.is_Rational for v in hessian)
    gauge = [v / _content(v) for v in hessian.nullspace()] if exact else _null(hessian, tolerance)
    rest = [v / _content(v) for v in hessian.columnspace()] if exact else _null(hessian, tolerance, kept=True)
    combine = [sp.Add(*(a * b for a, b in zip(v, momenta, strict=True))) for v in gauge]
    second = [sp.Add(*(a * b for a, b in zip(v, momenta, strict=True))) for v in rest]
    second += [sp.Add(*(a * b for a, b in zip(v, chi, strict=True))) for v in rest]
    directions = np.array([[float(x) for x in v] for v in gauge]).reshape(len(gauge), len(symbols))
    norms = np.linalg.norm(directions, axis=1, keepdims=True)
    return Constraints(tuple(combine), tuple(second), brackets, constraints, directions / np.where(norms, norms, 1))


def _momentum(name: str) -> str:
    return "M" + name[1:] if name[:2] == "W_" else f"M_{name}"


def _content(vector: sp.Matrix) -> sp.Expr:
    """Scale of an exact vector: its first entry that is not zero."""
    return next((x for x in vector if x != 0), sp.S.One)


def _null(matrix: sp.Matrix, tolerance: float, kept: bool = False) -> list[sp.Matrix]:
    numeric = np.array(matrix.evalf(), float)
    values, vectors = np.linalg.eigh(numeric)
    small = np.abs(values) <= tolerance * max(float(np.abs(values).max()), 1e-300)
    return [sp.Matrix(v) for v in vectors[:, small != kept].T]


def _brackets(constraints: Sequence[sp.Expr], q: Sequence[sp.Symbol], p: Sequence[sp.Symbol]) -> sp.Matrix:
    """{phi_a, phi_b} of all pairs."""

    def bracket(f: sp.Expr, g: sp.Expr) -> sp.Expr:
        return sp.Add(
            *(sp.diff(f, a) * sp.diff(g, b) - sp.diff(f, b) * sp.diff(g, a) for a, b in zip(q, p, strict=True))
        )

    return sp.Matrix([[bracket(f, g) for g in constraints] for f in constraints])


def _classified(constraints: tuple[sp.Expr, ...], brackets: sp.Matrix, variables: int) -> Constraints:
    """Null vectors of the brackets' matrix are first class, the others second class."""
    first = [sp.Add(*(a * c for a, c in zip(v, constraints, strict=True))) for v in brackets.nullspace()]
    second = (
        constraints
        if not first
        else tuple(sp.Add(*(a * c for a, c in zip(v, constraints, strict=True))) for v in brackets.columnspace())
    )
    return Constraints(tuple(first), tuple(second), brackets, constraints, np.zeros((len(first), variables)))
