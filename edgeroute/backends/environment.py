"""What processes inherit: workers parse untrusted files, tools are others' code; nobody's keys."""

from collections.abc import Iterable

_EVERYBODY = frozenset({"PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "SYSTEMROOT"})
_WORKERS = frozenset({"LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "GGML_VK_VISIBLE_DEVICES"})

_SPIN = "10000"
"""`GOMP_SPINCOUNT`: how long OpenMP threads spin at a barrier before they sleep. Beside two busy
neighbours 10000 gives 48 / 69 tok/s at 1 / 4 clients where libgomp's default gives 17 / 27, and it
costs nothing on an idle machine (SmolLM2, 2 cores). libgomp reads it before main."""


def worker_environment(inherited: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The variables that a worker starts with."""
    passed = {name: value for name, value in inherited if name in _EVERYBODY | _WORKERS}
    # GPUs are planned in the order of the PCI bus, which is NVML's; CUDA's own is by speed.
    return {**passed, "GOMP_SPINCOUNT": _SPIN, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


def program_environment(inherited: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The variables that a tool's command starts with."""
    return {name: value for name, value in inherited if name in _EVERYBODY}
