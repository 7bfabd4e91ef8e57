"""The examples in the pages of the user guide."""

import doctest
from pathlib import Path

import pytest

import skdeepcluster

GUIDE = Path(skdeepcluster.__file__).parent.parent / "docs" / "user_guide"
PAGES = sorted(
    path for path in GUIDE.glob("*.rst") if ">>> " in path.read_text("utf-8")
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_of_the_user_guide(page):
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    failed, tried = doctest.testfile(
        str(page), module_relative=False, optionflags=flags, encoding="utf-8"
    )
    assert tried
    assert not failed
