"""What qnnsym promises about speed, measured: `python -m benchmarks` calls `rows()` of every module and prints a table.

Ratios are taken inside one run, with the competitors interleaved, on one thread; an error stands beside every time.
"""

import os

# Set here because NumPy counts its threads when it is imported.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_variable] = "1"
