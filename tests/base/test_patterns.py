"""A regular expression that is compiled late is as good as one that is compiled at once."""

from __future__ import annotations

import gc
import importlib
import pkgutil
import re

import experimentstash
from experimentstash.base.patterns import _Pattern, regex


def test_it_is_compiled_when_it_is_asked() -> None:
    late = regex("(?P<word>[a-z]+)-", re.IGNORECASE)
    assert "search" not in vars(late)
    found = late.search("1 Ab-")
    assert found is not None and found["word"] == "Ab"
    assert vars(late)["search"] == re.compile("(?P<word>[a-z]+)-", re.IGNORECASE).search
    assert (late.pattern, late.groups, late.sub("x", "a-b-c")) == ("(?P<word>[a-z]+)-", 1, "xxc")


def test_all_of_ours_make_sense() -> None:
    for module in pkgutil.walk_packages(experimentstash.__path__, "experimentstash."):
        if not module.name.endswith(("__main__", "upload_child")):  # which begin at once
            importlib.import_module(module.name)
    gc.unfreeze()  # a sweep in this process has put aside what there was by then
    ours = [each for each in gc.get_objects() if type(each) is _Pattern]
    assert len(ours) > 100
    for each in ours:
        re.compile(*each._given)
