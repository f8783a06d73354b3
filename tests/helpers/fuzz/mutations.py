"""Breaking a good file: by its structure (trees of JSON and YAML, lines, headers) or by its bytes.

What is broken depends on the random numbers alone, so that a seed gives the same input again.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import yaml

from tests.helpers.odd_json import places

Breaker = Callable[[random.Random, bytes], bytes]
# Words that become something that no value of Python turns into: see `_raw`.
HUGE, LONG, DEEP, HALF, BOMB, AGAIN = "@huge@", "@long@", "@deep@", "@half@", "@bomb@", "@again@"
DOUBLING = ", ".join([f"&b0 [{','.join('x' * 9)}]", *(f"&b{n} [{','.join([f'*b{n - 1}'] * 9)}]" for n in range(1, 12))])
RAW = {
    HUGE: b"1e400",
    LONG: b"9" * 5_000,
    DEEP: b"[" * 3_000 + b"]" * 3_000,
    HALF: b'"\\ud800"',
    BOMB: f"[{DOUBLING}]".encode(),
}
NUMBERS = [0, -1, 1, 2, 3, 17, 1.5, -0.0, 1e308, -1e-320, float("nan"), float("inf"), -float("inf")]
NUMBERS += [2**31, 2**63, -(2**63), 10**400, HUGE, LONG]
WORDS = [
    "",
    "x",
    "0",
    "1",
    "-1",
    "1.0",
    "person",
    "left_a",
    "é",
    "\x1b[31m",
    "a\0b",
    "../../x",
    "\\\\a\\b",
    "/etc/hostname",
]
WORDS += [
    "1e400",
    "0110",
    "64x64",
    "x" * 600,
    "x" * 50_000,
    HALF,
    "a\nb",
    "2020-13-45",
    "no",
    "null",
    "~",
    "!!python/name:os.system",
]
SHAPES = [
    [],
    {},
    [[]],
    [None],
    [{}],
    {"a": 1},
    {"x": [1]},
    [0],
    [1, 2],
    [1, 2, 3, 4],
    [[1, 2], [3]],
    [1] * 500,
    DEEP,
    BOMB,
]
ODD = [None, True, False, *NUMBERS, *WORDS, *SHAPES]
# What a file may be called by somebody who means harm, or works with another system.
PATHS = [
    *(
        "..",
        "../a.png",
        "../../secret.png",
        "/secret.png",
        "//secret.png",
        "\\\\a\\b.png",
        "..\\secret.png",
        "C:\\a.png",
    ),
    *("C:a.png", "images", "images/a.png", "val/a.png", "train/a.png", "a.png", "A.PNG", "a.jpg", "a.txt", "./a.png"),
    *("a//b.png", "a/../b.png", "a/..", ".", "", " ", ".png", "a.png/", "~/a.png", "con.png", "a\0.png", "a\n.png"),
    *("\u202ea.png", "\ud800.png", "x" * 300 + ".png", "d/" * 200 + "a.png", "labels/a.png", "a.zip/b.png", "é.png"),
    *("e\u0301.png", "-rf.png", "a.png.txt", ".partial-a.png", "annotations/train.json", "data.yaml"),
]
BITS = [
    b"[",
    b"]",
    b"{",
    b"}",
    b'"',
    b"NaN",
    b"1e999",
    b"null",
    b"true",
    b"\xff\xfe",
    b"\\ud800",
    b"- ",
    b"*a",
    b"&a ",
    b"9" * 40,
]
BITS += [
    b"!!python/name:os.system ",
    b"-",
    b"\x1b[31m",
    b"\0",
    b"\r\n",
    b": ",
    b",",
    b"%",
    b"\xef\xbb\xbf",
    b"\xc2\x85",
    b"<<: ",
]


def broken_tree(rng: random.Random, tree: Any) -> Any:
    """Change one to three places of a tree in place, and return it."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        way = rng.choice(places(tree, 6))
        if not way:
            tree = rng.choice(ODD) if rng.random() < 0.1 else tree
            continue
        _change(rng, tree, way)
    return tree


def _change(rng: random.Random, tree: Any, way: tuple[Any, ...]) -> None:
    *above, last = way
    holder = tree
    for key in above:
        holder = holder[key]
    how = rng.random()
    if how < 0.5:
        holder[last] = _fresh(rng.choice(ODD))
    elif how < 0.62:
        del holder[last]
    elif how < 0.72:
        value = holder[last]
        if isinstance(holder, list):
            holder.extend([_fresh(value)] * rng.choice((1, 1, 2, 40)))
        else:
            holder[f"{last}{AGAIN}"] = _fresh(rng.choice((value, rng.choice(ODD))))
    elif how < 0.82:
        other = tree
        for key in rng.choice(places(tree, 6)):
            other = other[key]
        holder[last] = _fresh(other)
    elif how < 0.9:
        holder[last] = rng.choice(([holder[last]], {"a": holder[last]}, [holder[last]] * 3, str(holder[last])[:2000]))
    elif isinstance(holder, dict):
        holder[str(rng.choice(ODD))[:200]] = _fresh(rng.choice(ODD))
    elif type(holder[last]) in (int, float):
        holder[last] = rng.choice((-holder[last], holder[last] + 1, holder[last] * 1000, holder[last] / 3))
    else:
        rng.shuffle(holder)


def _fresh(value: Any) -> Any:
    """A copy that later changes of the tree do not reach."""
    if isinstance(value, dict):
        return {key: _fresh(inner) for key, inner in value.items()}
    return [_fresh(inner) for inner in value] if isinstance(value, list) else value


def broken_bytes(rng: random.Random, content: bytes) -> bytes:
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        at = rng.randrange(len(data) + 1)
        how = rng.random()
        if how < 0.35 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif how < 0.45 and at < len(data):
            data[at] = rng.randrange(256)
        elif how < 0.6:
            del data[at : at + rng.randrange(1, 24)]
        elif how < 0.8:
            data[at:at] = rng.choice(BITS)
        elif how < 0.92:
            start = rng.randrange(len(data) + 1)
            data[at:at] = data[start : start + rng.randrange(1, 80)]
        else:
            del data[at:]
    return bytes(data)


def _raw(text: bytes) -> bytes:
    for word, raw in RAW.items():
        text = text.replace(b'"' + word.encode() + b'"', raw).replace(b"'" + word.encode() + b"'", raw)
    return text.replace(AGAIN.encode(), b"")


def json_bytes(tree: Any) -> bytes:
    return _raw(json.dumps(tree).encode())


def _broken_json(rng: random.Random, content: bytes) -> bytes:
    return json_bytes(broken_tree(rng, json.loads(content)))


def _broken_yaml(rng: random.Random, content: bytes) -> bytes:
    tree = broken_tree(rng, yaml.safe_load(content))
    if rng.random() < 0.5:
        return json_bytes(tree)  # nearly every JSON is YAML
    try:
        return _raw(yaml.safe_dump(tree, allow_unicode=rng.random() < 0.5, sort_keys=False).encode("utf-8", "replace"))
    except (ValueError, OverflowError):  # an integer too long to be written
        return json_bytes(tree)


def _broken_lines(rng: random.Random, content: bytes) -> bytes:
    """JSON lines of which one is broken, dropped, doubled or cut, or some change places."""
    lines = content.splitlines(keepends=True)
    at, how = rng.randrange(len(lines)), rng.random()
    if how < 0.7:
        lines[at] = json_bytes(broken_tree(rng, json.loads(lines[at]))) + b"\n"
    elif how < 0.78:
        del lines[at]
    elif how < 0.86:
        lines.insert(rng.randrange(len(lines) + 1), lines[at])
    elif how < 0.93:
        rng.shuffle(lines)
    else:
        lines[at] = lines[at][: rng.randrange(len(lines[at]))]
    return b"".join(lines)


def _broken_tensors(rng: random.Random, content: bytes) -> bytes:
    """A .safetensors file whose header, or a description in it, is broken; or whose tensors are cut."""
    size = int.from_bytes(content[:8], "little")
    head, body = json.loads(content[8 : 8 + size]), content[8 + size :]
    said, how = head.get("__metadata__", {}), rng.random()
    if how < 0.4:
        head = broken_tree(rng, head)
    elif how < 0.85 and said:
        key = rng.choice(sorted(said))
        tree = json.loads(said[key])
        tree.pop("digest", None)  # so that what is broken is looked at, and not refused as damaged
        said[key] = json_bytes(broken_tree(rng, tree)).decode("utf-8", "replace")
    else:
        body = body[: rng.randrange(len(body) + 1)]
    text = json_bytes(head)
    length = len(text) if rng.random() < 0.95 else rng.choice((0, 1, 2**63, len(text) + 9))
    return length.to_bytes(8, "little") + text + body


def _broken_names(rng: random.Random, content: bytes) -> bytes:
    """Annotations of which some pictures are called otherwise, now and then broken elsewhere too."""
    tree = json.loads(content)
    for image in rng.sample(tree["images"], rng.randint(1, len(tree["images"]))):
        parts = [rng.choice(PATHS) for _ in range(rng.choice((1, 1, 1, 2, 3)))]
        image["file_name"] = rng.choice(("/", "\\", "")).join(parts)
    return json_bytes(broken_tree(rng, tree) if rng.random() < 0.3 else tree)


def _broken_words(rng: random.Random, content: bytes) -> bytes:
    """Words of a command line, one a line, of which one is broken, dropped, doubled or moved."""
    lines = content.split(b"\n")
    at, how = rng.randrange(len(lines)), rng.random()
    odd = str(rng.choice([*NUMBERS, *WORDS])).encode("utf-8", "replace").lstrip(b"/").replace(b"\n", b" ")
    if how < 0.4:
        lines[at] = odd
    elif how < 0.55:
        lines[at] = lines[at].split(b"=")[0] + b"=" + odd
    elif how < 0.7:
        lines.insert(at, odd)
    elif how < 0.8:
        del lines[at]
    elif how < 0.9:
        lines.insert(rng.randrange(len(lines) + 1), lines[at])
    else:
        rng.shuffle(lines)
    return b"\n".join(lines)


# By form: how its structure is broken, and how often that is rather than its bytes.
TEXTS: dict[str, tuple[Breaker, float]] = {
    "json": (_broken_json, 0.75),
    "yaml": (_broken_yaml, 0.7),
    "lines": (_broken_lines, 0.7),
    "tensors": (_broken_tensors, 0.75),
    "names": (_broken_names, 0.8),
    "words": (_broken_words, 1.0),  # bytes of a command line might name any file
    "bytes": (broken_bytes, 1.0),
}
