"""The rooms of the package: imports run one way, there is no circle, and nothing reaches out of the package."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "minitransformer"
# From the ground floor up. A room imports itself and rooms below it.
ROOMS = (
    *("arguments", "files", "layers", "interventions", "models", "data", "training", "decoding", "pretrained"),
    *("plotting", "verify", "experiments", "course", "commands", "cli"),
)
# What a room must not import although it is below.
APART = {
    "models": {"files"},
    "data": {"layers", "models"},
    "pretrained": {"training"},
    "plotting": {"training", "pretrained"},
    "verify": {"data", "training", "decoding", "pretrained", "plotting"},
}


def imports(path):
    """The modules of the package that a file imports, anywhere in it, as dotted names without the package's."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    here = ("minitransformer", *path.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else ()
            module = ".".join((*base, *filter(None, [node.module])))
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def file_of(module):
    """The file that a dotted name stands for, if it is one of the package's."""
    parts = module.split(".")
    if parts[0] != "minitransformer":
        return None
    path = PACKAGE.joinpath(*parts[1:])
    if path.is_dir():
        return path / "__init__.py"
    return path.with_suffix(".py") if path.with_suffix(".py").exists() else None


FILES = sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)
ARROWS = {path: {file_of(module) for module in imports(path)} - {None, path} for path in FILES}


def name(path):
    """A file as it is called in a message."""
    return str(path.relative_to(PACKAGE))


def room(path):
    """The room of a file: its folder, or its own name where it stands beside the rooms."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def test_a_file_imports_its_own_room_and_those_below_alone():
    wrong = []
    for path, others in ARROWS.items():
        own = room(path)
        if own in ("__init__", "__main__"):
            continue
        allowed = {*ROOMS[: ROOMS.index(own) + 1], "__init__"} - APART.get(own, set())
        wrong += [f"{name(path)} imports {name(other)}" for other in others if room(other) not in allowed]
    assert not wrong


def test_the_trainer_knows_nothing_of_parallel_training():
    others = ARROWS[PACKAGE / "training" / "trainer.py"]
    assert others
    assert not [name(other) for other in others if "parallel" in other.parts]


def test_no_files_import_each_other_in_a_circle():
    # A package's face (__init__.py) gathers its room's names, and is no part of the room's own structure.
    graph = {path: {other for other in others if other.name != "__init__.py"} for path, others in ARROWS.items()}
    done = set()

    def visit(path, trail):
        assert path not in trail, " -> ".join(map(name, (*trail, path)))
        if path not in done:
            for other in sorted(graph[path]):
                visit(other, (*trail, path))
            done.add(path)

    for path in sorted(graph):
        if path.name != "__init__.py":
            visit(path, ())


def test_the_package_imports_nothing_of_its_checkout():
    outside = {"tests", "figures", "benchmarks", "notebooks"}
    assert not [name(path) for path in FILES if outside & {module.split(".")[0] for module in imports(path)}]
