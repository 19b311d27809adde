"""What a delay equation remembers: its history and the polynomials of its own steps, in arrays for the driver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from qnnsym.solvers.tables import DEGREE, PiecewisePolynomial, interpolation_matrices

# Pieces for which there is room at first.
ROOM = 128


@dataclass
class Memory:
    """The arrays that `lagged` reads and writes.

    Arguments:
        lags: (lags,) positive delays; none means that nothing is kept.
        channels: (channels, 2) lag and stored channel of each lagged value, sorted by lag.
        kept: (stored, 2) component behind each stored channel, and -1 or the lag by which it is added to itself.
        history: the stored channels before the start, in powers of t minus a piece's left break.
    """

    lags: Sequence[float] | np.ndarray = ()
    channels: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    kept: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    history: PiecewisePolynomial | None = None

    def __post_init__(self) -> None:
        self.lags = np.array(self.lags, dtype=float)
        self.mesh, self.store = np.zeros(1), np.zeros((0, DEGREE + 1, len(self.kept)))
        self.refit, self.used = np.zeros((0, DEGREE + 1)), 0
        if self.history is None:
            return
        nodes, to_chebyshev, to_powers = interpolation_matrices()
        self.refit = np.ascontiguousarray(np.vstack([nodes, to_chebyshev, to_powers]))
        breaks, pieces = self.history.breaks, self.history.pieces
        self.used = len(pieces)
        self.mesh = np.concatenate([breaks, np.zeros(ROOM)])
        self.store = np.zeros((self.used + ROOM, DEGREE + 1, pieces.shape[2]))
        powers = np.arange(pieces.shape[1])
        self.store[: self.used, : len(powers)] = pieces * np.diff(breaks)[:, None, None] ** powers[:, None]

    @property
    def active(self) -> bool:
        """Whether anything is kept."""
        return bool(self.lags.size)

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """Arguments of the compiled driver."""
        return self.lags, self.channels, self.kept, self.mesh, self.store, self.refit

    def make_room(self, t: float) -> int:
        """Forget what lies further back than the longest lag, make room for as many pieces as are left and more.

        Returns:
            The number of pieces that are left.
        """
        used = len(self.store)
        first = max(0, int(np.searchsorted(self.mesh[: used + 1], t - 1.001 * self.lags.max())) - 2)
        left = used - first
        mesh, store = np.zeros(2 * left + ROOM + 1), np.zeros((2 * left + ROOM, *self.store.shape[1:]))
        mesh[: left + 1], store[:left] = self.mesh[first : used + 1], self.store[first:used]
        self.mesh, self.store = mesh, store
        return left
