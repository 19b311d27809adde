"""Structured equations: sums over index sets whose sizes are known only at run time, and the passes on them."""
