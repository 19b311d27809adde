"""Three emitters over one loop form: numba (what runs), NumPy and mpmath (what it is held against).

The NumPy text does inner loops as whole-array operations and works for complex arrays; the mpmath text is a
literal transcription in exact rationals. Neither shares arithmetic with the compiled kernel.
"""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from qnnsym.codegen import elementary
from qnnsym.codegen.loops import Accumulate, Assign, Function, Let, Loop, Row
from qnnsym.codegen.lower import BLOCK, Blocked, walk
from qnnsym.codegen.pairs import paired
from qnnsym.codegen.printing import MPMATH, NUMBA, NUMBA_NEAR, NUMPY, Printer

SIGNATURE = "void(float64, float64[::1], float64[::1], float64[::1], int64[::1], float64[::1], float64[::1])"
# Buffers are named apart from any array of a model: a network has a y of its own.
ARGUMENTS = "t, state, ext, par, dims, work, rates"
# No nnan/ninf: non-finite values must survive to be reported; nsz is safe for sums of products.
FASTMATH = '{"contract", "reassoc", "nsz"}'

# The value itself, not inlined as it stands: LLVM would move a division out of sight into the loop, x*(1/a) becoming
# x/a for every entry.
HELD = """\
@njit(float64(float64), cache=True, error_model='numpy')
def held(u):
    return u if u == u else u + u


"""


# Without this every vectorised loop first looks whether its arrays overlap, which costs a short row more than the row.
DISJOINT = '''\
class Disjoint(Compiler):
    """The buffers of a kernel never overlap."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.state.flags.noalias = True


'''


def emit_numba(functions: list[Function], header: str) -> str:
    """Source of a self-contained module with one compiled function per kernel."""
    printer = Printer(NUMBA, products=True)
    bodies: list[str] = []
    seen: list[Function] = []
    for function in functions:
        # A kernel equal to an earlier one (a truncation that cuts nothing) is compiled once.
        twin = next((f for f in seen if replace(f, name=function.name) == function), None)
        if twin is None:
            bodies.append(_numba_function(function, printer))
            seen.append(function)
        else:
            bodies.append(f"{function.name} = {twin.name}\n")
    text = "\n\n".join(bodies)
    helpers = (HELD if "held(" in text else "") + elementary.text(elementary.used(text))
    names = "float64, njit" if helpers else "njit"
    imports = "import math\n\n" if "math." in text + helpers else ""
    imports += "import numpy as np\n" if "np." in helpers else ""
    imports += f"from numba import {names}\nfrom numba.core.compiler import Compiler\n"
    return f'{header}\n{imports}\nSIGNATURE = "{SIGNATURE}"\n\n\n{DISJOINT}{helpers}{text}'


def _numba_function(function: Function, printer: Printer) -> str:
    lines = [
        f'@njit(cache=True, fastmath={FASTMATH}, error_model="numpy", pipeline_class=Disjoint)',
        f"def {function.name}({ARGUMENTS}):",
        *preamble(function, printer, slices=True, buffers=True),
        *(held(line) for line in numba_body(function.body, printer, 1)),
    ]
    return "\n".join(lines) + "\n"


def held(line: str, function: str = "held") -> str:
    """A scalar computed before all loops by a division, kept from being moved into them by `function`."""
    name, equals, value = line.strip().partition(" = ")
    before_loops = line.startswith("    ") and not line.startswith("     ") and name.isidentifier()
    return f"    {name} = {function}({value})" if equals and before_loops and "/" in value else line


def preamble(function: Function, printer: Printer, slices: bool, buffers: bool = False) -> list[str]:
    """Sizes, scalars and the views that the body uses; `buffers`: those of blocked row loops too."""
    used = _names_used(function)
    if buffers:
        used |= {name for node in function.body if isinstance(node, Blocked) for name in node.buffers}
    sizes = {s.name for v in function.views for s in _free(v)} | {s.name for s in _loop_symbols(function)}
    lines = [f"    {s.name} = dims[{n}]" for n, s in enumerate(function.sizes) if s.name in sizes]
    lines += [f"    {s.name} = par[{n}]" for n, s in enumerate(function.scalars) if s.name in used]
    for view in function.views:
        if view.name not in used:
            continue
        low = printer.integer(view.offset)
        high = printer.integer(sp.expand(view.offset + sp.Mul(*view.extents)))
        lines.append(f"    {view.name} = {view.buffer}[{low}:{high}]")
    return lines


def _names_used(function: Function) -> set[str]:
    names: set[str] = set()
    for node in walk(function.body):
        if isinstance(node, Row):
            names.add(node.view.name)
        elif isinstance(node, (Assign, Accumulate, Let)):
            for expression in (node.value, getattr(node, "target", sp.S.Zero)):
                names |= {s.name for s in expression.free_symbols if isinstance(s, sp.Symbol)}
    return names


def _loop_symbols(function: Function) -> set[sp.Symbol]:
    found: set[sp.Symbol] = set()
    for node in walk(function.body):
        if isinstance(node, Loop):
            found |= node.extent.free_symbols
        elif isinstance(node, Row):
            found |= node.start.free_symbols | sp.Mul(*node.view.extents).free_symbols
        elif isinstance(node, (Assign, Accumulate)):
            found |= {s for i in node.target.atoms(sp.Indexed) for s in i.indices[0].free_symbols}
    return found


def _free(view) -> set[sp.Symbol]:
    return view.offset.free_symbols | sp.Mul(*view.extents).free_symbols


def _row_bounds(row: Row, printer: Printer) -> tuple[str, str]:
    width = row.view.extents[1]
    low = printer.integer(row.index * width + row.start) if row.start != 0 else None
    index = f"{row.index}" if row.index.is_Symbol else f"({row.index})"
    base = f"{index}*({printer.integer(width)})"
    start = base if low is None else f"{base} + {printer.integer(row.start)}"
    return start, f"({row.index + 1})*({printer.integer(width)})"


def numba_body(nodes: tuple, printer: Printer, depth: int) -> list[str]:
    """Statements of a body, as numba and plain Python read them."""
    pad, lines = "    " * depth, []
    for node in nodes:
        if isinstance(node, Blocked) and printer.functions is NUMBA:
            lines += _numba_rows(node, printer, depth)
        elif isinstance(node, Loop):
            header = f"for {node.index} in range({printer.integer(node.extent)}):"
            lines += _numba_loop(header, node.body, printer, depth)
        elif isinstance(node, Row):
            low, high = _row_bounds(node, printer)
            lines.append(f"{pad}{node.name} = {node.view.name}[{low}:{high}]")
        elif isinstance(node, Let):
            lines.append(f"{pad}{node.name} = {printer(node.value)}")
        else:
            sign = "+=" if isinstance(node, Accumulate) else "="
            lines.append(f"{pad}{printer(node.target)} {sign} {printer(node.value)}")
    return lines


def _numba_loop(header: str, body: tuple, printer: Printer, depth: int) -> list[str]:
    """A loop; one that vectorises and contains sin or cos looks first whether their arguments are in range.

    The C library's reduction of far arguments cannot stand in a packed loop, and a branch to it would unpack the loop.
    """
    pad = "    " * depth
    arguments = () if any(isinstance(n, (Loop, Row)) for n in body) else _circular_arguments(body)
    if printer.functions is not NUMBA or not arguments:
        return [pad + header, *numba_body(body, printer, depth + 1)]
    near = Printer(NUMBA_NEAR, products=True)
    needed = {str(s) for a in arguments for s in a.free_symbols}
    lets: list[Let] = []
    for let in (n for n in reversed(body) if isinstance(n, Let)):
        if let.name in needed:
            lets.insert(0, let)
            needed |= {str(s) for s in let.value.free_symbols}
    return [
        f"{pad}far_sum = 0",
        pad + header,
        *numba_body(tuple(lets), near, depth + 1),
        *(f"{pad}    far_sum += abs({near(a)}) > {elementary.FAR!r}" for a in arguments),
        f"{pad}if far_sum:",
        f"{pad}    {header}",
        *numba_body(body, printer, depth + 2),
        f"{pad}else:",
        f"{pad}    {header}",
        *numba_body(body, near, depth + 2),
    ]


def _circular_arguments(body: tuple) -> tuple[sp.Expr, ...]:
    """What sin and cos are taken of, each argument once, in the order of the nodes."""
    found: dict[sp.Expr, None] = {}
    for node in body:
        calls = sorted(node.value.atoms(sp.sin, sp.cos), key=sp.default_sort_key)
        found.update(dict.fromkeys(c.args[0] for c in calls))
    return tuple(found)


def _numba_rows(loop: Blocked, printer: Printer, depth: int) -> list[str]:
    """A row loop by blocks: sums over rows, in pairs, the activations of all rows packed, then the rows again.

    Pairs in the last part would gain a tenth at N = 100 and cost as much compilation as the whole kernel.
    """
    pad, inner = "    " * depth, "    " * (depth + 1)
    extent, k = printer.integer(loop.extent), loop.index
    start, end, even = f"{k}_row", f"{k}_end", f"{k}_even"
    pairs, last = f"for {k} in range({start}, {even}, 2):", f"for {k} in range({even}, {end}):"
    # Rounded up to whole vectors: the lanes beyond the last row are computed and not used.
    packed = f"for {k} in range(({end} - {start} + 7) & -8):"
    return [
        f"{pad}for {start} in range(0, {extent}, {BLOCK}):",
        f"{inner}{end} = min({start} + {BLOCK}, {extent})",
        f"{inner}{even} = {end} - ({end} - {start}) % 2",
        *_numba_loop(pairs, paired(loop.before, k), printer, depth + 1),
        *_numba_loop(last, loop.before, printer, depth + 1),
        *_numba_loop(packed, loop.packed, printer, depth + 1),
        *_numba_loop(f"for {k} in range({start}, {end}):", loop.after, printer, depth + 1),
    ]


# mpmath: the same loops over lists of mpf ------------------------------------------------------------------


class _Slice(list):
    """A window on a list: writing through it writes the list (what a NumPy view does)."""

    def __init__(self, data: list, low: int, high: int) -> None:
        self.data, self.low, self.high = data, low, high

    def __getitem__(self, index):
        if isinstance(index, slice):
            low, high, _ = index.indices(self.high - self.low)
            return _Slice(self.data, self.low + low, self.low + high)
        return self.data[self.low + index]

    def __setitem__(self, index, value) -> None:
        self.data[self.low + index] = value


def emit_mpmath(function: Function) -> str:
    """Source of the kernel over lists of mpf, in the working precision of the caller."""
    printer = Printer(MPMATH, exact=True)
    lines = [
        f"def {function.name}({ARGUMENTS}):",
        *preamble(function, printer, slices=True),
        *numba_body(function.body, printer, 1),
    ]
    return "\n".join(lines) + "\n"


def mpmath_function(function: Function):
    """The kernel as a Python function f(t, y, ext, par, dims) -> list of mpf."""
    import mpmath

    from qnnsym.equations.functions import MPMATH as own

    namespace: dict = {"mp": mpmath, **own}
    exec(compile(emit_mpmath(function), f"<mpmath {function.name}>", "exec"), namespace)
    sizes = sp.lambdify(function.sizes, [function.work, function.output_size])

    def call(t, y, ext, par, dims):
        work_size, out_size = (int(v) for v in sizes(*dims))
        work, out = [mpmath.mpf(0)] * work_size, [mpmath.mpf(0)] * out_size

        def window(data):
            return _Slice(data, 0, len(data))

        namespace[function.name](
            mpmath.mpf(t), *(window([mpmath.mpmathify(v) for v in a]) for a in (y, ext, par)),
            list(dims), window(work), window(out),
        )
        return out

    return call


# NumPy: inner loops as array operations --------------------------------------------------------------------


def emit_numpy(function: Function) -> str:
    """Source of the kernel in plain NumPy; innermost loops become whole-array expressions."""
    printer = Printer(NUMPY)
    lines = [
        f"def {function.name}({ARGUMENTS}):",
        *preamble(function, printer, slices=True),
        *_numpy_body(function.body, printer, 1),
    ]
    return "\n".join(lines) + "\n"


def _numpy_body(nodes: tuple, printer: Printer, depth: int) -> list[str]:
    pad, lines = "    " * depth, []
    for node in nodes:
        if isinstance(node, Loop) and not any(isinstance(n, (Loop, Row)) for n in node.body):
            lines += _numpy_loop(node, printer, pad)
        elif isinstance(node, Loop):
            lines.append(f"{pad}for {node.index} in range({printer.integer(node.extent)}):")
            lines += _numpy_body(node.body, printer, depth + 1)
        else:
            lines += numba_body((node,), printer, depth)
    return lines


def _numpy_loop(loop: Loop, printer: Printer, pad: str) -> list[str]:
    extent = printer.integer(loop.extent)
    lines = []

    def text(expression: sp.Expr) -> str:
        entries = {
            e: sp.Symbol(f"{e.base.label}[{printer.integer(e.indices[0] - loop.index)}:"
                         f"{printer.integer(e.indices[0] - loop.index)} + {extent}]")
            for e in expression.atoms(sp.Indexed)
            if e.indices[0].has(loop.index)
        }
        return printer(expression.xreplace(entries))

    for node in loop.body:
        if isinstance(node, Let):
            lines.append(f"{pad}{node.name} = {text(node.value)}")
        elif isinstance(node.target, sp.Symbol):
            lines.append(f"{pad}{node.target} += np.sum(({text(node.value)}) * np.ones({extent}))")
        elif not node.target.has(loop.index):
            lines.append(f"{pad}{printer(node.target)} += np.sum(({text(node.value)}) * np.ones({extent}))")
        else:
            sign = "+=" if isinstance(node, Accumulate) else "="
            lines.append(f"{pad}{text(node.target)} {sign} {text(node.value)}")
    return lines


def numpy_function(function: Function):
    """The kernel as a Python function f(t, y, ext, par, dims) -> array, real or complex as its input."""
    import numpy as np

    def where(condition, yes, no):
        return np.where(condition, yes, no)

    namespace: dict = {
        "np": np,
        "abs": np.abs,
        "logistic": lambda u: where(np.real(u) >= 0, 1 / (1 + np.exp(-abs_like(u))), _tail(u)),
        "softplus": lambda u: where(np.real(u) > 0, u, 0) + np.log1p(np.exp(-abs_like(u))),
        "relu": lambda u: where(np.real(u) > 0, u, 0 * u),
        "step": lambda u: where(np.real(u) > 0, 1.0, 0.0),
    }

    def abs_like(u):
        # |u| continued analytically on each side, so that a complex step passes through.
        return where(np.real(u) >= 0, u, -u)

    def _tail(u):
        e = np.exp(-abs_like(u))
        return e / (1 + e)

    exec(compile(emit_numpy(function), f"<numpy {function.name}>", "exec"), namespace)
    sizes = sp.lambdify(function.sizes, [function.work, function.output_size])

    def call(t, y, ext, par, dims):
        y = np.asarray(y)
        work_size, out_size = (int(v) for v in sizes(*dims))
        work, out = np.zeros(work_size, y.dtype), np.zeros(out_size, y.dtype)
        namespace[function.name](t, y, np.asarray(ext), np.asarray(par), list(dims), work, out)
        return out

    return call
