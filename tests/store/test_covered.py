"""The contract suite is whole: no function of the store is left out, by name."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest

import heliograph.store

NOUNS = sorted(
    path.stem
    for path in Path(next(iter(heliograph.store.__path__))).glob("*.py")
    if "Tx" in path.read_text() and path.stem not in {"engine", "sqlite", "postgresql"}
)


def functions_of(noun: str) -> set[str]:
    """The public functions of a module that take a transaction."""
    module = importlib.import_module(f"heliograph.store.{noun}")
    return {
        name
        for name, value in vars(module).items()
        if inspect.iscoroutinefunction(value)
        and value.__module__ == module.__name__
        and not name.startswith("_")
        and next(iter(inspect.signature(value).parameters), "") == "tx"
    }


def used_in_suite() -> set[tuple[str, str]]:
    """Every `noun.function` that the tests of this folder name."""
    return {
        (node.value.id, node.attr)
        for path in Path(__file__).parent.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }


USED = used_in_suite()


@pytest.mark.parametrize("noun", NOUNS)
def test_every_function_is_called(noun: str) -> None:
    """A function that is added to the store comes with its clause of the contract."""
    missing = {name for name in functions_of(noun) if (noun, name) not in USED}
    assert not missing, f"tests/store says nothing of {noun}: {sorted(missing)}"


def test_nouns_are_found() -> None:
    """The list above is not empty by mistake."""
    assert {"accounts", "messages", "queues", "sends"} <= set(NOUNS)
    assert functions_of("queues") >= {"claim_due", "finish"}
