"""A fork in the middle of a computation: nothing waits for threads that it has ended."""

import subprocess
import sys

FORKS = """
import os, threading
import edgeroute.daemon
import numpy as np
square = np.random.default_rng(1).random((325, 325))
computing = threading.Thread(target=lambda: [np.linalg.eigh(square @ square.T) for _ in range(30)])
computing.daemon = True
computing.start()
for _ in range(1000):
    if (child := os.fork()) == 0:
        os._exit(0)
    os.waitpid(child, 0)
    computing.join(0.003)
    if not computing.is_alive():
        os._exit(0)
computing.join(20)
os._exit(computing.is_alive())
"""


def test_a_fork_beside_linear_algebra_leaves_it_running() -> None:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", FORKS], check=False, timeout=60)
    assert done.returncode == 0
