"""Machines drawn as files, and trees that stand in for the real one.

`draw` makes a folder of one. `Written` holds the same files in memory, and fails where it is told
to: permissions mean nothing to root, and no folder answers EAGAIN.
"""

import errno
import os
from collections.abc import Mapping
from pathlib import Path

from edgeroute.sensors.sysfs import Tree

Files = Mapping[str, str | bytes]


def draw(root: Path, *parts: Files) -> Path:
    """Write the files under a folder; returns it."""
    for path, content in merged(*parts).items():
        file = root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return root


def merged(*parts: Files) -> dict[str, bytes]:
    """One set of files; later parts overwrite earlier ones."""
    return {
        path: content.encode() if isinstance(content, str) else content
        for part in parts
        for path, content in part.items()
    }


class Written(Tree):
    """A tree in memory.

    Args:
        parts: Contents by path.
        faults: Error numbers by path of a file or folder; they win over contents.
    """

    def __init__(self, *parts: Files, faults: Mapping[str, int] | None = None) -> None:
        super().__init__(Path("/nowhere"))
        self.files = merged(*parts)
        self.faults = faults or {}
        self.asked: list[str] = []

    def fetch(self, path: str) -> bytes:
        self.asked.append(path)
        self._fail(path)
        if path in self.files:
            return self.files[path]
        raise _error(errno.EISDIR if self._inside_of(path) else errno.ENOENT)

    def listing(self, folder: str) -> list[str]:
        self._fail(folder)
        names = self._inside_of(folder)
        if not names:
            raise _error(errno.ENOTDIR if folder in self.files else errno.ENOENT)
        return list(names)

    def _fail(self, path: str) -> None:
        if "\0" in path:
            raise ValueError("embedded null byte")
        if path in self.faults:
            raise _error(self.faults[path])

    def _inside_of(self, folder: str) -> set[str]:
        start = folder.rstrip("/") + "/"
        return {path[len(start) :].split("/")[0] for path in self.files if path.startswith(start)}


def _error(code: int) -> OSError:
    return OSError(code, os.strerror(code))


# ---- pieces -----------------------------------------------------------------------------------


def meminfo(total_mib: int, available_mib: int) -> Files:
    return {
        "/proc/meminfo": (
            f"MemTotal:       {total_mib * 1024} kB\nMemFree:          123456 kB\n"
            f"MemAvailable:   {available_mib * 1024} kB\nActive(anon):        512 kB\n"
            "HugePages_Total:       0\n"
        )
    }


def pressure(some: str, full: str) -> Files:
    rest = "avg60=0.00 avg300=0.00 total=0"
    return {"/proc/pressure/memory": f"some avg10={some} {rest}\nfull avg10={full} {rest}\n"}


def x86(model: str, cpus: int, flags: str = "fpu lm avx2 fma f16c") -> Files:
    block = f"vendor_id\t: GenuineIntel\nmodel name\t: {model}\nflags\t\t: {flags}\n"
    return {
        "/proc/cpuinfo": "\n".join(f"processor\t: {cpu}\n{block}" for cpu in range(cpus)),
        "/sys/devices/system/cpu/online": f"0-{cpus - 1}\n",
    }


def arm(parts: list[str], features: str = "fp asimd asimddp") -> Files:
    """An ARM processor as L4T's kernel shows it, model name and all."""
    blocks = [
        f"processor\t: {cpu}\nmodel name\t: ARMv8 Processor rev 1 (v8l)\nBogoMIPS\t: 62.50\n"
        f"Features\t: {features}\nCPU implementer\t: 0x41\nCPU architecture: 8\n"
        f"CPU variant\t: 0x0\nCPU part\t: {part}\nCPU revision\t: 1\n"
        for cpu, part in enumerate(parts)
    ]
    return {
        "/proc/cpuinfo": "\n".join(blocks),
        "/sys/devices/system/cpu/online": f"0-{len(parts) - 1}\n",
    }


def topology(cores: list[int], packages: list[int] | None = None) -> Files:
    """Core number of each CPU, and package where there are several."""
    files = {}
    for cpu, core in enumerate(cores):
        folder = f"/sys/devices/system/cpu/cpu{cpu}/topology"
        files[f"{folder}/core_id"] = f"{core}\n"
        files[f"{folder}/physical_package_id"] = f"{packages[cpu] if packages else 0}\n"
    return files


def capacities(values: list[int]) -> Files:
    return {
        f"/sys/devices/system/cpu/cpu{cpu}/cpu_capacity": f"{value}\n"
        for cpu, value in enumerate(values)
    }


def supply(name: str, **values: str | int) -> Files:
    folder = f"/sys/class/power_supply/{name}"
    return {f"{folder}/{key}": f"{value}\n" for key, value in values.items()}


def zone(number: int, kind: str, temperature: str, **trips: int) -> Files:
    """A thermal zone with trip points by type."""
    folder = f"/sys/class/thermal/thermal_zone{number}"
    files = {f"{folder}/type": f"{kind}\n", f"{folder}/temp": f"{temperature}\n"}
    for index, (trip, celsius) in enumerate(trips.items()):
        files[f"{folder}/trip_point_{index}_type"] = f"{trip}\n"
        files[f"{folder}/trip_point_{index}_temp"] = f"{celsius * 1000}\n"
    return files


def nvidia(address: str, status: str, control: str = "auto", model: str = "") -> Files:
    """A graphics card on the PCI bus, with its sound function beside it."""
    card, sound = (f"/sys/bus/pci/devices/{address}.{function}" for function in (0, 1))
    files = {
        f"{card}/vendor": "0x10de\n", f"{card}/class": "0x030000\n",
        f"{card}/power/runtime_status": f"{status}\n", f"{card}/power/control": f"{control}\n",
        f"{sound}/vendor": "0x10de\n", f"{sound}/class": "0x040300\n",
    }  # fmt: skip
    if model:
        information = f"Model: \t\t {model}\nIRQ:   \t\t 183\nDevice Minor: \t 0\n"
        files[f"/proc/driver/nvidia/gpus/{address}.0/information"] = information
    return files


def ina3221(device: str, number: int, *rails: tuple[str, int, int]) -> Files:
    """A monitor as JetPack 5 and later show it: label, millivolts and milliamperes per channel."""
    folder = f"/sys/bus/i2c/drivers/ina3221/{device}/hwmon/hwmon{number}"
    files = {f"{folder}/name": "ina3221\n", f"{folder}/in7_label": "sum of shunt voltages\n"}
    for channel, (label, millivolts, milliamperes) in enumerate(rails, 1):
        files[f"{folder}/in{channel}_label"] = f"{label}\n"
        files[f"{folder}/in{channel}_input"] = f"{millivolts}\n"
        files[f"{folder}/curr{channel}_input"] = f"{milliamperes}\n"
    return {**files, f"{folder}/in7_input": "7\n", "/sys/bus/i2c/drivers/ina3221/bind": ""}


def ina3221x(device: str, *rails: tuple[str, int]) -> Files:
    """A monitor as JetPack 4 shows it: label and milliwatts per channel."""
    folder = f"/sys/bus/i2c/drivers/ina3221x/{device}/iio:device0"
    files: dict[str, str] = {}
    for channel, (label, milliwatts) in enumerate(rails):
        files[f"{folder}/rail_name_{channel}"] = f"{label}\n"
        files[f"{folder}/in_power{channel}_input"] = f"{milliwatts}\n"
    return files


def powercap(number: str, name: str, energy: int | None = 0, limit: int = 1 << 32) -> Files:
    """A zone of the processor's energy counters."""
    folder = f"/sys/class/powercap/intel-rapl:{number}"
    files = {f"{folder}/name": f"{name}\n", f"{folder}/max_energy_range_uj": f"{limit}\n"}
    return files if energy is None else {**files, f"{folder}/energy_uj": f"{energy}\n"}


def nvpmodel(mode: int) -> Files:
    """The power mode of a Jetson."""
    return {
        "/var/lib/nvpmodel/status": f"pmode:{mode:04}\nfmode:fanNull\n",
        "/etc/nvpmodel.conf": (
            "< POWER_MODEL ID=0 NAME=15W >\nCPU_ONLINE CORE_0 1\n"
            "< POWER_MODEL ID=1 NAME=25W >\n< POWER_MODEL ID=2 NAME=MAXN_SUPER >\n"
        ),
    }


def cgroup_v2(path: str, limits: Mapping[str, Mapping[str, str | int]]) -> Files:
    """Version 2, mounted whole: files of each group by the group's path."""
    mount = "/sys/fs/cgroup"
    files = {
        "/proc/self/cgroup": f"0::{path}\n",
        "/proc/self/mountinfo": (
            "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
            f"31 23 0:28 / {mount} rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
        ),
    }
    return {**files, **_group_files(mount, limits)}


def cgroup_v1(path: str, limits: Mapping[str, Mapping[str, str | int]], shown: str = "/") -> Files:
    """Version 1: memory and cpu hierarchies; `shown` is the part that the mounts show."""
    files = {
        "/proc/self/cgroup": f"5:cpu,cpuacct:{path}\n4:memory:{path}\n1:name=systemd:/\n0::/\n",
        "/proc/self/mountinfo": (
            "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
            f"32 31 0:29 {shown} /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
            f"33 31 0:30 {shown} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
            "34 31 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
        ),
    }
    memory = {g: {k: v for k, v in f.items() if k.startswith("memory")} for g, f in limits.items()}
    cpu = {g: {k: v for k, v in f.items() if k.startswith("cpu")} for g, f in limits.items()}
    return {
        **files,
        **_group_files("/sys/fs/cgroup/memory", memory),
        **_group_files("/sys/fs/cgroup/cpu,cpuacct", cpu),
    }


def _group_files(mount: str, limits: Mapping[str, Mapping[str, str | int]]) -> Files:
    return {
        f"{mount}{group.rstrip('/')}/{name}": f"{value}\n"
        for group, names in limits.items()
        for name, value in names.items()
    }


def rollup(**kib: int) -> Files:
    """Memory of process 7."""
    lines = "".join(f"{name + ':':<20} {size} kB\n" for name, size in kib.items())
    return {"/proc/7/smaps_rollup": f"55aa-7ffe ---p 00000000 00:00 0    [rollup]\n{lines}"}


# ---- machines ---------------------------------------------------------------------------------

LAPTOP = merged(
    meminfo(32_000, 20_000),
    pressure("1.25", "0.50"),
    x86("13th Gen Intel(R) Core(TM) i7-13700H", 20, "fpu lm avx2 fma f16c avx_vnni"),
    topology([0, 0, 4, 4, 8, 8, 12, 12, 16, 16, 20, 20, *range(24, 32)]),
    {"/sys/devices/cpu_core/cpus": "0-11\n", "/sys/devices/cpu_atom/cpus": "12-19\n"},
    {
        "/sys/class/dmi/id/product_name": "ThinkPad P1 Gen 6\n",
        "/sys/class/dmi/id/chassis_type": "10\n",
    },
    nvidia("0000:01:00", "suspended", model="NVIDIA GeForce RTX 4070 Laptop GPU"),
    supply("AC", type="Mains", online=0),
    supply(
        "BAT0",
        type="Battery",
        status="Discharging",
        present=1,
        capacity=50,
        power_now=20_000_000,
        energy_now=40_000_000,
        energy_full=80_000_000,
    ),
    zone(0, "acpitz", "45000", critical=110),
    zone(1, "x86_pkg_temp", "51000", passive=0, critical=100),
    cgroup_v2("/user.slice", {"/user.slice": {"memory.max": "max", "memory.current": 1}}),
    powercap("0", "package-0", 5_000_000, 262_143_328_850),
    powercap("0:0", "core", 3_000_000, 262_143_328_850),
    powercap("1", "psys", 9_000_000, 262_143_328_850),
    {
        "/sys/firmware/acpi/platform_profile": "low-power\n",
        "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave\n",
        "/sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count": "3\n",
    },
)
"""Hybrid Intel, NVIDIA GPU asleep, on battery."""

RYZEN_LAPTOP = merged(
    meminfo(16_000, 9_000),
    x86("AMD Ryzen 7 7840U w/ Radeon 780M Graphics", 16, "fpu lm avx2 fma f16c avx512f"),
    topology([0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7]),
    {"/sys/class/dmi/id/chassis_type": "10\n"},
    supply("ACAD", type="Mains", online=1),
    supply("BAT1", type="Battery", status="Not charging", present=1, capacity=80),
    zone(0, "acpitz", "41000", critical=120),
    {"/sys/class/powercap/intel-rapl/enabled": "1\n"},
    powercap("0", "package-0", 65_532_000_000, 65_532_610_987),
    powercap("0:0", "core", 9_000_000, 65_532_610_987),
)
"""AMD: its counters are called Intel's, wrap after 65 kJ, and count no platform."""

ROCK_5B = merged(
    meminfo(16_000, 12_000),
    arm(["0xd05"] * 4 + ["0xd0b"] * 4),
    topology([0, 1, 2, 3, 0, 1, 0, 1], [0, 0, 0, 0, 1, 1, 2, 2]),
    capacities([414, 414, 414, 414, 1024, 1024, 1009, 1009]),
    {"/proc/device-tree/model": "Radxa ROCK 5B\0"},
    zone(0, "soc-thermal", "38846", critical=115),
)
"""Big and little cores; no battery, no DMI, no control groups, no pressure accounting."""

ORIN_NANO = merged(
    meminfo(7_620, 5_900),
    arm(["0xd42"] * 6),
    topology([0, 1, 2, 3, 0, 1], [0, 0, 0, 0, 1, 1]),
    {
        "/proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
        "/proc/device-tree/compatible": "nvidia,p3768-0000+p3767-0005\0nvidia,tegra234\0",
        "/etc/nv_tegra_release": (
            "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, "
            "DATE: Wed Jan  8 01:49:37 UTC 2025\n# KERNEL_VARIANT: oot\n"
        ),
        "/sys/bus/pci/devices/0004:00:00.0/vendor": "0x10de\n",  # the chip's own PCI bridge
        "/sys/bus/pci/devices/0004:00:00.0/class": "0x060400\n",
    },
    zone(0, "cpu-thermal", "48500", critical=104),
    zone(2, "cv0-thermal", "-256000", critical=104),
    cgroup_v2("/", {}),
    ina3221(
        "1-0040", 1, ("VDD_IN", 5000, 1200), ("VDD_CPU_GPU_CV", 5000, 500), ("VDD_SOC", 5000, 300)
    ),
    nvpmodel(1),
)
"""Unified memory, JetPack 6, at 6 W."""

AGX_ORIN = merged(
    ORIN_NANO,
    {
        "/proc/device-tree/model": "NVIDIA Jetson AGX Orin Developer Kit\0",
        "/proc/device-tree/compatible": "nvidia,p3737-0000+p3701-0005\0nvidia,tegra234\0",
    },
    ina3221(
        "1-0040",
        1,
        ("VDD_GPU_SOC", 19_000, 400),
        ("VDD_CPU_CV", 19_000, 200),
        ("VIN_SYS_5V0", 5000, 900),
    ),
    ina3221("1-0041", 2, ("NC", 0, 0), ("VDDQ_VDD2_1V8AO", 5000, 100), ("NC", 0, 0)),
)
"""Two monitors and no total: 7.6 + 3.8 + 4.5 + 0.5 W."""

XAVIER_NX = merged(
    meminfo(7_770, 6_000),
    arm(["0x004"] * 6),
    {
        "/proc/device-tree/model": "NVIDIA Jetson Xavier NX Developer Kit\0",
        "/proc/device-tree/compatible": "nvidia,p3509-0000+p3668-0000\0nvidia,tegra194\0",
    },
    ina3221x("7-0040", ("VDD_IN", 4200), ("VDD_CPU_GPU_CV", 1100), ("VDD_SOC", 900)),
)
"""JetPack 4, whose monitors are told by another driver, at 4.2 W."""

RASPBERRY_PI_5 = merged(
    meminfo(8_063, 6_900),
    arm(["0xd0b"] * 4),
    {
        "/proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
        "/proc/device-tree/compatible": "raspberrypi,5-model-b\0brcm,bcm2712\0",
        "/sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n",
        "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
    },
    zone(0, "cpu-thermal", "82300", critical=110),
)
"""No meter at all, and slowed down for too little voltage."""

CONTAINER = merged(
    meminfo(64_000, 50_000),
    x86("AMD EPYC 7763 64-Core Processor", 4),
    cgroup_v1(
        "/docker/4f2a",
        {
            "/": {
                "memory.limit_in_bytes": 4 << 30,
                "memory.usage_in_bytes": 3 << 30,
                "memory.stat": f"cache 1\ninactive_file 7\ntotal_inactive_file {1 << 30}",
                "cpu.cfs_quota_us": 150_000,
                "cpu.cfs_period_us": 100_000,
            }
        },
        shown="/docker/4f2a",
    ),
)
"""Docker on control groups version 1: the mount shows the container's own group as its root."""

MACHINES = {
    "laptop": LAPTOP, "ryzen": RYZEN_LAPTOP, "rock-5b": ROCK_5B, "orin-nano": ORIN_NANO,
    "agx-orin": AGX_ORIN, "xavier-nx": XAVIER_NX, "pi-5": RASPBERRY_PI_5, "container": CONTAINER,
    "nothing": {},
}  # fmt: skip
