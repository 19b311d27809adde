"""What can go wrong, by who has to act: every message is a sentence saying what was given, what is wrong, what to do.

The command line maps each class to its exit status; nothing else in the package calls `sys.exit`.
"""


# What shells give a program that Ctrl-C ended.
INTERRUPTED = 130


class QnnsymError(Exception):
    """Base of every error qnnsym raises on purpose."""

    exit_status = 3


class InputError(QnnsymError, ValueError):
    """The user's input cannot be used; nothing was written."""

    exit_status = 2


class KernelRefused(QnnsymError):
    """A kernel on disk is not what its manifest says; it is never loaded."""

    exit_status = 2


class ObligationFailed(QnnsymError):
    """A derivation step could not be proved; nothing after it is derived or generated."""

    exit_status = 1


class SolverError(QnnsymError):
    """The numerical solution could not be obtained."""

    exit_status = 3


class StorageError(QnnsymError, OSError):
    """A result or kernel could not be written or read back."""

    exit_status = 3
