"""Expressions, calls and assignments typed by a user, read by a whitelist over Python's `ast`; nothing is evaluated.

Limits keep reading short whatever is typed: on sizes (characters, nesting, exponents, digits), on the range of
numbers (a constant part that no double could hold is refused before anything is built on it), and on time.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import keyword
import math
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import sympy as sp

from qnnsym.equations.functions import ELEMENTARY
from qnnsym.errors import InputError

MAX_LENGTH = 4000
MAX_NESTING = 30
MAX_EXPONENT = 1000
MAX_BITS = 4096
MAX_MAGNITUDE = 1e300
MAX_PHASE = 1e15
MAX_ROOT = 200
PATIENCE = 5.0

FUNCTIONS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        **{n: getattr(sp, n) for n in "sin cos tan exp log sqrt tanh sinh cosh atan asin acos asinh Abs".split()},
        **ELEMENTARY,
        "abs": sp.Abs,
        "ln": sp.log,
    }
)
CONSTANTS: Mapping[str, Any] = MappingProxyType({"pi": sp.pi, "E": sp.E})
_PUNCTUATION = frozenset("+-*/^(),.=[]_ ")
_NOT_FINITE = (sp.nan, sp.zoo, sp.oo, -sp.oo)


def parse_expression(
    text: str, names: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]] | None = None
) -> sp.Expr:
    """Read an expression such as "p**2/2 + 0.1*x**4"; decimals become the exact Rationals their text says.

    Arguments:
        text: numbers, + - * / **, parentheses, known names and calls of known functions.
        names: {name: SymPy object} that may occur; pi and E are known besides.
        functions: {name: callable of one expression}; FUNCTIONS when not given.

    Returns:
        The SymPy expression.

    Raises:
        InputError: for everything else, naming the piece and what is meant to stand there; for numbers beyond the
            range of a double, and for expressions too long or too deeply nested.
    """
    return _reader(text, names, functions, {}).read_expression()


def parse_values(
    text: str, names: Mapping[str, Any] | None = None, functions: Mapping[str, Callable[..., Any]] | None = None
) -> tuple[sp.Expr, ...]:
    """Read one or several expressions, "0.1" or "(0, 5, 51)" or "1, 2", as a tuple.

    Raises:
        InputError: as for `parse_expression`.
    """
    return _reader(text, names or {}, functions, {}).read_values()


def parse_call(
    text: str,
    constructors: Mapping[str, Callable[..., Any]],
    names: Mapping[str, Any],
    functions: Mapping[str, Callable[..., Any]] | None = None,
) -> Any:
    """Read a construction such as "GaussianState(a=sqrt(hbar), x0=1)" and carry it out.

    Arguments:
        text: a call of one of the constructors; its arguments are expressions, None, further constructions, and
            lists or tuples of these.
        constructors: {name: callable} that may be called.
        names, functions: as for `parse_expression`.

    Returns:
        What the constructor returns.

    Raises:
        InputError: for unknown constructors, arguments they do not take, or values they refuse.
    """
    return _reader(text, names, functions, constructors).read_call()


def parse_assignments(items: Iterable[str]) -> dict[str, str]:
    """Split ["hbar=0.05", "times=(0,5,51)"] into {name: text}; the texts are read by who knows their meaning.

    Raises:
        InputError: for an item without "=", without name or value, or a name given twice.
    """
    found: dict[str, str] = {}
    for item in items:
        name, sign, value = (part.strip() for part in item.partition("="))
        if not sign:
            raise InputError(f"{item!r} assigns nothing; write name=value, as in hbar=0.05.")
        if not name.isidentifier():
            raise InputError(f"{item!r} has no name before its '='; write name=value, as in hbar=0.05.")
        if not value or value.startswith("="):
            raise InputError(f"{item!r} has no value after its '='; write {name}=value.")
        if name in found:
            raise InputError(f"{name} is given twice, as {found[name]!r} and as {value!r}; give it once.")
        found[name] = value
    return found


def near_miss(name: str, known: Iterable[str]) -> str:
    """A sentence "Did you mean ...?" for a mistyped name, or nothing."""
    close = difflib.get_close_matches(name, list(known), 1)
    return f" Did you mean {close[0]}?" if close else ""


def _reader(text: str, names: Mapping, functions: Mapping | None, constructors: Mapping) -> _Reader:
    return _Reader(text, {**CONSTANTS, **names}, FUNCTIONS if functions is None else functions, constructors)


class _Reader:
    """One text and what is known while it is read."""

    def __init__(self, text: Any, names: Mapping, functions: Mapping, constructors: Mapping):
        self.names, self.functions, self.constructors = names, functions, constructors
        self.text = _clean(text)
        self.tree = _tree(self.text)

    def read_expression(self) -> sp.Expr:
        return self._guarded(lambda: self._whole(self.tree))

    def read_values(self) -> tuple[sp.Expr, ...]:
        nodes = self.tree.elts if isinstance(self.tree, (ast.Tuple, ast.List)) else [self.tree]
        return self._guarded(lambda: tuple(self._whole(n) for n in nodes))

    def read_call(self) -> Any:
        if not isinstance(self.tree, ast.Call):
            example = next(iter(self.constructors), "Name")
            raise InputError(f"{self._quote()} is not a construction; write one such as {example}(...).")
        return self._guarded(lambda: self._construct(self.tree, 0))

    # Structure ---------------------------------------------------------------------------------------------

    def _whole(self, node: ast.AST) -> sp.Expr:
        expression = self._expression(node, 0)
        if expression.has(*_NOT_FINITE):
            raise InputError(f"{self._quote(node)} is not finite; look for a division by zero.")
        # SymPy gathers constants across a product: x*1e200*1e200 is met here only.
        rest = [expression]
        while rest:
            piece = rest.pop()
            self._checked(node, piece)
            if not piece.is_number:
                rest.extend(piece.args)
        return expression

    def _construct(self, node: ast.AST, depth: int) -> Any:
        if depth > MAX_NESTING:
            raise self._too_deep()
        if isinstance(node, (ast.List, ast.Tuple)):
            values = [self._construct(n, depth + 1) for n in node.elts]
            return values if isinstance(node, ast.List) else tuple(values)
        if isinstance(node, ast.Constant) and node.value is None:
            return None
        if not isinstance(node, ast.Call) or (depth and getattr(node.func, "id", None) in self.functions):
            return self._whole(node)
        name, constructor = self._callee(node, self.constructors, "construction")
        arguments = [self._construct(a, depth + 1) for a in node.args]
        options: dict[str, Any] = {}
        for option in node.keywords:
            if option.arg is None:
                raise InputError(f"{self._quote(node)} unpacks its arguments with **; write each one out.")
            if option.arg in options:
                raise InputError(f"{self._quote(node)} gives {option.arg} twice; give it once.")
            options[option.arg] = self._construct(option.value, depth + 1)
        return self._called(node, name, constructor, arguments, options)

    def _expression(self, node: ast.AST, depth: int) -> sp.Expr:
        if depth > MAX_NESTING:
            raise self._too_deep()
        if isinstance(node, ast.Constant):
            return self._number(node)
        if isinstance(node, ast.Name):
            return self._name(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
            inner = self._expression(node.operand, depth + 1)
            return -inner if isinstance(node.op, ast.USub) else inner
        if isinstance(node, ast.BinOp):
            return self._checked(node, self._operation(node, depth))
        if isinstance(node, ast.Call):
            return self._checked(node, self._function(node, depth))
        raise self._refused(node)

    def _operation(self, node: ast.BinOp, depth: int) -> sp.Expr:
        if isinstance(node.op, (ast.Add, ast.Sub)):
            parts = [(minus, self._expression(n, depth + 1)) for minus, n in _chain(node, (ast.Add, ast.Sub), ast.Sub)]
            return sp.Add(*(-e if minus else e for minus, e in parts))
        if isinstance(node.op, (ast.Mult, ast.Div)):
            parts = [(below, self._expression(n, depth + 1)) for below, n in _chain(node, (ast.Mult, ast.Div), ast.Div)]
            if any(below and e == 0 for below, e in parts):
                raise InputError(f"{self._quote(node)} divides by zero.")
            return self._product(node, parts)
        if isinstance(node.op, ast.Pow):
            return self._power(node, depth)
        if isinstance(node.op, ast.BitXor):
            raise InputError(f"{self._quote(node)} uses ^, which is no power here; write ** instead.")
        raise self._refused(node)

    def _power(self, node: ast.BinOp, depth: int) -> sp.Expr:
        base, exponent = self._expression(node.left, depth + 1), self._expression(node.right, depth + 1)
        size = abs(_double(exponent)) if exponent.is_number else 0.0
        if size > MAX_EXPONENT:
            raise self._large_exponent(node)
        if base == 0 and not exponent.is_nonnegative:
            raise InputError(f"{self._quote(node)} divides by zero.")
        if base.is_Rational and size * max(base.p.bit_length(), base.q.bit_length()) > MAX_BITS:
            raise InputError(f"{self._quote(node)} has more digits than can be kept exactly; write it as a decimal.")
        self._exponent(node, base, exponent)
        return base**exponent

    def _product(self, node: ast.BinOp, parts: list[tuple[bool, sp.Expr]]) -> sp.Expr:
        if not any(e.has(sp.Pow, sp.log) for _, e in parts):
            return sp.Mul(*(1 / e if below else e for below, e in parts))
        # 12**(1/199)*12**(1/197)*... gathers one exponent with an enormous denominator: looked at after each factor.
        product = sp.S.One
        for below, expression in parts:
            product = self._checked(node, product / expression if below else product * expression)
        return product

    def _exponent(self, node: ast.AST, base: sp.Expr, exponent: sp.Expr) -> None:
        """SymPy takes b**(z + p/q) of numbers apart with integers of the order b**p and b**q; both are kept small."""
        if not _holds_number(base):
            return
        self._bounded(node, base, exponent)
        if any(q.q > MAX_ROOT for q in exponent.atoms(sp.Rational)):
            raise InputError(
                f"{self._quote(node)} raises a number to a fraction with a denominator beyond {MAX_ROOT}; "
                "round the exponent, or write the power's value as a decimal."
            )

    def _function(self, node: ast.Call, depth: int) -> sp.Expr:
        name, function = self._callee(node, self.functions, "function")
        if node.keywords or any(isinstance(a, ast.Starred) for a in node.args):
            raise InputError(f"{self._quote(node)}: {name} takes plain expressions; write {name}(...).")
        if function in FUNCTIONS.values() and len(node.args) != 1:
            raise InputError(f"{self._quote(node)}: {name} takes one argument and {len(node.args)} are given.")
        arguments = [self._expression(a, depth + 1) for a in node.args]
        if function in (sp.sin, sp.cos, sp.tan) and arguments[0].is_number and abs(_double(arguments[0])) > MAX_PHASE:
            raise InputError(f"{self._quote(node)} has no digit that a double could hold; reduce its argument.")
        if function is sp.exp and arguments[0].has(sp.log):
            self._exponent(node, sp.E, arguments[0])
        expression = self._called(node, name, function, arguments, {})
        if not isinstance(expression, sp.Expr):
            raise InputError(f"{self._quote(node)} is no expression but of type {type(expression).__name__}.")
        return expression

    # Pieces ------------------------------------------------------------------------------------------------

    def _number(self, node: ast.Constant) -> sp.Expr:
        if type(node.value) not in (int, float):
            raise self._refused(node)
        digits = self.text.encode()[node.col_offset : node.end_col_offset].decode().replace("_", "")
        if isinstance(node.value, int):
            return self._checked(node, sp.Integer(node.value))
        decimal = Decimal(digits)
        # Looked at before the exact form is made: 1e-999999999 has a billion digits.
        if decimal and not -308 <= decimal.adjusted() <= 308:
            raise self._range(digits)
        return self._checked(node, sp.Rational(*decimal.as_integer_ratio()))

    def _name(self, node: ast.Name) -> sp.Expr:
        if node.id in self.names:
            return sp.sympify(self.names[node.id], strict=True)
        if node.id in self.functions or node.id in self.constructors:
            raise InputError(f"{node.id} in {self._quote()} lacks its argument; write {node.id}(...).")
        known = sorted(self.names)
        listed = ", ".join(known[:20]) + (f" and {len(known) - 20} more" if len(known) > 20 else "")
        raise InputError(
            f"{node.id} in {self._quote()} is not known.{near_miss(node.id, [*known, *self.functions])} "
            f"Known names: {listed}."
        )

    def _callee(self, node: ast.Call, table: Mapping[str, Callable[..., Any]], kind: str) -> tuple[str, Any]:
        if not isinstance(node.func, ast.Name):
            raise InputError(f"{self._quote(node)} calls something that has no name; a * may be missing.")
        name = node.func.id
        if name in table:
            return name, table[name]
        if name in self.names:
            raise InputError(f"{self._quote(node)} calls {name}, which is no {kind}; a * may be missing.")
        others = [*table, *(self.constructors if kind == "function" else self.functions)]
        raise InputError(
            f"{name} in {self._quote()} is no known {kind}.{near_miss(name, others)} "
            f"Known: {', '.join(sorted(table))}."
        )

    def _called(self, node: ast.AST, name: str, function: Callable[..., Any], arguments: list, options: dict) -> Any:
        signature = inspect.signature(function)
        try:
            signature.bind(*arguments, **options)
        except TypeError as error:
            bare = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
            shown = inspect.Signature(bare)
            raise InputError(f"{self._quote(node)}: {error}; write {name}{shown}.") from None
        try:
            return function(*arguments, **options)
        except InputError:
            raise
        except (TypeError, ValueError) as error:
            raise InputError(f"{self._quote(node)} cannot be made: {error}.") from error

    # Limits ------------------------------------------------------------------------------------------------

    def _checked(self, node: ast.AST, expression: sp.Expr) -> sp.Expr:
        """Refuse what no kernel could hold, before anything larger is built on it."""
        if expression.is_number:
            value = _double(expression)
            if math.isnan(value):
                raise InputError(f"{self._quote(node)} is not a finite real number.")
            if value and not abs(value) <= MAX_MAGNITUDE:
                raise self._range(self._quote(node))
        if expression.is_Rational and max(expression.p.bit_length(), expression.q.bit_length()) > MAX_BITS:
            raise InputError(f"{self._quote(node)} has more digits than can be kept exactly; round it.")
        for factor in sp.Mul.make_args(expression):
            if factor.is_Pow and factor.exp.is_Rational:
                if abs(factor.exp) > MAX_EXPONENT:
                    raise self._large_exponent(node)
                if factor.base.is_number:
                    self._root(node, factor.base, factor.exp)
            elif factor.is_Pow and _holds_number(factor.base):
                self._bounded(node, factor.base, factor.exp)
        return expression

    def _bounded(self, node: ast.AST, base: sp.Expr, exponent: sp.Expr) -> None:
        # exp(-100000*x) stays as it is; only powers of rational numbers are carried out.
        carried_out = base is not sp.E or exponent.has(sp.log)
        if carried_out and any(abs(q) > MAX_EXPONENT for q in exponent.atoms(sp.Rational)):
            raise self._large_exponent(node)

    def _root(self, node: ast.AST, base: sp.Expr, exponent: sp.Expr) -> None:
        bits = max(base.p.bit_length(), base.q.bit_length()) if base.is_Rational else 1
        if exponent.q * bits > MAX_ROOT * MAX_BITS:
            raise InputError(f"{self._quote(node)} needs too high a root of a number; write its value as a decimal.")

    def _large_exponent(self, node: ast.AST) -> InputError:
        return InputError(f"{self._quote(node)} has an exponent beyond {MAX_EXPONENT}; no kernel could evaluate it.")

    def _range(self, what: str) -> InputError:
        return InputError(f"{_short(what)} is beyond the range of double precision; rescale the units of the model.")

    def _guarded(self, read: Callable[[], Any]) -> Any:
        try:
            with _Deadline(PATIENCE):
                return read()
        except _TooSlow:
            raise InputError(
                f"{self._quote()} is still not formed after {PATIENCE:g} s; write it in a simpler form."
            ) from None
        except RecursionError:
            raise self._too_deep() from None
        except InputError:
            raise
        except (ArithmeticError, AttributeError, NotImplementedError, TypeError, ValueError) as error:
            # SymPy's automatic simplifications fail in their own ways on contrived constants.
            raise InputError(f"{self._quote()} cannot be formed ({error}); write it in a simpler form.") from error

    def _too_deep(self) -> InputError:
        return InputError(f"{self._quote()} is nested more than {MAX_NESTING} deep; write it in a flatter form.")

    def _refused(self, node: ast.AST) -> InputError:
        return InputError(
            f"{self._quote(node)} in {self._quote()} is not allowed in an expression; it may hold numbers, names, "
            "+ - * / **, parentheses and known functions."
        )

    def _quote(self, node: ast.AST | None = None) -> str:
        if node is None:
            return _short(repr(self.text))
        piece = self.text.encode()[node.col_offset : node.end_col_offset].decode()  # type: ignore[attr-defined]  # of expressions
        return _short(repr(piece))


class _TooSlow(BaseException):
    """Not an Exception, so that no handler inside SymPy takes it for its own."""


class _Deadline:
    """Ends a body that runs too long, at its next function call; arithmetic itself is bounded by the size limits.

    SymPy's assumptions may expand powers of sums without end; no rule on the text foresees where.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __enter__(self) -> None:
        self.end, self.previous = time.monotonic() + self.seconds, sys.getprofile()
        sys.setprofile(self._tick)

    def __exit__(self, *_: Any) -> None:
        sys.setprofile(self.previous)

    def _tick(self, frame: Any, event: str, argument: Any) -> None:
        if event == "call" and time.monotonic() > self.end:
            raise _TooSlow


def _holds_number(base: sp.Expr) -> bool:
    return any(f.is_number or (f.is_Pow and _holds_number(f.base)) for f in sp.Mul.make_args(base))


def _clean(text: Any) -> str:
    """One line of permitted characters."""
    if not isinstance(text, str):
        raise InputError(f"{_short(repr(text))} is not a text; give an expression such as \"p**2/2 + x**4/4\".")
    if len(text) > MAX_LENGTH:
        raise InputError(f"The expression has {len(text)} characters; at most {MAX_LENGTH} are read.")
    line = " ".join(text.split())
    if not line:
        raise InputError("The expression is empty; write one such as p**2/2 + x**4/4.")
    for character in line:
        if not (character.isalnum() or character in _PUNCTUATION):
            raise InputError(
                f"{_short(repr(line))} contains {character!r}, which no expression has; it may hold numbers, names, "
                "+ - * / **, parentheses and known functions."
            )
    return line


def _tree(line: str) -> ast.expr:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "2or" is refused below, a warning would say it twice
            return ast.parse(line, mode="eval").body
    except (RecursionError, MemoryError):
        raise InputError(f"{_short(repr(line))} is nested too deeply; write it in a flatter form.") from None
    except (SyntaxError, ValueError) as error:
        reserved = sorted({w for w in _words(line) if keyword.iskeyword(w) and w != "None"})
        hint = f"{', '.join(reserved)} cannot be a name" if reserved else "products are written 2*x, powers x**2"
        reason = error.msg if isinstance(error, SyntaxError) else error
        raise InputError(f"{_short(repr(line))} cannot be read ({reason}); {hint}.") from None


def _words(line: str) -> list[str]:
    return "".join(c if c.isalnum() or c == "_" else " " for c in line).split()


def _chain(node: ast.BinOp, kinds: tuple[type, ...], inverse: type) -> list[tuple[bool, ast.expr]]:
    """The operands of a - b + c from left to right, each with whether it is subtracted (or divided by)."""
    parts: list[tuple[bool, ast.expr]] = []
    rest: ast.expr = node
    while isinstance(rest, ast.BinOp) and isinstance(rest.op, kinds):
        parts.append((isinstance(rest.op, inverse), rest.right))
        rest = rest.left
    return [(False, rest), *reversed(parts)]


def _double(constant: sp.Expr) -> float:
    """The value of a constant: infinite beyond the range of a double, NaN where it is no real number."""
    try:
        if constant.is_Rational:
            return constant.p / constant.q
        value = constant.evalf()
        return float(value) if value.is_extended_real else math.nan
    except OverflowError:
        return math.inf
    except TypeError:
        return math.nan


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:60]} ... {text[-15:]}"
