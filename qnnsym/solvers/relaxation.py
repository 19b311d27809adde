"""Linear open terms of a Wigner function: a drift towards the origin and diffusion, and the exact flow of the drift.

    dW/dt = ... + d_x(a x W) + d_p(b p W) + D_x W_xx + D_p W_pp

Diffusion multiplies where the kinetic and the potential factor do: exp(-D_x k^2 h) in (k, p), exp(-D_p theta^2 h) in
(x, theta). The drift is the scaling W(x, p) -> e^{(a+b)h} W(e^{ah} x, e^{bh} p), under which W^(theta) becomes
W^(e^{-bh} theta). A step is taken in coordinates that move with the drift, anchored at the middle of the step,

    X = e^{as} x,  P = e^{bs} p:   x -> e^{-as} X,  p -> e^{-bs} P,  k -> e^{as} k,  theta -> e^{bs} theta,  |s| <= h/2,

where nothing but the two multiplications is left, with factors that depend on s. A composition treats them as those of
a driven Hamiltonian, and keeps its order. What remains is one scaling per step, exact for functions that the grid
resolves: each mode e^{i theta p} of the result takes the transform of W, as zero outside the grid, at e^{-bh} theta.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Relaxation:
    """Rates of the linear open terms d_x(a x W) + d_p(b p W) + D_x W_xx + D_p W_pp.

    Arguments:
        drift_x, drift_p: a and b, in 1/time.
        diffusion_x, diffusion_p: D_x and D_p, in the units of x^2/time and p^2/time; not negative.
    """

    drift_x: float = 0.0
    drift_p: float = 0.0
    diffusion_x: float = 0.0
    diffusion_p: float = 0.0

    @property
    def drifts(self) -> tuple[float, float]:
        """The rates a and b."""
        return self.drift_x, self.drift_p

    @property
    def diffusions(self) -> tuple[float, float]:
        """The constants D_x and D_p."""
        return self.diffusion_x, self.diffusion_p

    @property
    def moves(self) -> bool:
        """Whether there is a drift."""
        return any(self.drifts)

    def __bool__(self) -> bool:
        return any((*self.drifts, *self.diffusions))


def scaling(axis: np.ndarray, exponent: float) -> np.ndarray:
    """The matrix of f(q) -> e^c f(e^c q) on a uniform axis, for functions that it resolves and that end within it.

    Arguments:
        axis: (n,) uniform, endpoint excluded.
        exponent: c.

    Returns:
        (n, n) real; its columns sum to one, so that the integral is kept exactly.

    Source: the Dirichlet kernel, sum over |m| <= M of e^{i m phi} = sin((M + 1/2) phi)/sin(phi/2), at
        phi = (2 pi/L) (q_i - e^{-c} q_j); the Nyquist mode is left out.
    """
    n, step = axis.size, axis[1] - axis[0]
    phi = 2 * np.pi / (n * step) * (axis[:, None] - np.exp(-exponent) * axis[None, :])
    highest = (n - 1) // 2
    half = np.sin(phi / 2)
    # Where the denominator vanishes all modes are in phase.
    small = np.abs(half) < 1e-9
    kernel = np.sin((highest + 0.5) * phi) / np.where(small, 1.0, half)
    # Close to phi = 2 pi m both sines have the sign (-1)^m.
    kernel[small] = 2 * highest + 1
    return kernel / n
