"""Spaces: what is a choice, which architectures are the same, how one moves, and what a broken file is told."""

import random
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from litepose_nas import Space, UserError, resources
from litepose_nas.families.family import Family
from litepose_nas.space import input_size

SPACES = resources.names("search_spaces", ".yaml")
NESTED = {
    "resolution": [64, 96],
    "depth": [0, 1, 2],
    "blocks": {"width": [8, 16], "depth": [1, 2], "blocks": {"kernel": [3, 5]}},
    "op": ["none", "add"],
}


def reads_all(tree, joints):
    _ = tree.op, tree.resolution
    for block in tree.blocks[: tree.depth]:
        _ = block.width
        for inner in block.blocks[: block.depth]:
            _ = inner.kernel
    return []


@pytest.fixture
def nested():
    return Space(NESTED, "nested", family=Family("nested", reads_all, reads_all))


@pytest.mark.parametrize("name", SPACES)
def test_shipped_spaces_load_and_are_described(name):
    space = Space.load(name)
    assert space.size > 1
    assert space.about


def test_size_counts_distinct_networks(nested):
    # a block is a width (2) and one or two kernels: 2 + 4; the network has none, one or two blocks, two sizes, two ops
    block = 2 * (2 + 4)
    assert nested.size == 2 * 2 * (1 + block + block**2)
    archs = list(nested)
    assert len(archs) == len(set(archs)) == nested.size
    assert {nested.arch(arch.to_dict()) for arch in archs} == set(archs)


def test_the_released_space_has_its_245760_networks():
    quarter = {0: (8, 16, 24, 32), 1: (16, 32, 48, 64), 2: (24, 48, 72, 96), 3: (40, 80, 120, 160)}
    heads = ((16, 32, 48, 64), (16, 24, 40, 48), (8, 16, 24, 32))
    tree = {
        "family": "litepose",
        "resolution": [256, 320, 384, 448, 512],
        "stem": [8, 16, 24],
        "stages": [
            {"depth": depth, "width": list(quarter[i]), "kernel": 7, "expand": 6}
            for i, depth in enumerate((6, 8, 10, 10))
        ],
        "head": [{"width": list(choices)} for choices in heads],
    }
    assert Space(tree).size == 245_760


def test_blocks_past_the_depth_do_not_count():
    space = Space.load("litepose-blocks")
    values = space.widest.to_dict()
    values["stages.0.depth"] = 2
    one = space.arch(values)
    other = space.arch({**values, "stages.0.blocks.4.kernel": 3})
    assert one == other
    assert hash(one) == hash(other)
    assert "stages.0.blocks.4.kernel" not in one.to_dict()
    assert "stages.0.blocks.1.kernel" in one.to_dict()


@settings(max_examples=60)
@given(st.sampled_from(SPACES), st.integers(0, 2**32))
def test_moves_stay_inside_and_are_canonical(name, seed):
    space, rng = Space.load(name), random.Random(seed)
    one, other = space.sample(rng), space.sample(rng)
    child, mutant = space.cross(one, other, rng), space.mutate(one, rng)
    neighbours = list(space.neighbours(one))
    assert mutant != one
    assert one not in neighbours
    assert len(set(neighbours)) == len(neighbours)
    for arch in (one, child, mutant, rng.choice(neighbours)):
        assert space.arch(arch.values) == arch == space.arch(arch.to_dict())
        for kind in ("onehot", "ordinal"):
            assert len(space.encode(arch, kind)) >= len(space.genes)
    for gene, value in zip(space.genes, child.values, strict=True):
        parents = one.values[gene.at], other.values[gene.at]
        assert value in parents or None in parents or value is None


def test_crossing_takes_every_gene_from_both_parents():
    space, rng = Space.load("litepose"), random.Random(0)
    children = [space.cross(space.smallest, space.widest, rng) for _ in range(100)]
    for gene in space.genes:
        assert {child.values[gene.at] for child in children} == {gene.choices[0], gene.choices[-1]}, gene.path


def test_sampling_depends_on_the_generator_alone():
    space = Space.load("litepose")
    draw = [space.sample(random.Random(3)) for _ in range(2)]
    random.seed(99)
    assert draw == [space.sample(random.Random(3))] * 2


def test_encodings(nested):
    smallest = nested.smallest
    assert sum(nested.encode(smallest)) == 3  # resolution, depth 0, op; every block's genes are zero
    assert nested.encode(smallest, "ordinal").count(0.0) == len(nested.genes) - 3
    codes = {tuple(nested.encode(arch, kind)) for arch in nested for kind in ("onehot",)}
    assert len(codes) == nested.size
    with pytest.raises(UserError, match="did you mean 'onehot'"):
        nested.encode(smallest, "one-hot")


def test_arch_of_unknown_gene_or_choice_is_refused():
    space = Space.load("litepose-tiny")
    good = space.smallest.to_dict()
    with pytest.raises(UserError, match=r"no gene `stages\.0\.widht`; did you mean 'stages\.0\.width'"):
        space.arch({**good, "stages.0.widht": 8})
    with pytest.raises(UserError, match=r"`stem` is 9; .* offers \[8, 16\]"):
        space.arch({**good, "stem": 9})
    with pytest.raises(UserError, match=r"`stem` is True"):
        space.arch({**good, "stem": True})
    with pytest.raises(UserError, match="`resolution` is missing"):
        space.arch({key: value for key, value in good.items() if key != "resolution"})


def test_input_sizes():
    assert input_size(256) == (256, 256)
    assert input_size("256x192") == (256, 192)
    for wrong in ("256x", "x", "axb", "", "25.6", "1x2x3"):
        with pytest.raises(UserError, match="expected pixels"):
            input_size(wrong)


GOOD = textwrap.dedent("""\
    family: litepose
    resolution: [64, 96]
    stem: [8, 16]
    stages:
    - {depth: [1, 2], width: [8, 16], kernel: 3, expand: 6}
    - {depth: [1, 2], width: [8, 16], kernel: 3, expand: 6}
    - {depth: [1, 2], width: [8, 16], kernel: 3, expand: 6}
    - {depth: [1, 2], width: [8, 16], blocks: {kernel: [3, 5], expand: 6}}
    head:
    - width: 8
    - width: 8
    - width: [8, 16]
    """)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("family: litepose", "family: litepos", r"family: 'litepos' is not one; did you mean 'litepose'"),
        ("resolution: [64, 96]\n", "", r"missing key `resolution`"),
        ("resolution:", "resolutoin:", r"line 2: resolutoin: unknown key .* did you mean 'resolution'"),
        ("width: [8, 16], blocks", "widht: 8, blocks", r"line 8: stages.3: missing key `width`; did you mean 'widht"),
        ("stem: [8, 16]", "stem: [16, 8]", r"line 3: stem: expected rising numbers"),
        ("stem: [8, 16]", "stem: []", r"line 3: stem: expected at least one choice"),
        ("resolution: [64, 96]", "resolution: [64, 96x64]", r"line 2: resolution: expected choices of one kind"),
        ("stem: [8, 16]", "stem: [8, 8]", r"line 3: stem: a choice stands twice"),
        ("stem: [8, 16]", "stem: 8.5", r"line 3: stem: expected a whole number, got 8.5"),
        ("stem: [8, 16]", "stem: yes", r"line 3: stem: expected a whole number, got True"),
        ("stem: [8, 16]", "stem: -8", r"line 3: stem: expected a whole number from 1 to 65536, got -8"),
        ("stem: [8, 16]", "stem: [0, 16]", r"line 3: stem: expected a whole number from 1 to 65536, got 0"),
        ("stem: [8, 16]", "stem: 9999999", r"line 3: stem: expected a whole number from 1"),
        ("stem: [8, 16]", "stem: [thin, wide]", r"line 3: stem: expected a whole number, got 'thin'"),
        ("stem: [8, 16]", "stem: {width: 8}", r"line 3: stem: expected a whole number, got \{'width': 8\}"),
        ("stem: [8, 16]", "stem: [[8], [16]]", r"line 3: stem: expected a whole number, got \[8\]"),
        ("stem: [8, 16]", "stem: &again [*again]", r"line 3: an alias contains itself"),
        ("stem: [8, 16]", "stem: [8, 16]\n2: 3", r"the top level: expected words as keys, got 2"),
        ("stem: [8, 16]", "stem: 2024-13-13", r"not YAML: month"),
        ("stem: [8, 16]", "stem: [8, 16]\nop: [no, add]", r"line 4: op: expected .* quote a word"),
        ("resolution: [64, 96]", "resolution: big", r"line 2: resolution: input size 'big': expected pixels"),
        ("resolution: [64, 96]", "resolution: 0", r"line 2: resolution: input size 0: expected pixels"),
        ("resolution: [64, 96]", "resolution: [96x64, 32x32]", r"line 2: resolution: expected rising sizes"),
        ("kernel: [3, 5], expand: 6", "kernel: [3, 5], expand: 0", r"line 8: stages.3.blocks.0.expand: .*from 1"),
        ("kernel: [3, 5], expand: 6", "kernel: three, expand: 6", r"line 8: stages.3.blocks.0.kernel: expected odd"),
        ("depth: [1, 2], width: [8, 16], b", "depth: [a, c], width: [8, 16], b", r"line 8: stages.3.depth: .*whole"),
        ("depth: [1, 2], width: [8, 16], b", "depth: 9999999, width: [8, 16], b", r"line 8: stages.3.* too large"),
        ("- width: [8, 16]", "- [8, 16]", r"line 12: head.2: expected a mapping, as the first is, got \[8, 16\]"),
        ("- width: 8\n- width: 8\n- width: [8, 16]", "- 8\n- 8\n- 8", r"line 9: head: a choice stands twice"),
        ("- width: 8\n- width: 8\n- width: [8, 16]", "- [8]\n- [8]\n- [8]", r"line 9: head: not what .* expects"),
        ("- width: [8, 16]", "- width: 0", r"line 12: head.2.width: expected a whole number from 1"),
        ("stem: [8, 16]", "stem: [8, 16]\ncolour: [1, 2]", r"line 4: colour: unknown key `colour`"),
        ("kernel: [3, 5], expand: 6", "kernel: [3, 4], expand: 6", r"line 8: stages.3.blocks.0.kernel: expected odd"),
        ("kernel: [3, 5], expand: 6", "kernel: [3, 5], expand: 6, with: 2", r"line 8: .*unknown key `with`"),
        ("depth: [1, 2], width: [8, 16], blocks", "width: [8, 16], blocks", r"stages.3.blocks: expected a mapping"),
        ("{depth: [1, 2], width: [8, 16], b", "{depth: [0, 2], width: [8, 16], b", r"stages.3.depth: .* at least 1"),
        ("- width: 8\n- width: 8\n", "- width: 8\n", r"line 9: head: expected a list of 3, got 2"),
        ("- width: 8\n- width: 8\n- width: [8, 16]\n", "  width: 8\n", r"line 9: head: expected a list of 3, got some"),
        ("stem: [8, 16]", "stem: [8, 16]\nstem: [8, 24]", r"line 4: the key `stem` stands twice"),
        ("stem: [8, 16]", "stem: [8, 16", r"not YAML"),
        ("family: litepose\n", "!!python/object/apply:os.getcwd []\n", r"not YAML"),
    ],
)  # fmt: skip
def test_a_broken_file_is_told_what_is_wrong_where(tmp_path, old, new, message):
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD)
    assert Space.load(str(path)).size > 1
    assert old in GOOD
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(UserError, match=message) as caught:
        Space.load(str(path))
    assert str(path) in str(caught.value)


def test_a_file_that_is_no_mapping_or_not_there(tmp_path):
    path = tmp_path / "list.yaml"
    for text in ("", "- 1", "word", "\x00"):
        path.write_text(text)
        with pytest.raises(UserError, match=r"list\.yaml: "):
            Space.load(str(path))
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not YAML"):
        Space.load(str(path))
    with pytest.raises(UserError, match="no such file"):
        Space.load(str(tmp_path / "none.yaml"))
    with pytest.raises(UserError, match="did you mean 'litepose'"):
        Space.load("litepos")
