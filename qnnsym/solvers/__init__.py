"""Numerical solution: the compiled driver, grid propagators, and what they return. Imports without SymPy."""
