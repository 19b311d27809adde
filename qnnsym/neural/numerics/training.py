"""What a training leaves: weights, costs and momenta of every epoch, kept and read back."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.polynomial import legendre

from qnnsym.errors import StorageError


@dataclass
class Training:
    """What learning leaves.

    Attributes:
        weights: (epochs+1, N, 1+l+N), the weights before each epoch and the last ones (dynamical: at an epoch's end).
        costs: (epochs+1,), integral of E over an epoch with each of these weights, all patterns and the decay together.
        errors: the same without what counts once (the decay).
        momenta: (epochs, N, 1+l+N), M at the end of each epoch.
        y: (patterns, N), activities at the end of an epoch with the last weights.
        carried: (patterns, N), what the next epoch needs of the one before it, so that a resumed training is the same.
        coefficients: of dynamical weights, Legendre coefficients over an epoch (modes, N, 1+l+N), else None.
        settings: numbers and words of the run.
        diagnostics: step_error (relative change by half the step), rises (epochs in which the cost rose), curvature
            (where it rose: stable below 2), mode_tail (share of the last Legendre modes of dynamical weights).
        warnings: sentences that the user should see.
    """

    weights: np.ndarray
    costs: np.ndarray
    errors: np.ndarray
    momenta: np.ndarray
    y: np.ndarray
    carried: np.ndarray
    coefficients: np.ndarray | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    diagnostics: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def path(self, tau: Any) -> np.ndarray:
        """Dynamical weights of the last epoch at times tau since its start, (times, N, 1+l+N)."""
        tau = np.atleast_1d(np.asarray(tau, float))
        if self.coefficients is None:
            return np.broadcast_to(self.weights[-1], (tau.size, *self.weights[-1].shape))
        series = legendre.legval(2 * tau / self.settings["duration"] - 1, self.coefficients)
        return np.moveaxis(series, -1, 0)

    def save(self, path: str | Path) -> Path:
        """Write netCDF, whole or not at all; `train(..., resume=path)` goes on from it."""
        import xarray

        from qnnsym.storage import atomic_path

        axes = ("neuron", "column")
        variables = {
            "weights": (("epoch", *axes), self.weights),
            "cost": ("epoch", self.costs),
            "error": ("epoch", self.errors),
            "momenta": (("finished", *axes), self.momenta),
            "y": (("pattern", "neuron"), self.y),
            "carried": (("pattern", "neuron"), self.carried),
        }
        if self.coefficients is not None:
            variables["coefficients"] = (("mode", *axes), self.coefficients)
        attributes = {"Conventions": "CF-1.10", "title": "qnnsym training"}
        attributes |= {key: json.dumps(getattr(self, key)) for key in ("settings", "diagnostics", "warnings")}
        with atomic_path(path) as temporary:
            xarray.Dataset(variables, {"epoch": np.arange(len(self.costs))}, attributes).to_netcdf(
                temporary, engine="h5netcdf"
            )
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> Training:
        """Read what `save` wrote.

        Raises:
            StorageError: when the file is missing or is not such a file.
        """
        import xarray

        try:
            with xarray.open_dataset(path, engine="h5netcdf") as dataset:
                dataset.load()
            names = ("weights", "cost", "error", "momenta", "y", "carried")
            arrays = [dataset[name].values for name in names]
            modes = dataset["coefficients"].values if "coefficients" in dataset else None
            records = (json.loads(dataset.attrs[key]) for key in ("settings", "diagnostics", "warnings"))
            return cls(*arrays, modes, *records)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StorageError(f"{path} cannot be read as a training ({error}); train again.") from error

    def __str__(self) -> str:
        text = f"{len(self.momenta)} epochs, cost {self.costs[0]:.6g} to {self.costs[-1]:.6g}"
        return "\n".join([text, *self.warnings])
