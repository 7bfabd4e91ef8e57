"""The rules of the architecture, for every file of the package.

The rules are read from the source, so they hold for files that no test imports.
"""

import ast
import statistics
from functools import cache
from pathlib import Path

import pytest

import skdeepcluster

PACKAGE = Path(skdeepcluster.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

# From the top floor to the bottom; an import only points down.
FLOORS = [
    {"robustness"},
    {"deep"},
    {"shallow"},
    {"engine"},
    {"objectives", "architectures"},
    {"graphs", "kmeans", "metrics", "theory"},
    {"neighbors"},
    {"utils"},
]
MAX_FILE_LINES = 500
MAX_BODY_LINES = 60
TYPICAL_BODY_LINES = 15
GLOBAL_STATE_CALLS = {
    "threadpoolctl.threadpool_limits",
    "torch.cuda.manual_seed",
    "torch.cuda.manual_seed_all",
    "torch.manual_seed",
    "torch.random.manual_seed",
    "torch.random.seed",
    "torch.random.set_rng_state",
    "torch.seed",
    "torch.set_default_device",
    "torch.set_default_dtype",
    "torch.set_num_interop_threads",
    "torch.set_num_threads",
    "torch.set_rng_state",
    "torch.use_deterministic_algorithms",
}
OWN_STATE_RANDOM = {"BitGenerator", "Generator", "PCG64", "Philox", "RandomState"}
OWN_STATE_RANDOM |= {"SeedSequence", "default_rng"}


def relative_name(path):
    return path.relative_to(PACKAGE).as_posix()


def module_name(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


MODULES = {module_name(path): path for path in FILES}
every_file = pytest.mark.parametrize("path", FILES, ids=relative_name)


def under(name, prefix):
    return name == prefix or name.startswith(prefix + ".")


def is_for_types_only(node):
    """Whether a node is ``if TYPE_CHECKING:``."""
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def run_time_nodes(path):
    """Every node but those below ``if TYPE_CHECKING:``."""
    waiting = [tree_of(path)]
    while waiting:
        node = waiting.pop()
        if not is_for_types_only(node):
            yield node
            waiting.extend(ast.iter_child_nodes(node))


def imported_names(path):
    """Every dotted name that a file imports, at any depth."""
    for node in run_time_nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def aliases_of(path):
    """Local name -> dotted name, from the imports of a file."""
    table = {}
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                head = alias.name.split(".")[0]
                table[alias.asname or head] = alias.name if alias.asname else head
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            for alias in node.names:
                table[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return table


def dotted_names(path):
    """Every ``a.b.c`` in a file that starts at an imported name, resolved."""
    aliases = aliases_of(path)
    for node in ast.walk(tree_of(path)):
        chain, inner = [], node
        while isinstance(inner, ast.Attribute):
            chain.append(inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name) and inner.id in aliases:
            yield ".".join([aliases[inner.id], *reversed(chain)])


def own_modules(path):
    """The modules of this package that a file imports."""
    for name in imported_names(path):
        if not under(name, "skdeepcluster"):
            continue
        while name not in MODULES:
            name = name.rpartition(".")[0]
        yield name


def floor_of(module):
    part = module.split(".")[1]
    found = [number for number, floor in enumerate(FLOORS) if part in floor]
    assert found, f"{part!r} has no floor: give it one in FLOORS"
    return found[0]


# --- architecture -----------------------------------------------------------


@every_file
def test_imports_point_down(path):
    module = module_name(path)
    if module == "skdeepcluster":
        return
    for target in own_modules(path):
        assert target != "skdeepcluster", f"{module} imports the top of the package"
        if target.split(".")[1] != module.split(".")[1]:
            assert floor_of(module) < floor_of(target), f"{module} imports {target}"


def test_no_import_cycle():
    graph = {module: set(own_modules(path)) for module, path in MODULES.items()}
    done = set()

    def visit(module, trail):
        assert module not in trail, " -> ".join([*trail, module])
        if module not in done:
            for target in graph[module] - {"skdeepcluster"}:
                visit(target, [*trail, module])
            done.add(module)

    for module in graph:
        visit(module, [])


@every_file
def test_only_the_engine_trains(path):
    if under(module_name(path), "skdeepcluster.engine"):
        return
    for name in [*imported_names(path), *dotted_names(path)]:
        assert not under(name, "skorch"), name
        assert not under(name, "torch.distributed"), name


@every_file
def test_private_sklearn_names_in_one_file(path):
    if relative_name(path) == "utils/_sklearn.py":
        return
    for name in [*imported_names(path), *dotted_names(path)]:
        if under(name, "sklearn") and not name.endswith("__version__"):
            private = [part for part in name.split(".") if part.startswith("_")]
            assert not private, f"{name}: import it from utils/_sklearn.py"


@every_file
def test_no_relative_import(path):
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}"


@every_file
def test_no_global_state(path):
    for name in dotted_names(path):
        assert name not in GLOBAL_STATE_CALLS, name
        if name.startswith("numpy.random."):
            assert name.split(".")[2] in OWN_STATE_RANDOM, name
        assert not name.startswith("random."), name


@every_file
def test_no_print_and_no_assert(path):
    for node in ast.walk(tree_of(path)):
        assert not isinstance(node, ast.Assert), f"assert on line {node.lineno}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print", f"print on line {node.lineno}"


# --- size -------------------------------------------------------------------


def body_lines(node):
    body = node.body
    if ast.get_docstring(node, clean=False) is not None:
        body = body[1:]
    return node.end_lineno - body[0].lineno + 1 if body else 0


def functions_in(path):
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(tree_of(path)) if isinstance(node, kinds)]


@every_file
def test_file_and_functions_are_short(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_FILE_LINES, f"{lines} lines"
    for node in functions_in(path):
        size = body_lines(node)
        assert size <= MAX_BODY_LINES, f"{node.name} has a body of {size} lines"


def test_most_functions_are_small():
    sizes = [body_lines(node) for path in FILES for node in functions_in(path)]
    assert not sizes or statistics.median(sizes) < TYPICAL_BODY_LINES
