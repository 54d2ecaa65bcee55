"""Imports go down only. This test reads them from the source, so it holds for code that no test runs."""

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).parent.parent / "src" / "heliograph"

# Highest first. Rooms on one floor are neighbours and do not import each other.
FLOORS: list[set[str]] = [
    {"cli"},
    {"api", "portal"},
    {"accounts", "campaigns", "contacts"},
    {"accept", "dispatch", "status", "webhooks"},
    {"runtime", "logs"},
    {"channels", "store"},
    {"core", "config", "errors"},
]
LEVEL = {room: len(FLOORS) - index for index, floor in enumerate(FLOORS) for room in floor}
ANYONE_MAY = {"core", "errors"}  # the ground: also used by its own neighbours
APART = "emulators"  # the carriers' side: a separate program that no other room imports


def module_name(path: Path) -> str:
    parts = ("heliograph", *path.relative_to(SRC).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def read_imports() -> dict[str, set[str]]:
    """Every module of ours with the modules of ours that it imports, wherever in the file it does so."""
    modules = {module_name(path): path for path in SRC.rglob("*.py")}
    found: dict[str, set[str]] = {}
    for name, path in modules.items():
        targets: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                targets |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}:{node.lineno}: write the whole name of what you import"
                base = node.module or ""
                targets |= {f"{base}.{a.name}" if f"{base}.{a.name}" in modules else base for a in node.names}
        found[name] = {target for target in targets if target.split(".")[0] == "heliograph"}
    return found


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


IMPORTS = read_imports()


@pytest.mark.parametrize("module", sorted(IMPORTS))
def test_imports_go_down_only(module: str) -> None:
    """A module imports from its own room and from the floors below; the emulators know only the ground."""
    room = room_of(module)
    if not room or room == "__main__":
        return
    for target in IMPORTS[module]:
        other = room_of(target)
        if other in {"", room} or other in ANYONE_MAY:
            continue
        assert other != APART, f"{module} imports {target}: the emulators are a separate program"
        assert room != APART, f"{module} imports {target}: an emulator may use core and errors only"
        assert other in LEVEL and room in LEVEL, f"{module} imports {target}: give the room a floor in {__file__}"
        assert LEVEL[other] < LEVEL[room], f"{module} imports {target}: that is upwards or sideways"


def test_no_circle() -> None:
    """No module reaches itself by imports."""
    done: set[str] = set()

    def walk(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, f"a circle: {' -> '.join((*trail[trail.index(module) :], module))}"
        if module in done:
            return
        for target in IMPORTS.get(module, ()):
            if target != module:
                walk(target, (*trail, module))
        done.add(module)

    for module in IMPORTS:
        walk(module, ())


def test_the_ground_is_found() -> None:
    """The test reads something: a wrong path would make every check above pass."""
    assert "heliograph.errors" in IMPORTS
    assert len(IMPORTS) > 5
