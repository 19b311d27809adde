"""Arrays that users give, as floats without losing anything on the way."""

from __future__ import annotations

from typing import Any

import numpy as np

from qnnsym.errors import InputError


def real_array(value: Any, what: str) -> np.ndarray:
    """A float64 copy of an array; complex entries have to be real numbers.

    Raises:
        InputError: for an imaginary part, which a conversion would drop.
        TypeError, ValueError: for what is no array of numbers.
    """
    array = np.array(value)
    if array.dtype.kind == "O" and any(isinstance(entry, complex) for entry in array.flat):
        array = array.astype(complex)
    if array.dtype.kind == "c":
        if np.any(array.imag != 0):
            largest = float(np.max(np.abs(array.imag)))
            raise InputError(
                f"{what} has complex entries (imaginary parts up to {largest:.3g}); give real numbers, as array.real "
                "where the imaginary parts are rounding."
            )
        array = array.real
    return np.array(array, dtype=float)
