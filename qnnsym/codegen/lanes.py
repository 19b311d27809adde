"""The kernel of eight trajectories side by side: the same text, compiled for a number type that has eight lanes.

Entry i of lane q stands at 8*i + q of state, ext, work and rates; par and dims are shared. Each lane has its own time,
the last entry of ext, and the argument t is not used. The loops are those of
the loop form as NumPy and mpmath run them (rows need no blocks: every activation is packed by itself), and each
elementary function is the scalar text made into vector instructions by `solvers.vectors.packed`.

The text is not part of generated/: it says nothing that `rhs` there does not say, most models never integrate eight
states at once, and the committed text stays half as long. It is built on demand, as variants of a model are, under its
own signature in .qnnsym/kernels, and compiled once per equations (2 s; sizes and parameters stay data).
"""

from __future__ import annotations

import re

from qnnsym.codegen import elementary
from qnnsym.codegen.emit import ARGUMENTS, DISJOINT, FASTMATH, SIGNATURE, held, numba_body, preamble
from qnnsym.codegen.loops import Function
from qnnsym.codegen.printing import MATH, Printer

# What the math module offers has its bare name here: the module defines it for lanes.
BARE = {name: text.removeprefix("math.") for name, text in MATH.items() if text not in ("abs", "math.sqrt")}
LANES = {**MATH, **BARE}


def emit_lanes(functions: list[Function], header: str) -> str:
    """Source of a module with one compiled function per kernel, whose state, work and rates are eight times as long."""
    printer = Printer(LANES, products=True)
    text = "\n\n".join(_function(function, printer) for function in functions)
    called = sorted(name for name in set(BARE.values()) if re.search(rf"(?<![\w.]){name}\(", text))
    circular = [name for name in called if name in elementary.CIRCULAR]
    plain = [elementary.CIRCULAR.get(name, name) for name in called]
    helpers = elementary.text([name for name in plain if name in elementary.BODIES], "@vectors.packed")
    for name in called:
        if name in circular:
            near = elementary.CIRCULAR[name]
            helpers += f"{name} = vectors.guarded({near}, math.{name}, {elementary.FAR!r})\n"
        elif name not in elementary.BODIES:
            helpers += f"{name} = vectors.lane_by_lane(math.{name})\n"
    helpers += "\n\n" if helpers and not helpers.endswith("\n\n\n") else ""
    imports = "import math\n\n" if "math." in text + helpers else ""
    imports += "import numpy as np\n" if "np." in helpers else ""
    imports += "from numba import njit\nfrom numba.core.compiler import Compiler\n\n"
    imports += "from qnnsym.solvers import vectors\n"
    return f'{header}\n{imports}\nSIGNATURE = "{SIGNATURE}"\n\n\n{DISJOINT}{helpers}{text}'


def _function(function: Function, printer: Printer) -> str:
    lines = [
        f'@njit(cache=True, fastmath={FASTMATH}, error_model="numpy", pipeline_class=Disjoint)',
        f"def {function.name}({ARGUMENTS}):",
        *(f"    {buffer} = vectors.wide({buffer})" for buffer in ("state", "ext", "work", "rates")),
        "    t = ext[-1]",
        *preamble(function, printer, slices=True),
        *(held(line, "vectors.held") for line in numba_body(function.body, printer, 1)),
    ]
    return "\n".join(lines) + "\n"
