"""What must hold for the Moyal corrections: the statements about P3, and transport against quantum theory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from qnnsym.checks.check import Check, Context
from qnnsym.checks.orders import order_check
from qnnsym.neural.moyal import HBAR, moyal_correction
from qnnsym.phase_space import PhaseSpace, madelung

MADELUNG = "E. Madelung, Z. Phys. 40 (1927) 322"
MOYAL = "J. E. Moyal, Proc. Camb. Phil. Soc. 45 (1949) 99"


@dataclass(frozen=True)
class moyal_statements:
    """Coordinates have no correction, linear static networks none at all, activities no quantum potential."""

    name: str = "structure of the corrections"

    def applies(self, model: Any) -> str | None:
        return None

    def run(self, context: Context) -> list[Check]:
        h = context.model.hamiltonian
        correction = moyal_correction(h)
        coordinates = sum(correction.apply(s) != 0 for s in (*h.q, *h.p))
        net, static = h.network, np.zeros((h.network.neurons, h.network.columns))
        linear = h.changed(network=net.with_activation("linear"), dynamical=static)
        moving = h.changed(network=net.with_activation("linear"), dynamical=None)
        static_terms, fourth = len(moyal_correction(linear).terms), len(moyal_correction(moving, 4).terms)
        second = len(moyal_correction(moving).terms)
        return [
            Check.close(self.name, "coordinates with a correction", 0, coordinates, 0, MOYAL),
            Check.close(self.name, "terms of a linear network with static weights", 0, static_terms, 0, MOYAL),
            Check.close(
                self.name, "hbar^4 terms of a linear network with dynamical weights", 0, fourth, 0, MOYAL,
                f"{second} terms at hbar^2",
            ),
            *self._quantum_potential(h.changed(dynamical=None)),
        ]  # fmt: skip

    def _quantum_potential(self, h: Any) -> list[Check]:
        """H is linear in the costates, so that psi = R exp(iS/hbar) feels a quantum potential of the weights alone."""
        q, p = h.q, h.p
        space = PhaseSpace([s.name for s in q], [s.name for s in p])
        own = {s.name: s for s in space.variables}
        hamiltonian = moyal_correction(h).hamiltonian
        hamiltonian = hamiltonian.xreplace({s: own.get(s.name, s) for s in hamiltonian.free_symbols})
        potential = madelung(hamiltonian, space).quantum_potential(sp.Function("R", positive=True)(*space.x))
        along = {s for d in potential.atoms(sp.Derivative) for s in d.variables}
        activities = space.x[: h.network.neurons]
        detail = f"derivatives of R along {', '.join(sorted(map(str, along)))}"
        return [
            Check.close(
                self.name, "activities that the quantum potential acts on", 0, len(along & set(activities)), 0,
                MADELUNG, detail,
            ),
            Check.close(
                self.name, "weights that it acts on", int(h.moving.sum()), len(along - set(activities)), 0, MADELUNG,
            ),
        ]  # fmt: skip


@dataclass(frozen=True)
class moyal_transport:
    """A Gaussian ensemble of one neuron with static weights: <p^4> against an exact quantum calculation.

    Arguments:
        hbars: values of hbar.  time: of transport.  width: w of exp(-y^2 - p^2/w^2), the same for every hbar.
    """

    hbars: tuple[float, ...] = (0.4, 0.3, 0.22, 0.16, 0.12)
    time: float = 0.5
    width: float = 1.0
    name: str = "transport of an ensemble"

    def applies(self, model: Any) -> str | None:
        h = model.hamiltonian
        return (
            None if h.network.neurons == 1 and not h.moving.any() else "It is written for one neuron, static weights."
        )

    def run(self, context: Context) -> list[Check]:
        model = context.model
        h, w = model.hamiltonian, np.asarray(model.state["weights"], float)
        correction = moyal_correction(h)
        numbers: dict[Any, Any] = {h._symbols.get(s, s): v for s, v in h.values.items()}
        numbers |= {h.W[0, j]: w[0, j] for j in range(h.network.columns)}
        numbers |= dict(zip(h.network.x, () if model.inputs is None else np.asarray(model.inputs, float), strict=True))
        (y,), (p,) = h.q, h.p
        expression = correction.hamiltonian.subs(numbers)
        exact = np.array([self._quantum(expression, y, p, hbar) for hbar in self.hbars])
        classical = self._transported(expression, correction, numbers, y, p, 0.0)
        corrected = np.array([self._transported(expression, correction, numbers, y, p, hbar) for hbar in self.hbars])
        gaps = {"classical": np.abs(classical - exact), "with P3": np.abs(corrected - exact)}
        context.figures.append({
            "kind": "order", "name": "transport", "h": self.hbars, "errors": gaps, "xlabel": "hbar",
            "slopes": {"classical": 2.0, "with P3": 4.0}, "ylabel": "error of <p^4>",
            "caption": "Transport of one Gaussian ensemble: the error of <p^4> without and with the first correction.",
            "alt": "The error falls as hbar^2 without and as hbar^4 with the correction.",
        })  # fmt: skip
        return [
            order_check(self.name, f"order in hbar of the error of <p^4>, {label}", self.hbars, gaps[label], order,
                        "psi(y, t) = |phi_y|^(1/2) psi_0(phi(y)) exp(-i int E/hbar), exact", floor=1e-9)
            for label, order in (("classical", 2.0), ("with P3", 4.0))
        ]  # fmt: skip

    def _transported(self, h: Any, correction: Any, numbers: dict, y: Any, p: Any, hbar: float) -> float:
        """<p^4> at the time by the dual equation dA/dt = -{{H, A}}, cut after hbar^2, for A = sum_k a_k(y) p^k.

        The coefficients a_k live on Chebyshev points of [-5, 5], which the flow does not leave.
        """
        n, long, top = 140, 5.0, 4
        nodes = np.cos(np.pi * np.arange(n + 1) / n)
        matrix = _chebyshev(nodes) / long
        terms = [(sp.diff(h, y), 0, 1), (-sp.diff(h, p), 1, 0)]
        if hbar:
            factor = correction.factor.subs(HBAR, hbar)
            terms += [(factor * row.coefficient.subs(numbers), len(row.dq), len(row.dp)) for row in correction.terms]
        size = n + 1
        generator = np.zeros(((top + 1) * size,) * 2)
        for coefficient, dq, dp in terms:
            along = np.linalg.matrix_power(matrix, dq)
            for (power,), part in sp.Poly(coefficient, p).terms():
                values = sp.lambdify(y, part, "numpy")(long * nodes) * np.ones(size)
                for k in range(dp, top + 1):
                    # p^power (d/dp)^dp p^k
                    to = k - dp + power
                    if to <= top:
                        block = float(sp.ff(k, dp)) * values[:, None] * along
                        generator[to * size : (to + 1) * size, k * size : (k + 1) * size] -= block
        start = np.zeros((top + 1, size))
        start[top] = 1.0
        found = (expm(self.time * generator) @ start.ravel()).reshape(top + 1, size)
        moments = np.array([1.0, 0.0, self.width**2 / 2, 0.0, 3 * self.width**4 / 4])
        # Clenshaw-Curtis weights are those of the series' integrals.
        series = np.polynomial.chebyshev.chebfit(nodes, (moments @ found) * np.exp(-((long * nodes) ** 2)), n)
        even = series[::2] * 2 / (1 - np.arange(0, n + 1, 2) ** 2.0)
        return float(long * even.sum() / np.sqrt(np.pi))

    def _quantum(self, h: Any, y: Any, p: Any, hbar: float) -> float:
        """<p^4> of the mixture over p0 of psi_0(phi(y)) |phi_y|^(1/2) exp(-i int E/hbar), phi the backward flow."""
        field, energy = sp.diff(h, p), h.subs(p, 0)
        f, slope, e = (sp.lambdify(y, g, "numpy") for g in (field, sp.diff(field, y), energy))
        n, long = 1024, 8.0
        ys = (np.arange(n) / n * 2 - 1) * long

        def backward(_: float, s: np.ndarray) -> np.ndarray:
            at = s[:n]
            return -np.concatenate([f(at) * np.ones(n), slope(at) * np.ones(n), -e(at) * np.ones(n)])

        start = np.concatenate([ys, np.zeros(2 * n)])
        phi, log, action = (
            solve_ivp(backward, (0, self.time), start, method="DOP853", rtol=1e-12, atol=1e-13).y[:, -1].reshape(3, n)
        )
        # p0 has the variance c^2/2 with w^2 = c^2 + hbar^2/a^2, a = 1.
        spread = np.sqrt(self.width**2 - hbar**2)
        nodes, weights = np.polynomial.hermite.hermgauss(12)
        k, total = 1j * np.pi / long * np.fft.fftfreq(n, 1 / n), 0.0
        for node, weight in zip(nodes, weights, strict=True):
            psi = np.exp(-(phi**2) / 2 + log / 2 + 1j * (spread * node * phi - action) / hbar)
            second = np.fft.ifft(k**2 * np.fft.fft(psi))
            total += weight / np.sqrt(np.pi) * hbar**4 * np.sum(np.abs(second) ** 2) / np.sum(np.abs(psi) ** 2)
        return float(total)


def _chebyshev(nodes: np.ndarray) -> np.ndarray:
    """Differentiation matrix on Chebyshev points (L. N. Trefethen, Spectral Methods in MATLAB, 2000, chapter 6)."""
    n = nodes.size - 1
    c = np.where((np.arange(n + 1) == 0) | (np.arange(n + 1) == n), 2.0, 1.0) * (-1.0) ** np.arange(n + 1)
    gaps = nodes[:, None] - nodes[None, :] + np.eye(n + 1)
    matrix = np.outer(c, 1 / c) / gaps
    return matrix - np.diag(matrix.sum(axis=1))
