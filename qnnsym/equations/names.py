"""Names in generated code: a model's own names, kept wherever the kernel's text leaves them free."""

from __future__ import annotations

import keyword
import re

# What a kernel's text uses for itself; the emitters' helper functions are among them.
RESERVED = frozenset(
    "state ext par dims work rates math np mp njit float64 SIGNATURE Compiler Disjoint range abs min max held entry "
    "tanh exp logistic softplus relu step near_sin near_cos vectors sin cos tan log sinh cosh atan asin acos "
    "asinh".split()
)

# Intermediates are a letter and a number (u0, v3), row pieces end in _row, bounds of blocks of rows in _end and _even.
INTERMEDIATE = re.compile(r"[a-z]\d+|.*_row\d*|.*_sum|.*_end|.*_even|.*_next|z_.*")


def identifier(name: str, taken: frozenset[str] | set[str] = frozenset()) -> str:
    """The name itself, or with underscores appended until it is free (lambda becomes lambda_, z becomes p_z)."""
    while keyword.iskeyword(name) or name in RESERVED or name in taken or INTERMEDIATE.fullmatch(name):
        # No underscore frees what begins with z_: pieces of the assembled vector are called so.
        name = f"p_{name}" if name == "z" or name.startswith("z_") else name + "_"
    return name
