"""The machinery of the entry: the engine that runs any method, the second method, and the tools around them."""

import os

# The project's own threads each do small products; a BLAS that starts threads for each of these makes all of them wait
# for one another (judging took twice as long). It must be said before numpy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
