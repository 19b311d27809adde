"""Compiled memory of the driver: its own dense output kept step by step, and read at earlier times.

    lags      (lags,) the delays, positive
    channels  (channels, 2) which lag and which stored channel each lagged value in `ext` is
    kept      (stored, 2) component of the state a stored channel comes from, and -1, or the lag by which the channel is
              added to itself: S(t) = y(t) + S(t - lag), a sum over ever more lags at the cost of one
    mesh      (room + 1,) times: first those of the history, then those of the accepted steps
    store     (room, 8, stored) coefficients of powers of the share of a piece
    refit     (17, 8) nodes in (0, 1), the matrices from values there to Chebyshev coefficients and from these to powers

Source: E. Hairer, S. P. Norsett, G. Wanner, Solving Ordinary Differential Equations I (1993), section II.17.
"""

import numpy as np
from numba import njit, types

_number, _integer = types.float64, types.int64
_vector, _matrix, _cube = types.float64[::1], types.float64[:, ::1], types.float64[:, :, ::1]
_table = types.int64[:, ::1]
# Coefficients of a piece: powers 0 to 7.
POWERS = 8


@njit(types.int64(_vector, _integer, _number, _number), cache=True, error_model="numpy")
def piece_at(mesh, used, t, inside):
    """The piece that holds t; where two meet, within rounding, that on the side of `inside`."""
    shift = 8.0 * 2.2e-16 * max(abs(t), abs(mesh[0]), abs(mesh[used]))
    s = t + shift if inside > t else t - shift
    low, high = 0, used
    while high - low > 1:
        middle = (low + high) // 2
        if mesh[middle] <= s:
            low = middle
        else:
            high = middle
    return low


@njit(
    types.void(_vector, _table, _vector, _cube, _integer, _number, _number, _integer, _vector),
    cache=True,
    error_model="numpy",
    fastmath={"contract"},
)
def fill_lagged(lags, channels, mesh, store, used, t, inside, first, ext):
    """Lagged values at t into ext, from position `first` on."""
    count = channels.shape[0]
    channel = 0
    while channel < count:
        lag = channels[channel, 0]
        # Channels of one lag stand together: one search serves them all.
        end = channel
        while end < count and channels[end, 0] == lag:
            end += 1
        at = piece_at(mesh, used, t - lags[lag], inside - lags[lag])
        x = (t - lags[lag] - mesh[at]) / (mesh[at + 1] - mesh[at])
        for c in range(channel, end):
            ext[first + c] = store[at, POWERS - 1, channels[c, 1]]
        for power in range(POWERS - 2, -1, -1):
            for c in range(channel, end):
                ext[first + c] = ext[first + c] * x + store[at, power, channels[c, 1]]
        channel = end


@njit(
    types.void(_vector, _vector, _matrix, _vector, _table, _vector, _cube, _integer, _matrix, _number, _number),
    cache=True,
    error_model="numpy",
    fastmath={"contract"},
)
def keep_step(y, new, dense, lags, kept, mesh, store, used, refit, t, after):
    """Keep the polynomial of the step from t to `after`, in powers of its share; mesh[used] is t."""
    mesh[used + 1] = after
    values, spectrum = np.empty(POWERS), np.empty(POWERS)
    for s in range(kept.shape[0]):
        i = kept[s, 0]
        d0, d1, d2, d3, d4, d5 = dense[0, i], dense[1, i], dense[2, i], dense[3, i], dense[4, i], dense[5, i]
        store[used, 0, s] = y[i]
        store[used, 1, s] = (new[i] - y[i]) + d0
        store[used, 2, s] = (d1 - d0) + d2
        store[used, 3, s] = (d3 - d1) + (d4 - 2.0 * d2)
        store[used, 4, s] = (d2 - 2.0 * d3) + (d5 - 3.0 * d4)
        store[used, 5, s] = (d3 + 3.0 * d4) - 3.0 * d5
        store[used, 6, s] = 3.0 * d5 - d4
        store[used, 7, s] = -d5
        lag = kept[s, 1]
        if lag < 0:
            continue
        middle = 0.5 * (t + after) - lags[lag]
        for node in range(POWERS):
            at_time = t + refit[0, node] * (after - t) - lags[lag]
            at = piece_at(mesh, used, at_time, middle)
            x = (at_time - mesh[at]) / (mesh[at + 1] - mesh[at])
            value = store[at, POWERS - 1, s]
            for power in range(POWERS - 2, -1, -1):
                value = value * x + store[at, power, s]
            values[node] = value
        for k in range(POWERS):
            spectrum[k] = 0.0
            for node in range(POWERS):
                spectrum[k] += refit[1 + k, node] * values[node]
        for power in range(POWERS):
            for k in range(power, POWERS):
                store[used, power, s] += refit[1 + POWERS + power, k] * spectrum[k]
