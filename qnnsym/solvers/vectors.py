"""Eight numbers at once: a numba type whose values fill vector registers, one lane for each of eight trajectories.

A kernel compiled for this type is the kernel of a single trajectory with other numbers in it: `a*b` is one packed
multiplication, a sum over an index stays in one register, a plain number (a parameter, a size) stands for itself in
every lane. No loop has to be found by a vectoriser, whatever the model.

    wide(array)     the same memory as an array of lanes: entry i of lane q is array[8*i + q]
    packed(f)       an elementary function as vector instructions, from its own text
    lane_by_lane(f) a function of the math module, called eight times
    guarded(f, g, limit)
                    f where all |u| <= limit, otherwise g lane by lane
    held(u)         u, which the compiler does not take apart
    larger, chosen  lane by lane: the larger of two numbers, one of two by a third
"""

from __future__ import annotations

import ast
import inspect
import math
import operator
import textwrap
from collections.abc import Callable
from typing import Any, ClassVar

from llvmlite import ir
from numba import njit
from numba.core import types
from numba.core.typeconv.castgraph import Conversion
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, lower_cast, models, register_model
from numba.np import arrayobj

LANES = 8
_INFERRED: Any = infer_global
_SHORT = ir.IntType(32)
_FLOATS = ir.VectorType(ir.DoubleType(), LANES)
_INTEGERS = ir.VectorType(ir.IntType(64), LANES)


class Lanes(types.Type):
    """The type of eight numbers."""

    def __init__(self) -> None:
        super().__init__("lanes")

    def can_convert_from(self, typingctx: Any, other: Any) -> Any:
        return Conversion.promote if isinstance(other, (types.Float, types.Integer)) else None

    def unify(self, typingctx: Any, other: Any) -> Any:
        return self if isinstance(other, (types.Float, types.Integer)) else None


lanes = Lanes()


@register_model(Lanes)
class _Model(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, _FLOATS)


# Arithmetic --------------------------------------------------------------------------------------------------


def _everywhere(builder: Any, number: Any) -> Any:
    """A scalar in every lane."""
    vector = ir.VectorType(number.type, LANES)
    nothing = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(nothing, number, _SHORT(0))
    return builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(_SHORT, LANES), [0] * LANES))


@lower_cast(types.Float, Lanes)
@lower_cast(types.Integer, Lanes)
def _cast(context: Any, builder: Any, fromty: Any, toty: Any, value: Any) -> Any:
    return _everywhere(builder, context.cast(builder, value, fromty, types.float64))


def _called(builder: Any, name: str, *arguments: Any) -> Any:
    """An intrinsic of LLVM for eight numbers."""
    kind = ir.FunctionType(_FLOATS, [_FLOATS] * len(arguments))
    function = builder.module.globals.get(f"llvm.{name}.v8f64")
    return builder.call(function or ir.Function(builder.module, kind, f"llvm.{name}.v8f64"), arguments)


def _offered(function: Any, *arities: tuple[Any, ...]) -> Callable:
    """Register what `function` does with lanes; other arguments are converted first."""

    @_INFERRED(function)
    class _Template(ConcreteTemplate):
        cases: ClassVar = [signature(lanes, *arity) for arity in arities]

    def decorated(lowered: Callable) -> None:
        def adapted(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            return lowered(builder, *(context.cast(builder, a, t, lanes) for a, t in zip(args, sig.args, strict=True)))

        for arity in arities:
            lower_builtin(function, *arity)(adapted)

    return decorated


_PAIRS = ((lanes, lanes), (lanes, types.float64), (types.float64, lanes))
_FLOAT_OPERATIONS = {
    operator.add: "fadd", operator.sub: "fsub", operator.mul: "fmul", operator.truediv: "fdiv", operator.iadd: "fadd",
}  # fmt: skip
for _function, _name in _FLOAT_OPERATIONS.items():
    _offered(_function, *_PAIRS)(lambda builder, a, b, name=_name: getattr(builder, name)(a, b))
_offered(operator.neg, (lanes,))(lambda builder, a: builder.fneg(a))
_offered(abs, (lanes,))(lambda builder, a: _called(builder, "fabs", a))
_offered(math.sqrt, (lanes,))(lambda builder, a: _called(builder, "sqrt", a))


@_INFERRED(operator.pow)
class _Power(ConcreteTemplate):
    cases: ClassVar = [signature(lanes, lanes, types.int64), *(signature(lanes, *pair) for pair in _PAIRS)]


@lower_builtin(operator.pow, lanes, types.int64)
def _integer_power(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    """Squarings and multiplications; the exponent is written in the kernel, and the loop over its bits dissolves."""

    def power(base: Any, exponent: Any) -> Any:
        left, factor, result = abs(exponent), base, base * 0.0 + 1.0
        while left:
            if left & 1:
                result = result * factor
            factor = factor * factor
            left >>= 1
        return 1.0 / result if exponent < 0 else result

    return context.compile_internal(builder, power, sig, args)


def _power(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    values = [context.cast(builder, a, t, lanes) for a, t in zip(args, sig.args, strict=True)]
    return _called(builder, "pow", *values)


for _pair in _PAIRS:
    lower_builtin(operator.pow, *_pair)(_power)


@intrinsic
def wide(typingctx: Any, array: Any) -> Any:
    """The memory of a contiguous array of numbers as an array of lanes, which must not outlive it."""
    result = types.Array(lanes, 1, "C", aligned=False)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        old = arrayobj.make_array(sig.args[0])(context, builder, args[0])
        new = arrayobj.make_array(result)(context, builder)
        size = context.get_constant(types.intp, 8 * LANES)
        number = builder.sdiv(old.nitems, context.get_constant(types.intp, LANES))
        data = builder.bitcast(old.data, _FLOATS.as_pointer())
        arrayobj.populate_array(new, data, [number], [size], size, None)
        return new._getvalue()

    return result(array), codegen


@intrinsic
def held(typingctx: Any, u: Any) -> Any:
    """u itself, but a division that made it is not moved into the loops that use it."""
    u = lanes if u is lanes else types.float64

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = args[0].type
        name = f"llvm.arithmetic.fence.{'v8f64' if kind == _FLOATS else 'f64'}"
        function = builder.module.globals.get(name)
        function = function or ir.Function(builder.module, ir.FunctionType(kind, [kind]), name)
        return builder.call(function, args)

    return u(u), codegen


# Functions ---------------------------------------------------------------------------------------------------


def packed(function: Any) -> Any:
    """A function of one number as a function of lanes, made from its text.

    Arguments:
        function: assignments and a return, of arithmetic, comparisons, `a if c else b`, abs, np.rint, math.copysign and
            views of the bits; see `codegen.elementary`.

    Returns:
        A compiled function. It has no fastmath, whatever its caller has.
    """
    # Where a flag is not given, numba takes that of the function being compiled: a kernel's fastmath.
    statements = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]

    @intrinsic
    def evaluated(typingctx: Any, u: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            return _Text(builder).value_of(statements, args[0])

        return lanes(lanes), codegen

    @njit(forceinline=True, error_model="numpy", fastmath=False)
    def compiled(u: Any) -> Any:
        return evaluated(u)

    return compiled


class _Text:
    """Instructions for the text of an elementary function; which kind of vector a value is, its LLVM type says."""

    FLOAT: ClassVar = {ast.Add: "fadd", ast.Sub: "fsub", ast.Mult: "fmul", ast.Div: "fdiv"}
    INTEGER: ClassVar = {
        ast.Add: "add", ast.Sub: "sub", ast.LShift: "shl", ast.RShift: "ashr", ast.BitAnd: "and_", ast.BitXor: "xor",
    }  # fmt: skip
    COMPARED: ClassVar = {ast.Gt: ">", ast.Lt: "<", ast.Eq: "==", ast.NotEq: "!="}
    CALLED: ClassVar = {"abs": "fabs", "np.rint": "rint", "math.copysign": "copysign"}

    def __init__(self, builder: Any) -> None:
        self.builder = builder
        self.names: dict[str, Any] = {}

    def value_of(self, function: Any, argument: Any) -> Any:
        self.names[function.args.args[0].arg] = argument
        for line in function.body:
            if isinstance(line, ast.Assign):
                self.names[line.targets[0].id] = self.value(line.value)  # pyright: ignore
            elif isinstance(line, ast.Return):
                return self.value(line.value)
            elif not isinstance(line, ast.Expr):  # a docstring
                raise NotImplementedError(ast.unparse(line))

    def value(self, e: Any) -> Any:
        b = self.builder
        match e:
            case ast.Name():
                return self.names[e.id]
            case ast.Constant(value=float()):
                return ir.Constant(_FLOATS, [e.value] * LANES)
            case ast.BinOp():
                left, right = self.value(e.left), self.value(e.right)
                table = self.FLOAT if left.type == _FLOATS else self.INTEGER
                return getattr(b, table[type(e.op)])(left, right)
            case ast.UnaryOp(op=ast.USub()):
                return b.fneg(self.value(e.operand))
            case ast.Compare():
                left, right = self.value(e.left), self.value(e.comparators[0])
                sign = self.COMPARED[type(e.ops[0])]
                if left.type == _INTEGERS:
                    return b.icmp_signed(sign, left, right)
                return (b.fcmp_unordered if sign == "!=" else b.fcmp_ordered)(sign, left, right)
            case ast.BoolOp(op=ast.Or()):
                return b.or_(*map(self.value, e.values))
            case ast.IfExp():
                return b.select(self.value(e.test), self.value(e.body), self.value(e.orelse))
            case ast.Call(func=ast.Attribute(attr="view")):
                wanted = _INTEGERS if ast.unparse(e.args[0]) == "np.int64" else _FLOATS
                return b.bitcast(self.value(e.func.value.args[0]), wanted)  # pyright: ignore
            case ast.Call() if ast.unparse(e.func) == "np.int64":
                return ir.Constant(_INTEGERS, [ast.literal_eval(e.args[0])] * LANES)
            case ast.Call():
                return _called(b, self.CALLED[ast.unparse(e.func)], *map(self.value, e.args))
        raise NotImplementedError(ast.unparse(e))


def lane_by_lane(function: Any) -> Any:
    """A function of the math module as a function of lanes."""

    @intrinsic
    def evaluated(typingctx: Any, u: Any) -> Any:
        kind = typingctx.resolve_value_type(function)
        sig = kind.get_call_type(typingctx, (types.float64,), {})

        def codegen(context: Any, builder: Any, s: Any, args: Any) -> Any:
            call, found = context.get_function(kind, sig), args[0]
            for q in map(_SHORT, range(LANES)):
                found = builder.insert_element(found, call(builder, [builder.extract_element(args[0], q)]), q)
            return found

        return lanes(lanes), codegen

    @njit(error_model="numpy", fastmath=False)
    def compiled(u: Any) -> Any:
        return evaluated(u)

    return compiled


@intrinsic
def _beyond(typingctx: Any, u: Any, limit: Any) -> Any:
    """Whether |u| > limit in any lane."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        limits = _everywhere(builder, args[1])
        mask = builder.fcmp_ordered(">", _called(builder, "fabs", args[0]), limits)
        return builder.icmp_unsigned("!=", builder.bitcast(mask, ir.IntType(LANES)), ir.IntType(LANES)(0))

    return types.boolean(lanes, types.float64), codegen


def guarded(near: Any, far: Any, limit: float) -> Any:
    """`near` where it holds in all lanes, |u| <= limit, and `far` of the math module otherwise."""
    slow = lane_by_lane(far)

    @njit(forceinline=True, error_model="numpy", fastmath=False)
    def compiled(u: Any) -> Any:
        return slow(u) if _beyond(u, limit) else near(u)

    return compiled


# Lanes apart -------------------------------------------------------------------------------------------------


@intrinsic
def larger(typingctx: Any, a: Any, b: Any) -> Any:
    """The larger number in each lane; b where one of them is NaN."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", *args), *args)

    return lanes(lanes, lanes), codegen


@intrinsic
def chosen(typingctx: Any, where: Any, a: Any, b: Any) -> Any:
    """a in the lanes in which `where` is not zero, b in the others."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        zero = ir.Constant(_FLOATS, [0.0] * LANES)
        return builder.select(builder.fcmp_unordered("!=", args[0], zero), *args[1:])

    return lanes(lanes, lanes, lanes), codegen
