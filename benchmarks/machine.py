"""Describe this machine: processor, cores, caches, versions."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


def _read_cpuinfo() -> dict[str, str]:
    """Fields of the first processor in /proc/cpuinfo."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return {}
    first = text.split("\n\n")[0]
    return dict(re.findall(r"^(.+?)\s*: ?(.*)$", first, re.M))


def get_caches() -> dict[str, int]:
    """Sizes in bytes of the first processor's data caches by level ("L1", "L2", ...)."""
    sizes_by_level = {}
    for index in sorted(_CACHES.glob("index*")):
        try:
            if (index / "type").read_text().strip() == "Instruction":
                continue
            size = (index / "size").read_text().strip()
            sizes_by_level[f"L{(index / 'level').read_text().strip()}"] = (
                int(size[:-1]) * 2 ** ({"K": 10, "M": 20}[size[-1]])
            )
        except (OSError, KeyError, ValueError):
            continue
    return sizes_by_level


def get_last_cache() -> int:
    """Size in bytes of the last-level cache; 16 MiB if the system does not report it."""
    return max(get_caches().values(), default=2**24)


def get_vector_extension() -> str:
    """Name of the widest vector instructions of the processor."""
    flags = _read_cpuinfo().get("flags", "").split()
    names = {"avx512f": "AVX-512", "avx2": "AVX2", "sse4_2": "SSE4.2"}
    return next((text for flag, text in names.items() if flag in flags), "unknown vectors")


def get_busy_seconds() -> float | None:
    """CPU time of all programs since the start of the system, including time stolen by the host."""
    try:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    except OSError:
        return None
    user, nice, system, _idle, _wait, irq, softirq, steal = map(int, fields[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def describe_cores() -> str:
    """The processor and the number of cores used, for the first line of a report."""
    about = describe()
    return f"{about['processor']}, {about['cores used']} cores."


def describe() -> dict[str, str]:
    """Properties of the machine by name, for the head of a report."""
    info = _read_cpuinfo()
    family = f"family {info.get('cpu family', '?')}, model {info.get('model', '?')}"
    sizes = ", ".join(f"{name} {size // 1024:,} KiB" for name, size in get_caches().items())
    extension = get_vector_extension()
    return {
        "processor": f"{info.get('model name', platform.processor())} ({family}), {extension}",
        "cores used": f"{len(os.sched_getaffinity(0))} of {os.cpu_count()}",
        "caches": sizes or "unknown",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "Python": platform.python_version(),
        "load average before": f"{os.getloadavg()[0]:.2f}",
    }
