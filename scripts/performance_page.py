"""Sections of docs/performance.md, each written by the benchmark that measured it."""

import os
import platform
import re
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
_HEAD = """# Performance

Every section is written by the command it names; nothing is typed by hand. Times are CPU seconds of one process with
one thread, so that a busy machine does not change them much. Compare ratios rather than seconds.
"""


def write_section(name: str, title: str, body: str) -> None:
    """Put a section on the page in place of its earlier version; sections stand in the order of their names.

    Args:
        name: Stable key of the section.
        title: Its heading.
        body: Markdown below the heading.
    """
    sections = _sections()
    sections[name] = f"## {title}\n\n{body.strip()}\n"
    text = _HEAD + "".join(
        f"\n<!-- begin {key} -->\n{content}<!-- end {key} -->\n" for key, content in sorted(sections.items())
    )
    temporary = PAGE.with_suffix(".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(PAGE)


def machine() -> str:
    """Processor, cores and Python of this machine in words, and how busy it is with this and other work."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), re.MULTILINE)
        model = found.group(1).strip() if found else model
    load = f", load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{model}, {os.cpu_count()} logical cores, Python {platform.python_version()}{load}"


def _sections() -> dict[str, str]:
    if not PAGE.exists():
        return {}
    pattern = re.compile(r"<!-- begin (\S+) -->\n(.*?)<!-- end \1 -->", re.DOTALL)
    return dict(pattern.findall(PAGE.read_text(encoding="utf-8")))
