"""Compiled kernels as solvers use them: a generated module loaded through numba's cache, its functions by name."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qnnsym.errors import KernelRefused
from qnnsym.solvers.cache import numba_cache


@dataclass(frozen=True)
class Kernels(Mapping[str, Any]):
    """The kernels of one model, {name: compiled function}; each is compiled when it is first asked for.

    Attributes:
        functions: functions `f(t, state, ext, par, dims, work, rates)` by name.
        signature: content hash of the text they were compiled from.
        parameters: names of the scalars, in the order in which `par` begins.
        path: the file they were loaded from.
        notes: what the user should know about how they were loaded (no writable cache).
    """

    functions: Mapping[str, Any]
    signature: str
    parameters: tuple[str, ...] = ()
    path: Path | None = None
    notes: tuple[str, ...] = field(default=())

    def __getitem__(self, name: str) -> Any:
        function = self.functions[name]
        # A kernel may also be a plain function: then there is nothing to compile.
        if hasattr(function, "py_func") and not function.signatures:
            function.compile(function.py_func.__globals__["SIGNATURE"])
        return function

    def __contains__(self, name: object) -> bool:
        return name in self.functions

    def __iter__(self) -> Iterator[str]:
        return iter(self.functions)

    def __len__(self) -> int:
        return len(self.functions)


def load_kernels(
    path: str | Path,
    names: Sequence[str],
    signature: str,
    parameters: Sequence[str] = (),
    cache_dir: Path | None = None,
) -> Kernels:
    """Import a generated module, whose kernels are compiled, or taken from numba's cache, on first use.

    Arguments:
        path: the generated file.
        names: the functions it must define.
        signature: content hash of the text, which names the module.
        parameters: names of the scalars in `par`.
        cache_dir: where numba keeps machine code; None compiles without keeping it.

    Raises:
        KernelRefused: when the file lacks a function it is said to hold.
    """
    path = Path(path)
    name = f"qnnsym_kernel_{signature}"
    with numba_cache(cache_dir) as note:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # numba finds a function's module by its name
        writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
        try:
            spec.loader.exec_module(module)
        finally:
            sys.dont_write_bytecode = writes
    missing = [n for n in names if not hasattr(module, n)]
    if missing:
        raise KernelRefused(
            f"{path} lacks the function(s) {', '.join(missing)} that its manifest lists; write it anew with "
            "`qnnsym generate`."
        )
    functions = {n: getattr(module, n) for n in names}
    return Kernels(functions, signature, tuple(parameters), path, (note,) if note else ())
