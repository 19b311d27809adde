"""Forward and backward sweeps over one epoch, compiled: the costate is the exact adjoint of the forward steps.

A step of an explicit Runge-Kutta method, k_i = F(Y_i), Y_i = y + h sum_j a_ij k_j, y' = y + h sum_i b_i k_i, has the
adjoint

    l_i = h b_i Delta' + h sum_j a_ji g_j,   g_i = F_y(Y_i)^T l_i + h b_i E_y(Y_i),   Delta = Delta' + sum_i g_i,

run backwards, so that sums over m_i = -(F_W^T l_i + h b_i E_W) are derivatives of the discrete cost to rounding,
whatever the step. The kernel of the backward sweep gives Delta' = -F_y^T Delta - E_y and M' = -F_W^T Delta - E_W, which
are affine in Delta: at l_i/(h b_i), times -h b_i and h b_i, where b_i is not zero; else the part linear in Delta.

Source: W. W. Hager, Numer. Math. 87 (2000) 247; J. M. Sanz-Serna, SIAM Rev. 58 (2016) 3. Importing this module compiles
it or loads it from numba's cache: see `problem.driver`.
"""

import numpy as np
from numba import njit, types

_number, _integer = types.float64, types.int64
_vector, _matrix, _cube = types.float64[::1], types.float64[:, ::1], types.float64[:, :, ::1]
_stages, _integers = types.float64[:, :, :, ::1], types.int64[::1]
KERNEL = types.FunctionType(types.void(_number, _vector, _vector, _vector, _integers, _vector, _vector))


@njit(
    types.void(
        KERNEL, _number, _number, _matrix, _vector, _vector, _matrix, _matrix, _cube, _vector, _integers, _vector,
        _stages,
    ),
    cache=True,
    error_model="numpy",
    nogil=True,
)  # fmt: skip
def forward(kernel, start, h, a, b, c, y, weights, ext, par, dims, work, stages):
    """Advance all patterns over stages.shape[0] steps, keeping every stage.

    y: (patterns, n), overwritten by the final activities.  weights: (1 or steps*stages, size), constant or at every
    stage.  ext: (1 or steps*stages, patterns, channels).  stages: (steps, stages, patterns, n), filled.
    """
    steps, count, patterns, n = stages.shape
    size = weights.shape[1]
    state, rate, signal = np.zeros(n + size), np.zeros(n), np.zeros(ext.shape[2])
    state[n:] = weights[0]
    slopes = np.zeros((count, patterns, n))
    for step in range(steps):
        for i in range(count):
            line = step * count + i
            if weights.shape[0] > 1:
                state[n:] = weights[line]
            at = line if ext.shape[0] > 1 else 0
            t = start + (step + c[i]) * h
            for p in range(patterns):
                for k in range(n):
                    total = 0.0
                    for j in range(i):
                        total += a[i, j] * slopes[j, p, k]
                    state[k] = y[p, k] + h * total
                    stages[step, i, p, k] = state[k]
                for e in range(signal.size):
                    signal[e] = ext[at, p, e]
                kernel(t, state, signal, par, dims, work, rate)
                for k in range(n):
                    slopes[i, p, k] = rate[k]
        for p in range(patterns):
            for k in range(n):
                total = 0.0
                for i in range(count):
                    total += b[i] * slopes[i, p, k]
                y[p, k] += h * total


@njit(
    types.void(
        KERNEL, _number, _number, _matrix, _vector, _vector, _matrix, _matrix, _cube, _matrix, _integers, _vector,
        _stages, _matrix, _matrix,
    ),
    cache=True,
    error_model="numpy",
    nogil=True,
)  # fmt: skip
def backward(kernel, start, h, a, b, c, costate, weights, ext, pars, dims, work, stages, factors, sums):
    """The adjoint of `forward`, and sums over stages and patterns of factors times M'.

    costate: (patterns, n), the final costates, overwritten by those at the start.  pars: (patterns, parameters).
    factors: (sums, steps*stages).  sums: (sums, size), added to.
    """
    steps, count, patterns, n = stages.shape
    size = weights.shape[1]
    state, rate, other = np.zeros(2 * n + size), np.zeros(n + size), np.zeros(n + size)
    signal, adjoint = np.zeros(ext.shape[2]), np.zeros(n)
    state[2 * n :] = weights[0]
    slopes = np.zeros((count, patterns, n))
    for step in range(steps - 1, -1, -1):
        for i in range(count - 1, -1, -1):
            line = step * count + i
            if weights.shape[0] > 1:
                state[2 * n :] = weights[line]
            at = line if ext.shape[0] > 1 else 0
            t = start + (step + c[i]) * h
            scale = h * b[i] if b[i] != 0.0 else 1.0
            for p in range(patterns):
                for k in range(n):
                    total = b[i] * costate[p, k]
                    for j in range(i + 1, count):
                        total += a[j, i] * slopes[j, p, k]
                    adjoint[k] = h * total / scale
                for e in range(signal.size):
                    signal[e] = ext[at, p, e]
                for k in range(n):
                    state[k] = stages[step, i, p, k]
                if b[i] == 0.0:
                    for k in range(n):
                        state[n + k] = 0.0
                    kernel(t, state, signal, pars[p], dims, work, other)
                for k in range(n):
                    state[n + k] = adjoint[k]
                kernel(t, state, signal, pars[p], dims, work, rate)
                if b[i] == 0.0:
                    for k in range(n + size):
                        rate[k] -= other[k]
                for k in range(n):
                    slopes[i, p, k] = -scale * rate[k]
                for q in range(sums.shape[0]):
                    factor = factors[q, line] * scale
                    if factor != 0.0:
                        for e in range(size):
                            sums[q, e] += factor * rate[n + e]
        for p in range(patterns):
            for k in range(n):
                for i in range(count):
                    costate[p, k] += slopes[i, p, k]


@njit(
    types.void(
        KERNEL, _number, _number, _integer, _number, _matrix, _vector, _matrix, _vector, _integers, _vector, _vector
    ),
    cache=True,
    error_model="numpy",
    nogil=True,
)  # fmt: skip
def settle(kernel, t, step, most, tolerance, y, weights, ext, par, dims, work, residuals):
    """Relax every pattern by Euler steps until a step changes no entry by more than the tolerance.

    y: (patterns, n), overwritten.  ext: (patterns, channels).  residuals: (patterns,), the last change relative to the
    step; larger than the tolerance where the activity has not come to rest.
    """
    patterns, n = y.shape
    state, rate, signal = np.zeros(n + weights.size), np.zeros(n), np.zeros(ext.shape[1])
    state[n:] = weights
    for p in range(patterns):
        for e in range(signal.size):
            signal[e] = ext[p, e]
        for k in range(n):
            state[k] = y[p, k]
        for _ in range(most):
            kernel(t, state, signal, par, dims, work, rate)
            largest = 0.0
            for k in range(n):
                # Written so that NaN is the largest.
                size = abs(rate[k]) / (1.0 + abs(state[k]))
                largest = size if not size <= largest else largest
                state[k] += step * rate[k]
            residuals[p] = largest
            if largest <= tolerance or not np.isfinite(largest):
                break
        for k in range(n):
            y[p, k] = state[k]
