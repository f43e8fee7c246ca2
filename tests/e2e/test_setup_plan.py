"""`./setup_hw.sh plan` on machines drawn as folders, and how the script answers misuse."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).parents[2]
ALWAYS = ["-DGGML_NATIVE=ON", "-DGGML_OPENMP=ON", "-DLLAVA_BUILD=OFF"]

Files = Mapping[str, str]


def x86(model: str, cpus: int) -> dict[str, str]:
    """A PC's processor."""
    core = f"vendor_id\t: GenuineIntel\nmodel name\t: {model}\nflags\t\t: fpu avx2\n"
    return {
        "proc/cpuinfo": "".join(f"processor\t: {n}\n{core}\n" for n in range(cpus)),
        "sys/devices/system/cpu/online": f"0-{cpus - 1}\n",
        "usr/bin/python3.11": "",
    }


def arm(capacities: list[int]) -> dict[str, str]:
    """An ARM board's processor; capacities as the kernel gives them, one a CPU."""
    core = (
        "model name\t: ARMv8 Processor rev 1 (v8l)\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\n"
    )
    files = {
        f"sys/devices/system/cpu/cpu{n}/cpu_capacity": f"{c}\n" for n, c in enumerate(capacities)
    }
    cpuinfo = "".join(f"processor\t: {n}\n{core}\n" for n in range(len(capacities)))
    return {**files, "proc/cpuinfo": cpuinfo, "usr/bin/python3.10": ""}


HYBRID = {
    **x86("13th Gen Intel(R) Core(TM) i7-13700H", 20),
    "sys/devices/cpu_core/cpus": "0-11\n",
    "sys/devices/cpu_atom/cpus": "12-19\n",
}
NVIDIA = {
    "proc/driver/nvidia/version": (
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu Feb 22 01:44:30 UTC 2024\n"
        "GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)\n"
    ),
    "proc/driver/nvidia/gpus/0000:01:00.0/information": (
        "Model: \t\t NVIDIA GeForce RTX 4070\nIRQ:   \t\t 183\n"
    ),
}
CUDA = {
    "usr/local/cuda/bin/nvcc": "",
    "usr/local/cuda/version.json": json.dumps(
        {"cuda": {"name": "CUDA SDK", "version": "12.4.1"}, "nvcc": {"version": "12.4.131"}},
        indent=3,
    ),
}
VULKAN = {
    "usr/include/vulkan/vulkan.h": "",
    "usr/share/cmake/SPIRV-Headers/SPIRV-HeadersConfig.cmake": "",
    "usr/bin/glslc": "",
    "usr/share/vulkan/icd.d/radeon_icd.x86_64.json": "{}",
    "usr/share/vulkan/icd.d/lvp_icd.x86_64.json": "{}",
    "dev/dri/renderD128": "",
}
DESKTOP = x86("AMD Ryzen 7 7700X 8-Core Processor", 16)


def jetson(model: str, soc: str, release: str) -> dict[str, str]:
    """A Jetson: what L4T puts in /etc and the device tree, strings ended by NUL."""
    return {
        **arm([1024] * 6),
        **CUDA,
        "etc/nv_tegra_release": f"# {release}, GCID: 38968081, BOARD: generic, EABI: aarch64\n",
        "proc/device-tree/model": f"{model}\0",
        "proc/device-tree/compatible": f"nvidia,p3768-0000+p3767-0005\0nvidia,{soc}\0",
    }


ORIN_NANO = jetson(
    "NVIDIA Jetson Orin Nano Developer Kit", "tegra234", "R36 (release), REVISION: 4.3"
)
XAVIER = jetson("NVIDIA Jetson AGX Xavier", "tegra194", "R35 (release), REVISION: 5.0")


def draw(folder: Path, files: Files) -> Path:
    """Writes a machine's files under folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def setup_hw(
    *args: str, checkout: Path = CHECKOUT, env: Files | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs the script as a user would, with an environment that does not decide for it."""
    clean = {k: v for k, v in os.environ.items() if k not in {"CMAKE_ARGS", "CUDACXX"}}
    return subprocess.run(
        [checkout / "setup_hw.sh", *args],
        capture_output=True,
        text=True,
        env={**clean, **(env or {})},
        timeout=60,
        check=False,
    )


def plan(machine: Path, env: Files | None = None) -> Any:
    """What `plan --json` says of a drawn machine."""
    done = setup_hw("plan", "--json", "--root", str(machine), env=env)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_a_hybrid_laptop_is_built_for_its_cpu(tmp_path: Path) -> None:
    said = plan(draw(tmp_path, HYBRID))
    assert said["cpu"] == {
        "model": "13th Gen Intel(R) Core(TM) i7-13700H",
        "logical": 20,
        "performance": 12,
        "efficiency": 8,
        "hybrid": True,
    }
    assert (said["os"], said["arch"], said["backend"]) == ("linux", "x86_64", "cpu")
    assert said["cmake_args"] == ALWAYS
    assert "12 performance" in said["notes"][0]


def test_little_arm_cores_are_told_by_their_capacity(tmp_path: Path) -> None:
    said = plan(draw(tmp_path, arm([397] * 4 + [1024] * 4)))
    assert (said["cpu"]["performance"], said["cpu"]["efficiency"]) == (4, 4)
    assert said["arch"] == "aarch64"


def test_an_nvidia_desktop_uses_cuda(tmp_path: Path) -> None:
    said = plan(draw(tmp_path, {**DESKTOP, **NVIDIA, **CUDA}))
    assert said["nvidia"] == {
        "present": True,
        "gpus": ["NVIDIA GeForce RTX 4070"],
        "driver": "550.54.14",
    }
    assert said["cuda"] == {
        "present": True,
        "version": "12.4.1",
        "nvcc": "/usr/local/cuda/bin/nvcc",
    }
    assert said["backend"] == "cuda"
    assert said["cmake_args"] == [*ALWAYS, "-DGGML_CUDA=ON", "-DCMAKE_CUDA_ARCHITECTURES=native"]
    assert said["cpu"]["hybrid"] is False
    assert said["notes"] == []


def test_the_open_kernel_module_names_its_version_too(tmp_path: Path) -> None:
    version = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build\n"
    said = plan(draw(tmp_path, {**DESKTOP, "proc/driver/nvidia/version": version}))
    assert said["nvidia"]["driver"] == "570.86.15"


def test_the_newest_of_several_toolkits_is_taken(tmp_path: Path) -> None:
    toolkits = {f"usr/local/cuda-{version}/bin/nvcc": "" for version in ("11.8", "12.10", "12.9")}
    said = plan(draw(tmp_path, {**DESKTOP, **NVIDIA, **toolkits}))
    assert said["cuda"]["nvcc"] == "/usr/local/cuda-12.10/bin/nvcc"
    assert said["cuda"]["version"] == "12.10"


def test_nvidia_without_a_toolkit_says_what_to_install(tmp_path: Path) -> None:
    said = plan(draw(tmp_path, {**DESKTOP, **NVIDIA}))
    assert (said["backend"], said["cmake_args"]) == ("cpu", ALWAYS)
    assert "nvidia-cuda-toolkit" in said["notes"][0]


def test_nvidia_without_a_toolkit_uses_vulkan_where_it_can(tmp_path: Path) -> None:
    said = plan(draw(tmp_path, {**DESKTOP, **NVIDIA, **VULKAN}))
    assert said["backend"] == "vulkan"


def test_nvidia_without_a_driver_is_not_built_for(tmp_path: Path) -> None:
    device = {"class": "0x030000\n", "vendor": "0x10de\n"}
    bus = {f"sys/bus/pci/devices/0000:01:00.0/{name}": text for name, text in device.items()}
    said = plan(draw(tmp_path, {**DESKTOP, **CUDA, **bus}))
    assert said["nvidia"] == {"present": True, "gpus": [], "driver": None}
    assert said["backend"] == "cpu"
    assert "driver" in said["notes"][0]


def test_a_toolkit_too_old_for_llama_cpp_is_not_used(tmp_path: Path) -> None:
    toolkit = {
        "usr/local/cuda/bin/nvcc": "",
        "usr/local/cuda/version.txt": "CUDA Version 10.2.89\n",
    }
    said = plan(draw(tmp_path, {**DESKTOP, **NVIDIA, **toolkit}))
    assert said["cuda"]["version"] == "10.2.89"
    assert said["backend"] == "cpu"


@pytest.mark.parametrize(
    ("files", "model", "l4t", "architecture"),
    [
        (ORIN_NANO, "NVIDIA Jetson Orin Nano Developer Kit", "36.4.3", "87"),
        (XAVIER, "NVIDIA Jetson AGX Xavier", "35.5.0", "72"),
        (
            jetson("NVIDIA Jetson AGX Thor", "tegra264", "R38 (release), REVISION: 2.0"),
            None,
            None,
            "110",
        ),
    ],
)
def test_a_jetson_uses_cuda_for_its_chip(
    tmp_path: Path, files: Files, model: str | None, l4t: str | None, architecture: str
) -> None:
    said = plan(draw(tmp_path, files))
    assert said["jetson"]["present"] is True
    assert model in {None, said["jetson"]["model"]}
    assert l4t in {None, said["jetson"]["l4t"]}
    assert said["backend"] == "cuda"
    assert said["cmake_args"][3:] == [
        "-DGGML_CUDA=ON",
        f"-DCMAKE_CUDA_ARCHITECTURES={architecture}",
    ]


def test_jetpacks_python_is_too_old(tmp_path: Path) -> None:
    machine = draw(tmp_path, ORIN_NANO)
    said = plan(machine)
    assert said["python"] == {"path": "/usr/bin/python3.10", "version": "3.10", "uv": None}
    assert "pip install uv" in said["notes"][0]
    said = plan(draw(machine, {"usr/local/bin/uv": ""}))
    assert said["python"]["uv"] == "/usr/local/bin/uv"
    assert "uv will bring one" in said["notes"][0]


def test_a_jetson_without_cuda_says_what_to_install(tmp_path: Path) -> None:
    said = plan(draw(tmp_path, {k: v for k, v in ORIN_NANO.items() if "cuda" not in k}))
    assert said["backend"] == "cpu"
    assert "nvidia-jetpack" in said["notes"][0]


def test_an_amd_gpu_uses_vulkan(tmp_path: Path) -> None:
    said = plan(draw(tmp_path, {**DESKTOP, **VULKAN}))
    assert said["vulkan"] == {
        "present": True,
        "icds": ["radeon_icd.x86_64.json"],
        "headers": True,
        "glslc": "/usr/bin/glslc",
    }
    assert said["backend"] == "vulkan"
    assert said["cmake_args"] == [*ALWAYS, "-DGGML_VULKAN=ON"]


@pytest.mark.parametrize("missing", ["vulkan.h", "SPIRV-HeadersConfig.cmake", "glslc"])
def test_vulkan_without_its_headers_says_what_to_install(tmp_path: Path, missing: str) -> None:
    said = plan(
        draw(tmp_path, {**DESKTOP, **{k: v for k, v in VULKAN.items() if missing not in k}})
    )
    assert said["backend"] == "cpu"
    assert "spirv-headers" in said["notes"][0]


def test_vulkan_drivers_without_a_gpu_are_ignored(tmp_path: Path) -> None:
    said = plan(draw(tmp_path, {**DESKTOP, **{k: v for k, v in VULKAN.items() if "dri" not in k}}))
    assert said["vulkan"]["present"] is False
    assert (said["backend"], said["notes"]) == ("cpu", [])


def test_a_mac_uses_metal(tmp_path: Path) -> None:
    (tmp_path / "System/Library/Frameworks/Metal.framework").mkdir(parents=True)
    said = plan(tmp_path)
    assert (said["os"], said["arch"], said["metal"]["present"]) == ("darwin", "arm64", True)
    assert said["backend"] == "metal"
    assert "-DGGML_METAL=ON" in said["cmake_args"]


def test_an_empty_folder_shows_nothing_of_this_machine(tmp_path: Path) -> None:
    said = plan(tmp_path)
    assert said["root"] == str(tmp_path)
    assert (said["cpu"]["model"], said["cpu"]["logical"]) == ("unknown", 0)
    assert said["python"] == {"path": None, "version": None, "uv": None}
    assert said["cuda"] == {"present": False, "version": None, "nvcc": None}
    assert (said["arch"], said["backend"], said["cmake_args"]) == ("unknown", "cpu", ALWAYS)


def test_the_users_cmake_args_come_last_and_win(tmp_path: Path) -> None:
    machine = draw(tmp_path, {**DESKTOP, **NVIDIA, **CUDA})
    said = plan(machine, env={"CMAKE_ARGS": "-DGGML_CUDA=OFF -DGGML_VULKAN=on"})
    assert said["cmake_args"][-2:] == ["-DGGML_CUDA=OFF", "-DGGML_VULKAN=on"]
    assert said["backend"] == "vulkan"


def test_json_survives_what_a_machine_may_call_itself(tmp_path: Path) -> None:
    machine = tmp_path / 'a "root" of \\ its own'
    machine.mkdir()
    said = plan(draw(machine, x86('A "quoted" \\ back\x07slashed \x80 CPU', 1)))
    assert said["root"] == str(machine)
    assert said["cpu"]["model"] == 'A "quoted" \\ backslashed  CPU'


def test_the_plan_for_people_names_the_same_choice(tmp_path: Path) -> None:
    done = setup_hw("plan", "--root", str(draw(tmp_path, ORIN_NANO)))
    assert done.returncode == 0
    assert "Jetson Orin Nano" in done.stdout
    assert "-DCMAKE_CUDA_ARCHITECTURES=87" in done.stdout


def test_this_machine_can_be_planned_without_changing_anything(tmp_path: Path) -> None:
    checkout, home = tmp_path / "checkout", tmp_path / "home"
    home.mkdir()
    shutil.copytree(CHECKOUT / "setup", checkout / "setup")
    shutil.copy(CHECKOUT / "setup_hw.sh", checkout)
    before = sorted(tmp_path.rglob("*"))
    env = {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "EDGEROUTE_CACHE_DIR": str(home / "er"),
    }
    done = setup_hw("plan", "--json", checkout=checkout, env=env)
    assert json.loads(done.stdout)["cpu"]["logical"] == os.cpu_count()
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["fly"], "unknown command: fly"),
        (["plan", "--yaml"], "--yaml"),
        (["plan", "--root"], "--root needs a folder"),
        (["plan", "--root", "/no/such/folder"], "/no/such/folder"),
        (["run"], "run needs a prompt"),
        (["run", ""], "run needs a prompt"),
        (["run", "--"], "run needs a prompt"),
        (["run", "--fast", "hello"], "--fast"),
        (["setup", "now"], "setup takes no arguments"),
        (["test", "-k", "plan"], "test takes no arguments"),
    ],
)
def test_misuse_is_explained_and_ends_with_2(args: list[str], told: str) -> None:
    done = setup_hw(*args)
    assert done.returncode == 2
    assert told in done.stderr
    assert "usage:" in done.stderr
    assert done.stdout == ""


def test_help_names_every_command() -> None:
    done = setup_hw("help")
    assert done.returncode == 0
    assert all(verb in done.stdout for verb in ("setup", "run", "test", "plan"))
