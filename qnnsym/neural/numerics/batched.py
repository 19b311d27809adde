"""The sweeps of an epoch with all patterns in one matrix: the same scheme as `solvers.sweeps`, by matrix products.

For large networks with many patterns: the text of the sweeps' equations by the batched emitter, whose products BLAS
does in blocks, where the compiled kernel reads the weights once for every pattern.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from qnnsym.codegen.batched import batched_function, common_values

# Work in a stage (patterns x weights) from which matrix products win over the compiled loops.
WORTH = 200_000
COPIED = frozenset({"y", "D", "x", "d"})


@lru_cache(maxsize=16)
def functions(forward: Any, backward: Any) -> tuple[Callable, Callable]:
    """The two right-hand sides over many patterns; the second is given what the first has computed for it."""
    common = common_values(forward, backward, COPIED, {"d_M"})
    second = batched_function(backward, COPIED, {"d_M"}, given=common)
    if not common:
        return batched_function(forward, COPIED), lambda *arguments: second(*arguments[:-1])
    return batched_function(forward, COPIED, kept=common), second


def combined(weights: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """sum_j weights[j] slopes[j], over the weights that are not zero."""
    used = np.flatnonzero(weights)
    if not len(used):
        return np.zeros(slopes.shape[1:])
    if len(used) == 1:
        return weights[used[0]] * slopes[used[0]]
    return np.dot(weights, slopes.reshape(len(slopes), -1)).reshape(slopes.shape[1:])


class BatchedSweeps:
    """The sweeps of one network.

    Arguments:
        forward, backward: the equation sets of the sweeps.
        sizes: (N, l).  par: parameters as the kernels have them.  quadratic: whether targets are among the signals.
    """

    def __init__(self, forward: Any, backward: Any, sizes: tuple[int, int], par: np.ndarray, quadratic: bool) -> None:
        self.activity, self.adjoint = functions(forward, backward)
        self.sizes, self.quadratic = sizes, quadratic
        self.neurons, self.columns = sizes[0], sizes[0] + sizes[1] + 1
        count = len(forward.scalars)
        self._kept: list[Any] = []
        self.scalars, at, self.fixed = tuple(par[:count]), count, []
        for array in forward.arrays:
            if array.role == "parameter":
                shape = (self.neurons, self.columns)[: len(array.axes)]
                size = int(np.prod(shape))
                self.fixed.append(par[at : at + size].reshape(shape))
                at += size

    def _signals(self, ext: np.ndarray) -> tuple[np.ndarray, ...]:
        inputs = self.sizes[1]
        return (ext[:, :inputs], ext[:, inputs:]) if self.quadratic else (ext,)

    def forward(
        self, start: float, h: float, a: np.ndarray, b: np.ndarray, c: np.ndarray, y: np.ndarray, table: np.ndarray,
        ext: np.ndarray, stages: np.ndarray,
    ) -> None:  # fmt: skip
        """As `sweeps.forward`: y is overwritten, stages are filled; values are kept for the `backward` that follows."""
        self._kept = []
        steps, count = stages.shape[:2]
        slopes = np.zeros((count, *y.shape))
        # Column by column the weights are multiplied from the right as they lie in memory.
        fixed = None if len(table) > 1 else np.asfortranarray(table[0].reshape(self.neurons, self.columns))
        for step in range(steps):
            for i in range(count):
                line = step * count + i
                w = table[line].reshape(self.neurons, self.columns) if fixed is None else fixed
                np.add(y, combined(h * a[i, :i], slopes[:i]), out=stages[step, i])
                slopes[i], *kept = self.activity(
                    start + (step + c[i]) * h, self.sizes, self.scalars,
                    (stages[step, i], w, *self._signals(ext[line if len(ext) > 1 else 0]), *self.fixed),
                )  # fmt: skip
                self._kept.append(kept)
            y += combined(h * b, slopes)

    def backward(
        self, start: float, h: float, a: np.ndarray, b: np.ndarray, c: np.ndarray, costate: np.ndarray,
        table: np.ndarray, ext: np.ndarray, stages: np.ndarray, factors: np.ndarray, sums: np.ndarray,
    ) -> None:  # fmt: skip
        """As `sweeps.backward`, after `forward`: costates become those at the start, sums are added to."""
        steps, count = stages.shape[:2]
        slopes, scales = np.zeros((count, *costate.shape)), np.zeros(count)
        forces = np.zeros((count, self.neurons * self.columns))
        for step in range(steps - 1, -1, -1):
            for i in range(count - 1, -1, -1):
                line = step * count + i
                w = table[line if len(table) > 1 else 0].reshape(self.neurons, self.columns)
                scale = h * b[i] if b[i] else 1.0
                adjoint = b[i] * costate + combined(a[i + 1 :, i], slopes[i + 1 :])
                t, signals = start + (step + c[i]) * h, self._signals(ext[line if len(ext) > 1 else 0])

                def at(
                    values: np.ndarray, t: float = t, signals: Any = signals, w: Any = w, here: Any = stages[step, i],
                    kept: Any = self._kept[line],
                ):  # fmt: skip
                    arrays = (here, values, w, *signals, *self.fixed)
                    return self.adjoint(t, self.sizes, self.scalars, arrays, kept)

                rate, total, once = at(adjoint * (h / scale))
                if b[i]:
                    total = total + once
                else:
                    # The part linear in the costates; without them the quadratic cost gives no force on the weights
                    # but what counts once.
                    rate = rate - at(np.zeros_like(adjoint))[0]
                np.multiply(rate, -scale, out=slopes[i])
                forces[i] = np.ravel(total)
                scales[i] = scale
            sums += (factors[:, step * count : (step + 1) * count] * scales) @ forces
            costate += slopes.sum(axis=0)
        self._kept = []
