"""Checks: an expected value, the value found, a tolerance and a verdict; orders of convergence; invariants."""
