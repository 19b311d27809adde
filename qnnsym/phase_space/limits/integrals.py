"""Complete integrals of ordinary Hamiltonians: trajectories, what incomplete ones lose, and the waves of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sympy as sp
from scipy.integrate import solve_ivp

from qnnsym.checks.check import FAIL, PASS, Check, Context
from qnnsym.phase_space.hamilton_jacobi import complete_integral
from qnnsym.phase_space.space import PhaseSpace


@dataclass(frozen=True)
class complete_integrals:
    """Trajectories from beta = dJ/dalpha are the integrated characteristics.

    Arguments:
        label: what the Hamiltonian describes.  hamiltonian, space: of the integral.
        q0, p0: where the trajectory begins.  values: {Symbol: number}.  span: its duration.
    """

    label: str
    hamiltonian: Any
    space: PhaseSpace
    q0: Sequence[float]
    p0: Sequence[float]
    values: dict = field(default_factory=dict)
    span: float = 12.0
    tolerance: float = 1e-8
    name: str = "complete integral"

    def applies(self, model: Any) -> str | None:
        return None

    def run(self, context: Context) -> list[Check]:
        space, times = self.space, np.linspace(0, self.span, 97)
        integral = complete_integral(self.hamiltonian, space)
        h = sp.sympify(self.hamiltonian).subs(self.values)
        rates = sp.lambdify(
            [[*space.x, *space.p]], [*(sp.diff(h, p) for p in space.p), *(-sp.diff(h, x) for x in space.x)]
        )
        run = solve_ivp(
            lambda t, s: rates(s), (0, self.span), [*self.q0, *self.p0], t_eval=times, method="DOP853", rtol=1e-12,
            atol=1e-13,
        )  # fmt: skip
        n = space.dimension
        found = integral.trajectories(self.q0, self.p0, times, self.values)
        gap = float(np.abs(found - run.y[:n].T).max() / np.abs(run.y[:n]).max())
        source = "H. Goldstein, Classical Mechanics, section 10.1"
        curves = {f"{x} from beta": found[:, k] for k, x in enumerate(space.x)}
        context.figures.append({
            "kind": "trace", "name": f"trajectory_{self.label.lower().replace(' ', '_')}", "t": times, "curves": curves,
            "xlabel": "t", "ylabel": "position", "caption": f"{self.label}: trajectory from beta = dJ/dalpha.",
            "alt": f"Positions of {self.label} against time.",
        })  # fmt: skip
        rows = [
            Check.below(
                self.name, f"{self.label}: trajectory from beta against characteristics", gap, self.tolerance, source
            ),
            Check.close(self.name, f"{self.label}: rank of J_alpha q", n, integral.rank, 0, source),
        ]
        less = complete_integral(self.hamiltonian, space, fixed={integral.constants[-1]: sp.Rational(1, 3)})
        rows.append(
            Check.close(self.name, f"{self.label}: rank with one constant fixed", n - 1, less.rank, 0, source,
                        f"lost: {', '.join(map(str, less.lost))}")
        )  # fmt: skip
        return rows


@dataclass(frozen=True)
class classical_wave:
    """exp(iJ/hbar) misses Schrodinger's equation by (i hbar/2m) Lap J; Van Vleck's amplitude leaves order hbar^2."""

    hamiltonian: Any
    space: PhaseSpace
    name: str = "classical wave function"

    def applies(self, model: Any) -> str | None:
        return None

    def run(self, context: Context) -> list[Check]:
        space, hbar = self.space, self.space.hbar
        integral = complete_integral(self.hamiltonian, space)
        bare = integral.residual()
        repaired = integral.residual(sp.sqrt(integral.determinant))
        numbers = {s: sp.Rational(n + 5, 17) for n, s in enumerate((*space.x, *integral.constants))}
        numbers |= {s: sp.S.One for s in self.hamiltonian.free_symbols - {*space.x, *space.p}}
        numbers |= {a: sp.Integer(2) for a in integral.constants}

        def orders(e: sp.Expr) -> list[float]:
            values = [
                complex(sp.N(e.subs(numbers).subs(hbar, b), 30)) for b in (sp.Rational(1, 100), sp.Rational(1, 200))
            ]
            return [float(np.log2(abs(values[0]) / abs(values[1])))]

        source = "J. H. Van Vleck, Proc. Natl. Acad. Sci. 14 (1928) 178"
        rows = [
            Check.close(self.name, f"order in hbar of the residual, {what}", order, orders(e)[0], 1e-6, source)
            for what, e, order in (("exp(iJ/hbar)", bare, 1.0), ("with the root of det J_alpha q", repaired, 2.0))
        ]
        slope = sp.simplify(
            bare
            - sp.I
            * hbar
            / 2
            * sum(
                sp.diff(self.hamiltonian, p, 2) * sp.diff(s, x)
                for s, x, p in zip(integral.slopes, space.x, space.p, strict=True)
            )
        )
        rows.append(
            Check(
                self.name,
                "residual minus (i hbar/2m) Lap J",
                "0",
                str(slope),
                None,
                PASS if slope == 0 else FAIL,
                source,
            )
        )
        return rows
