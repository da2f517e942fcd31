"""Examples in docstrings and in docs/methods.md do what they say."""

import doctest
import importlib
import re

import pytest
from shared_data import REPOSITORY

MODULES = ("losses.registry", "metrics.evaluate", "metrics.thresholds")


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"ltml_benchmark.{name}"))
    assert result.attempted
    assert not result.failed


def test_examples_of_the_method_page() -> None:
    page = (REPOSITORY / "docs" / "methods.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert blocks
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "docs/methods.md", "exec"), names)
