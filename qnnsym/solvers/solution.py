"""What every solver returns: times, states, expectation values, and the diagnostics that travel with them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from qnnsym.arrays import real_array
from qnnsym.errors import InputError, StorageError

# More output times than this are a slip of the pen, and would fill the memory before anything else is noticed.
MOST_TIMES = 10_000_000


class Status(Enum):
    """How a solution ended; the text says what to do next."""

    SUCCESS = "The solver reached the last time."
    MAX_STEPS = "The largest number of steps was used up; raise max_steps, or loosen the tolerance."
    STEP_TOO_SMALL = "The step became too small to advance time; the solution may be singular, or rtol too tight."
    NON_FINITE = "The state became infinite or NaN; the solution may blow up, or a parameter lies outside its range."
    STIFF = "The steps are limited by stability, not by accuracy; use method radau, bdf or lsoda."
    EVENT = "A terminal event ended the integration."
    INTERRUPTED = "The run was interrupted; what was reached is kept, run again to finish."


@dataclass
class Solution:
    """A numerical solution.

    Attributes:
        times: (n,) the times reached, in the model's unit of time.
        states: (n, ...) the states at these times, or None where they were not kept.
        status: how it ended.
        statistics: counts and seconds (steps, evaluations, ...).
        diagnostics: measured qualities (estimated_error, boundary_mass, ...).
        warnings: sentences about what should not be overlooked.
        provenance: model, signature and parameters of the run.
        expect: {name: (n,) expectation values}.
        grid: the coordinate arrays of a state's axes, where it lives on a grid.
        names: names of the components of a flat state, or of the axes of a grid other than (x, p).
        crossings: what each event recorded (times and states), in the order of the events.
    """

    times: np.ndarray
    states: np.ndarray | None = None
    status: Status = Status.SUCCESS
    statistics: dict[str, float] = field(default_factory=dict)
    diagnostics: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    provenance: dict[str, Any] = field(default_factory=dict)
    expect: dict[str, np.ndarray] = field(default_factory=dict)
    grid: tuple[np.ndarray, ...] | None = None
    names: tuple[str, ...] = ()
    crossings: tuple[Any, ...] = ()

    @property
    def success(self) -> bool:
        """Whether the last time, or a terminal event, was reached."""
        return self.status in (Status.SUCCESS, Status.EVENT)

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes of a state that lives on a grid."""
        return self.names if self.grid is not None and self.names else ("x", "p")

    @property
    def final(self) -> np.ndarray:
        """The state at the last time reached."""
        if self.states is None or not len(self.states):
            raise InputError("This solution kept no states; solve again with store_states=True.")
        return self.states[-1]

    def save(self, path: str | Path, checks: Sequence[Mapping[str, Any]] = ()) -> Path:
        """Write netCDF with CF-like attributes, whole or not at all.

        Arguments:
            path: file to write.
            checks: rows of the table of checks, stored as JSON.

        Raises:
            StorageError: when the disk refuses.
        """
        from qnnsym.storage import atomic_path

        dataset = self._dataset(checks)
        with atomic_path(path) as temporary:
            dataset.to_netcdf(temporary, engine="h5netcdf")
        return Path(path)

    def _dataset(self, checks: Sequence[Mapping[str, Any]]) -> Any:
        import xarray

        coordinates: dict[str, Any] = {"time": ("time", self.times, {"units": "1", "long_name": "time"})}
        variables: dict[str, Any] = {}
        axes = self.axes
        if self.grid is not None:
            for axis, values in zip(axes, self.grid, strict=True):
                coordinates[axis] = (axis, values, {"units": "1", "long_name": f"phase-space coordinate {axis}"})
        if self.states is not None:
            if self.grid is not None:
                meaning = {"units": "1", "long_name": f"Wigner function of {', '.join(axes)}, its integral is 1"}
                variables["W"] = (("time", *axes), self.states, meaning)
            else:
                variables["state"] = (("time", "component"), self.states, {"units": "1", "long_name": "flat state"})
                if self.names:
                    coordinates["component"] = ("component", np.array(self.names, dtype="U"))
        for name, variable in _variables(self.expect).items():
            meaning = {"units": "1", "long_name": f"expectation of {name}"}
            variables[variable] = ("time", self.expect[name], meaning)
        attributes = {
            "Conventions": "CF-1.10",
            "title": str(self.provenance.get("model", "qnnsym solution")),
            "status": self.status.name,
            "axes": json.dumps(list(axes) if self.grid is not None else []),
            "expectation_names": json.dumps(list(self.expect)),
            "checks": json.dumps(list(checks)),
            "library_versions": json.dumps(library_versions()),
            **{key: json.dumps(getattr(self, key), default=_plain_number) for key in _RECORDS},
        }
        return xarray.Dataset(variables, coordinates, attributes)

    @classmethod
    def load(cls, path: str | Path) -> Solution:
        """Read what `save` wrote.

        Raises:
            StorageError: when the file is missing or is not such a file.
        """
        import xarray

        try:
            with xarray.open_dataset(path, engine="h5netcdf") as dataset:
                dataset.load()
            return cls._from_dataset(dataset)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StorageError(f"{path} cannot be read as a result ({error}); run the model again.") from error

    @classmethod
    def _from_dataset(cls, dataset: Any) -> Solution:
        names = _variables(json.loads(dataset.attrs["expectation_names"]))
        axes = tuple(json.loads(dataset.attrs.get("axes", '["x", "p"]' if "x" in dataset.coords else "[]")))
        states = next((dataset[name].values for name in ("W", "state") if name in dataset), None)
        return cls(
            times=dataset["time"].values,
            states=states,
            status=Status[dataset.attrs["status"]],
            expect={name: dataset[variable].values for name, variable in names.items()},
            grid=tuple(dataset[name].values for name in axes) or None,
            names=tuple(map(str, dataset["component"].values)) if "component" in dataset.coords
            else axes if axes != ("x", "p") else (),
            **{key: json.loads(dataset.attrs[key]) for key in _RECORDS},
        )

    def __str__(self) -> str:
        rows = [("status", self.status.name)]
        if len(self.times):
            rows.append(("times", f"{self.times[0]:g} to {self.times[-1]:g}, {len(self.times)} points"))
        if self.states is not None:
            rows.append(("states", " x ".join(map(str, self.states.shape[1:]))))
        rows += [(key.replace("_", " "), f"{value:.4g}") for key, value in self.statistics.items()]
        rows += [(key.replace("_", " "), f"{value:.2e}") for key, value in self.diagnostics.items()]
        width = max(len(key) for key, _ in rows)
        lines = [f"{key:<{width}}  {value}" for key, value in rows]
        if not self.success:
            lines.append(self.status.value)
        return "\n".join([*lines, *self.warnings])


_RECORDS = ("statistics", "diagnostics", "warnings", "provenance")


def _variables(names: Iterable[str]) -> dict[str, str]:
    """{name of an observable: name of its variable}; x + p and x - p would have the same without the underscores."""
    found: dict[str, str] = {}
    for name in names:
        variable = "expect_" + "".join(c if c.isalnum() else "_" for c in name)
        while variable in found.values():
            variable += "_"
        found[name] = variable
    return found


def _plain_number(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value.tolist() if hasattr(value, "tolist") else str(value)


def library_versions() -> dict[str, str]:
    """Versions of what computed a result; they belong to results, never to generated text."""
    import platform
    from importlib.metadata import version

    found = {name: version(name) for name in ("qnnsym", "numpy", "scipy", "numba", "sympy", "mpmath")}
    return {"python": platform.python_version(), **found}


def as_times(times: Any) -> np.ndarray:
    """Output times as a float array.

    Arguments:
        times: array of at least two times, strictly ascending or descending, or (start, stop, number) with an integer
            number of at least 2. Three numbers in a list or array are three times; in a tuple they are a range if the
            last is an integer, and refused if it is a whole number written with a point, which may be meant as either.

    Raises:
        InputError: for anything else.
    """
    if isinstance(times, tuple) and len(times) == 3 and _is_count(times[2]):
        start, stop, number = float(times[0]), float(times[1]), int(times[2])
        if number < 2 or not np.isfinite([start, stop]).all() or start == stop:
            raise InputError(f"times={times} is no range; write (start, stop, number) with number of at least 2.")
        if number > MOST_TIMES:
            raise InputError(f"times={times} are {number} output times; give at most {MOST_TIMES}.")
        return np.linspace(start, stop, number)
    if isinstance(times, tuple) and len(times) == 3 and _looks_like_count(times[2]):
        raise InputError(
            f"times={times} may be a range of {times[2]:g} times or three times; write an integer, (start, stop, "
            f"{int(times[2])}), for a range, or a list for an array of times."
        )
    try:
        array = np.asarray(times, dtype=float)
    except (TypeError, ValueError):
        array = np.array(np.nan)
    if array.ndim != 1 or array.size < 2 or not np.isfinite(array).all():
        raise InputError(f"times={times!r} are not times; give an array of at least two, or (start, stop, number).")
    steps = np.diff(array)
    if not ((steps > 0).all() or (steps < 0).all()):
        raise InputError("The times neither ascend nor descend throughout; sort them and take out repeated ones.")
    return array


def _is_count(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) or (hasattr(value, "is_Integer") and bool(value.is_Integer))


def _looks_like_count(value: Any) -> bool:
    return isinstance(value, (float, np.floating)) and bool(value >= 2) and float(value).is_integer()


def positive_number(value: Any, what: str) -> None:
    """Make sure that a setting is a positive number.

    Raises:
        InputError: saying what it is.
    """
    known = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not (known and np.isfinite(value) and value > 0):
        raise InputError(f"{what} is {value!r}; give a positive number.")


def finite_array(value: Any, shape: Iterable[int], what: str) -> np.ndarray:
    """A float64 copy of the given shape with finite entries.

    Raises:
        InputError: naming what was given and what is needed.
    """
    shape = tuple(shape)
    try:
        array = real_array(value, what)
    except InputError:
        raise
    except (TypeError, ValueError):
        raise InputError(f"{what} is no array of numbers: {value!r}; give one of shape {shape}.") from None
    if array.shape != shape:
        raise InputError(f"{what} has the shape {array.shape}; it needs {shape}.")
    if not np.isfinite(array).all():
        raise InputError(f"{what} holds NaN or infinite entries; give finite numbers.")
    return array
