"""`python -m qnnsym`: the command line without its script."""

from qnnsym.cli import main

main()
