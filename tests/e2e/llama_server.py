"""A server that nobody here wrote, in a process of its own: llama.cpp's, out of `xllamacpp`.

    python -m tests.e2e.llama_server MODEL NAME PORT KEY

Prints its address once it answers.
"""

import signal
import sys

import xllamacpp


def main(model: str, name: str, port: str, key: str) -> None:
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.model_alias = {name}
    params.use_jinja = True
    params.hostnames = ["127.0.0.1"]
    params.port = int(port)
    params.api_keys = [key]
    params.n_ctx = 2048
    params.n_parallel = 2
    params.warmup = False
    params.ui = False
    params.cpuparams.n_threads = 1  # two that wait for each other stand still on busy cores
    params.cpuparams_batch.n_threads = 1
    params.verbosity = 0
    server = xllamacpp.Server(params)
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
