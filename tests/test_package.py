"""The public names of the package: complete, importable and documented."""

import importlib
import importlib.metadata
import inspect
import re
from pathlib import Path

import pytest
from numpydoc.validate import validate
from sklearn.base import ClassifierMixin, ClusterMixin

import skdeepcluster

PACKAGE = Path(skdeepcluster.__file__).parent
API_PAGE = PACKAGE.parent / "docs" / "api.rst"
FILES = sorted(PACKAGE.rglob("*.py"))
# What has an `__init__` that says what others may import, at any depth.
FOLDERS = sorted(path.parent for path in PACKAGE.rglob("__init__.py"))

# Codes of numpydoc.validate: no docstring, no summary; then parameters not
# documented, unknown, in another order, without type; no Returns section; and
# without description.
SUMMARY_CODES = {"GL08", "SS01"}
FUNCTION_CODES = SUMMARY_CODES | {"PR01", "PR02", "PR03", "PR04", "RT01"}
ESTIMATOR_CODES = FUNCTION_CODES | {"PR07", "RT03"}


def name_of(folder):
    return ".".join(folder.relative_to(PACKAGE.parent).parts)


def public_namespaces():
    """Those of the package and of its floors; what is below is for the package."""
    internal = {"engine", "utils"}
    floors = [folder for folder in FOLDERS if folder.parent == PACKAGE]
    public = [floor for floor in floors if floor.name not in internal]
    return [name_of(folder) for folder in (PACKAGE, *public)]


def public_objects():
    seen = {}
    for namespace in public_namespaces():
        module = importlib.import_module(namespace)
        for name in getattr(module, "__all__", ()):
            if not name.startswith("__"):
                seen.setdefault(id(getattr(module, name)), f"{namespace}.{name}")
    return sorted(seen.values())


def has_own_init(owner):
    code = getattr(owner.__init__, "__code__", None)
    return code is not None and Path(code.co_filename).is_relative_to(PACKAGE)


def documented_members(name):
    """The object and its public methods, each with the codes that it must not have.

    The methods of an estimator are documented in full. Those of networks and
    objectives have type hints, and their base class says what they are for.
    """
    namespace, _, attribute = name.rpartition(".")
    owner = getattr(importlib.import_module(namespace), attribute)
    if inspect.isroutine(owner):
        yield name, FUNCTION_CODES
    if not inspect.isclass(owner):
        return
    is_estimator = issubclass(owner, ClusterMixin | ClassifierMixin)
    codes = ESTIMATOR_CODES if is_estimator else SUMMARY_CODES
    yield name, FUNCTION_CODES | codes if has_own_init(owner) else codes
    for member, value in inspect.getmembers(owner, inspect.isroutine):
        module = getattr(value, "__module__", None) or ""
        if not member.startswith("_") and module.startswith("skdeepcluster"):
            yield f"{name}.{member}", codes


def test_version():
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|rc\d+)?", skdeepcluster.__version__)
    installed = importlib.metadata.version("skdeepcluster")
    assert installed == skdeepcluster.__version__


@pytest.mark.parametrize("namespace", [name_of(folder) for folder in FOLDERS])
def test_all_is_complete_and_importable(namespace):
    module = importlib.import_module(namespace)
    assert module.__doc__, f"{namespace} has no docstring"
    assert isinstance(module.__all__, list)
    assert len(set(module.__all__)) == len(module.__all__)
    for name in module.__all__:
        assert hasattr(module, name), f"{namespace}.{name}"
    mine = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert mine <= set(module.__all__), "public names missing from __all__"


@pytest.mark.parametrize("name", public_objects())
def test_public_object_is_documented(name):
    problems = []
    for member, codes in documented_members(name):
        for code, message in validate(member)["errors"]:
            if code in codes:
                problems.append(f"{member}: {code} {message}")
    assert not problems, "\n".join(problems)


@pytest.mark.skipif(not API_PAGE.is_file(), reason="not a checkout")
@pytest.mark.parametrize("namespace", public_namespaces())
def test_public_names_are_on_the_api_page(namespace):
    page = API_PAGE.read_text(encoding="utf-8").split()
    module = importlib.import_module(namespace)
    public = {name for name in module.__all__ if callable(getattr(module, name))}
    missing = sorted(public.difference(page))
    assert not missing, f"missing from docs/api.rst: {missing}"
