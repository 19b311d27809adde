"""qnnsym derives, generates, solves, verifies and reports; see README.md for the first hour."""

__version__ = "0.1.0"
