"""Numbers in NumPy's files. NumPy reads them; nothing that is pickled in them is."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from experimentstash.base.text import listed
from experimentstash.publish.comparators.comparator import Deviation, Found, How, NotComparable, refuse_nothing

_NAMED = 3


def compare(earlier: Path, later: Path, how: How) -> Found:
    """Compare two files of arrays."""
    if how.key:
        raise NotComparable("arrays have no rows that a key could tell apart")
    before, after = (_counting(read(path), how) for path in (earlier, later))
    if lacking := [name for name in before if name not in after]:
        return Found(f"without the array {listed(lacking, _NAMED)}")
    if new := [name for name in after if name not in before]:
        return Found(f"with another array, {listed(new, _NAMED)}")
    within: dict[str, None] = {}
    largest: Deviation | None = None
    too_large: Deviation | None = None
    for name, one in before.items():
        two = after[name]
        if one.shape != two.shape or one.dtype != two.dtype:
            return Found(f"{name} is {two.dtype} {two.shape}, and {one.dtype} {one.shape} before")
        if one.dtype.kind not in "biufc":
            if not bool((one == two).all()):
                return Found(f"{name} differs")
            continue
        deviation, is_allowed = _deviation(one, two, how, name)
        if deviation is None:
            continue
        if not is_allowed:
            too_large = deviation if too_large is None or deviation.absolute > too_large.absolute else too_large
            continue
        within[how.allowed(name)] = None
        largest = deviation if largest is None or deviation.absolute > largest.absolute else largest
    if too_large is not None:
        return Found(f"the largest deviation is {too_large}", deviation=too_large)
    return Found(within="; ".join(within) or None, deviation=largest)


def _counting(arrays: dict[str, Any], how: How) -> dict[str, Any]:
    found = {name: array for name, array in arrays.items() if not how.ignores(name)}
    refuse_nothing(arrays, found)
    return found


def read(path: Path) -> dict[str, Any]:
    """Return the arrays in a file; NotComparable if it has none, or some that are pickled."""
    try:
        import numpy  # here, because hardly any comparison needs it
    except ImportError:
        raise NotComparable("NumPy's files are read by NumPy: pip install 'experimentstash[outputs]'") from None
    try:
        loaded = numpy.load(path, allow_pickle=False)
        if isinstance(loaded, numpy.ndarray):
            return {"the array": loaded}
        with loaded:
            if len({*loaded.files}) < len(loaded.files):
                raise NotComparable(f"{path.name} has two arrays of one name")
            found = {name: loaded[name] for name in loaded.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise NotComparable(f"{path.name} can't be read: {str(error).splitlines()[0]}") from error
    if strange := [name for name, array in found.items() if not isinstance(array, numpy.ndarray)]:
        raise NotComparable(f"{path.name} holds something that is no array: {listed(strange, _NAMED)}")
    return found


def _deviation(one: Any, two: Any, how: How, name: str) -> tuple[Deviation | None, bool]:
    """Return the largest deviation of two arrays, or of what isn't allowed there; and whether all is."""
    import numpy

    if one.dtype.kind == "b":
        unequal = one != two
        wide = [each.astype("i2") for each in (one, two)]
    else:
        wide = [each.astype("c16" if each.dtype.kind == "c" else "longdouble") for each in (one, two)]
        unequal = (one != two) & ~(numpy.isnan(wide[0]) & numpy.isnan(wide[1]))
    if not unequal.any():
        return None, True
    tolerance = how.tolerance(name)
    with numpy.errstate(all="ignore"):
        apart = numpy.where(unequal, numpy.abs(wide[1] - wide[0]), 0)
        apart = numpy.where(numpy.isnan(apart), numpy.inf, apart)
        allowed = tolerance.atol + tolerance.rtol * numpy.abs(wide[0])
        too_much = unequal & ~(numpy.isfinite(apart) & (apart <= allowed))
    is_allowed = not too_much.any()
    place = numpy.unravel_index(numpy.argmax(apart if is_allowed else numpy.where(too_much, apart, -1)), one.shape)
    index = ", ".join(str(int(each)) for each in place)
    where = f"at {name}[{index}]" if index else f"at {name}"
    return Deviation.of(float(apart[place]), float(abs(wide[0][place])), where), is_allowed
