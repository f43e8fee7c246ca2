"""The composition root: the only one that knows every adapter.

Owns that numpy's linear algebra has no threads of its own here. OpenBLAS ends them before every
fork, also in the middle of what they compute, which then never ends and holds what the loop needs
next (measured: of 300 decompositions beside forks, the first one hung); and alone they are slower.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when numpy is imported, which is below

from edgeroute.daemon.process import run

__all__ = ["run"]
