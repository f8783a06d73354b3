"""Trees of JSON with something odd in one place."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

KEY = st.text(max_size=8)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
TREES = st.recursive(
    PLAIN | KEY, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEY, inner, max_size=4), max_leaves=8
)


def places(tree: Any, most: int | None = None, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to each value in a tree, the first values alone of lists that are longer than `most`."""
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree[:most]) if isinstance(tree, list) else ()
    return [path, *(place for key, child in inner for place in places(child, most, (*path, key)))]


def changed(tree: Any, place: tuple[Any, ...], how: str, value: Any = None) -> Any:
    """Return a copy in which a value is replaced, removed or doubled; where `place` has gone, an equal one."""
    if not place:
        return value if how == "replace" else tree
    *above, last = place
    tree = copy.deepcopy(tree)
    holder = tree
    try:
        for key in above:
            holder = holder[key]
        if how == "remove":
            del holder[last]
        elif how == "double" and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[last]))
        elif how == "double":
            holder[f"{last}_"] = holder[last]
        else:
            holder[last] = value
    except (KeyError, IndexError, TypeError):
        pass
    return tree
