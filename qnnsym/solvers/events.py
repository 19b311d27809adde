"""Events: planes in the space of states whose crossings are found to the accuracy of the dense output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qnnsym.errors import InputError

# Crossings kept before the driver comes back to have them taken away.
ROOM = 256


@dataclass(frozen=True)
class Event:
    """A linear combination of components that reaches a level.

    Arguments:
        combination: a component (its name, or its number), or {component: coefficient}.
        level: the value to be reached.
        direction: 1 counts upward crossings in the course of the integration, -1 downward ones, 0 both.
        terminal: end the integration at the first crossing.
    """

    combination: Any
    level: float = 0.0
    direction: int = 0
    terminal: bool = False

    def plane(self, names: Sequence[str], size: int) -> np.ndarray:
        """Coefficients of all components.

        Raises:
            InputError: for a component that there is not, or values that are not finite.
        """
        given = self.combination if isinstance(self.combination, Mapping) else {self.combination: 1.0}
        row = np.zeros(size)
        for component, coefficient in given.items():
            if isinstance(component, str) and component in names:
                row[list(names).index(component)] += float(coefficient)
            elif isinstance(component, (int, np.integer)) and 0 <= component < size:
                row[component] += float(coefficient)
            else:
                known = f"{', '.join(names[:6])}{', ...' if len(names) > 6 else ''}" if names else f"0 to {size - 1}"
                raise InputError(f"The event names the component {component!r}; the components are {known}.")
        if not np.isfinite(row).all() or not row.any() or not np.isfinite(self.level):
            raise InputError(f"{self} is no plane; give finite coefficients, one of them not zero, and a finite level.")
        if self.direction not in (-1, 0, 1):
            raise InputError(f"The direction of an event is {self.direction!r}; give 1, -1 or 0.")
        return row

    def __str__(self) -> str:
        given = self.combination if isinstance(self.combination, Mapping) else {self.combination: 1.0}
        terms = " + ".join(f"{'' if c == 1 else f'{c:g} '}{name}" for name, c in given.items())
        return f"{terms} = {self.level:g}"


@dataclass(frozen=True)
class Crossings:
    """When an event happened, and the states then.

    Attributes:
        event: the event.  times: (k,).  states: (k, n).
    """

    event: Event
    times: np.ndarray
    states: np.ndarray


class Watch:
    """The arrays of the events of one integration."""

    def __init__(self, events: Sequence[Event], names: Sequence[str], state: np.ndarray) -> None:
        self.events = tuple(events)
        self.planes = np.array([e.plane(names, state.size) for e in events]).reshape(len(events), state.size)
        self.levels = np.array([float(e.level) for e in events])
        self.senses = np.array([e.direction for e in events], np.int64)
        self.terminal = np.array([e.terminal for e in events], np.int64)
        self.values = self.planes @ state - self.levels
        self.hits = np.empty((ROOM * bool(events), 2 + state.size))
        self._taken: list[np.ndarray] = []

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """Arguments of the compiled driver."""
        return self.planes, self.levels, self.senses, self.terminal, self.values, self.hits

    def take(self, count: int) -> None:
        """Keep the first `count` crossings of the buffer."""
        self._taken.append(self.hits[:count].copy())

    def crossings(self) -> tuple[Crossings, ...]:
        """All crossings taken, by event."""
        lines = np.concatenate([self.hits[:0], *self._taken])
        return tuple(
            Crossings(event, lines[lines[:, 1] == n, 0], lines[lines[:, 1] == n, 2:])
            for n, event in enumerate(self.events)
        )


# What runs without events watch; nothing is ever written to it.
UNWATCHED = Watch((), (), np.zeros(0))
