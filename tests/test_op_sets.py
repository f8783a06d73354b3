"""Op sets: what a target can run, against what torch runs; what is left of a space, against a look at all of it."""

import itertools
import random
from collections import Counter

import numpy as np
import pytest

from litepose_nas import Space, UserError, costs, resources
from litepose_nas.blocks.graph import ACTIVATIONS
from litepose_nas.resolve import published, resolve
from litepose_nas.search.encoding import Genome
from litepose_nas.targets import op_set_file, reachable
from litepose_nas.targets.op_set import UNSUPPORTED, KernelRule, OpCounter, OpSet
from tests.helpers.executed import executed

SPACES = resources.names("search_spaces", ".yaml")
SHIPPED = resources.names("op_sets", ".yaml")
JOINTS = 17
GIVEN = (3, JOINTS, 2 * JOINTS)
KINDS = {"convolution": "conv", "depthwise": "conv", "transposed": "deconv"}


def one_rule_each():
    """Op sets of a single rule."""
    for kind in KINDS:
        yield OpSet(kind, **{kind: KernelRule(runs=False)})
        yield OpSet(f"{kind}-largest", **{kind: KernelRule(largest=4)})
        yield OpSet(f"{kind}-kernels", **{kind: KernelRule(kernels=(1, 2, 3, 7))})
        if kind != "depthwise":
            yield OpSet(f"{kind}-grouped", **{kind: KernelRule(grouped=False)})
    for word in ACTIVATIONS:
        yield OpSet(f"no-{word}", activations=tuple(each for each in ACTIVATIONS if each != word))
    yield OpSet("attention", attention=False)
    yield from (OpSet(f"channels-{number}", channels=number) for number in (8, 16, 5))


def breaks(op_set, ran):
    """How often one operation that torch ran breaks the rules, worked out from the words of the rules alone."""
    count = 0
    for kind, ran_as in KINDS.items():
        rule = getattr(op_set, kind)
        if ran.kind != ran_as or (ran.kind == "conv" and ran.depthwise != (kind == "depthwise")):
            continue
        if not rule.runs:
            count += 1
            continue
        count += bool(rule.kernels) and ran.kernel not in rule.kernels
        count += bool(rule.largest) and ran.kernel > rule.largest
        count += not rule.grouped and ran.groups > 1
    if ran.kind in ACTIVATIONS and op_set.activations is not None:
        count += ran.kind not in op_set.activations
    count += ran.kind == "attention" and not op_set.attention
    if ran.kind in ("conv", "deconv", "linear"):
        count += sum(channels % op_set.channels != 0 and channels not in GIVEN for channels in (ran.cin, ran.cout))
    return count


def drawn(space, number, seed=0):
    rng = random.Random(seed)
    return [space.smallest, space.widest, *(space.sample(rng) for _ in range(number))]


def check_what_torch_runs(archs):
    """Counts of convolutions and channels are exact; of attention and activations, whether there are any."""
    sets = [*one_rule_each(), *map(op_set_file.load, SHIPPED)]
    for arch in archs:
        ran = Counter(executed(arch, JOINTS))
        for op_set in sets:
            mine, torchs = op_set.broken(arch), sum(breaks(op_set, each) * n for each, n in ran.items())
            exact = op_set.attention and op_set.activations is None
            found = (mine, torchs) if exact else (mine > 0, torchs > 0)
            assert found[0] == found[1], (op_set.name, str(arch), op_set.violations(arch)[:3])


@pytest.mark.parametrize("name", SPACES)
def test_what_is_broken_is_what_torch_runs(name):
    space = Space.load(name)
    check_what_torch_runs([space.smallest, space.sample(random.Random(0))])


@pytest.mark.slow
@pytest.mark.parametrize("name", SPACES)
def test_what_is_broken_is_what_torch_runs_in_many(name):
    check_what_torch_runs(drawn(Space.load(name), 12, seed=1))


@pytest.mark.parametrize("name", SPACES)
def test_columns_count_as_one_by_one(name):
    space = Space.load(name)
    genome = Genome(space)
    rows = genome.draw(24, np.random.default_rng(1), 3.0)
    for op_set in (*map(op_set_file.load, SHIPPED), OpSet("mixed", depthwise=KernelRule(kernels=(3, 7)), channels=16)):
        many = costs.columns(space, JOINTS, [OpCounter(op_set, JOINTS)])(rows)
        alone = [op_set.broken(genome.arch(row)) for row in rows]
        assert many[UNSUPPORTED].tolist() == alone, op_set.name
        assert np.array_equal(many["macs"], costs.columns(space, JOINTS)(rows)["macs"])


def test_heatmaps_of_any_skeleton_keep_the_channels():
    space = Space.load("topdown-tiny")
    op_set = OpSet("eights", channels=8)
    assert not op_set.violations(space.widest)
    for joints in (5, 14, 17, 133):
        counter = OpCounter(op_set, joints)
        assert sum(int(counter.counts(part.block.ops(8, 8))[0]) for part in space.widest.plan(joints)) == 0


# ── the files ──


def test_shipped_op_sets_say_where_they_come_from():
    assert {"xnnpack", "tensorrt-dla", "tensor-cores"} <= set(SHIPPED)
    for name in SHIPPED:
        op_set = op_set_file.load(name)
        assert "Read there:" in op_set.document
        assert op_set.about
        assert op_set.rules(JOINTS)
        assert op_set.name == name
    assert op_set_file.load("xnnpack").depthwise == KernelRule(largest=5)


def test_the_digest_is_of_the_rules_alone():
    one = OpSet("a", "about", depthwise=KernelRule(largest=5))
    assert one.sha256 == one._replace(name="b", about="", document="c").sha256
    others = [OpSet("a", depthwise=KernelRule(largest=7)), OpSet("a", convolution=KernelRule(largest=5)), OpSet("a")]
    assert len({each.sha256 for each in (one, *others, *one_rule_each())}) == 4 + len(list(one_rule_each()))


def test_published_litepose_runs_on_xnnpack_in_no_form():
    xnnpack = op_set_file.load("xnnpack")
    nets = [name for name in published() if name.startswith("litepose-")]
    assert len(nets) >= 7
    for name in nets:
        arch = resolve(name).subnet.arch
        found = xnnpack.violations(arch)
        large = [part for part in arch.plan(JOINTS) if getattr(part.block, "kernel", 0) > 5]
        assert {each.part for each in found} == {part.name for part in large} != set()
        assert all("depthwise convolution" in each.operation for each in found)
    assert not xnnpack.violations(resolve("mobilevitpose-xs").subnet.arch)


WRONG = {
    "dephtwise: {largest: 5}": "line 1: dephtwise: unknown key `dephtwise`; did you mean 'depthwise'?",
    "depthwise: {largets: 5}": "unknown key `largets`; did you mean 'largest'?",
    "depthwise: {grouped: false}": "unknown key `grouped`",
    "depthwise: 5": "expected false, or a mapping with kernels, largest or grouped, got 5",
    "depthwise: {largest: 0}": "from 1 to 99, got 0",
    "depthwise: {largest: true}": "from 1 to 99, got True",
    "depthwise: {kernels: 5}": r"such as \[1, 3, 5\], got 5",
    "depthwise: {kernels: []}": r"such as \[1, 3, 5\], got \[\]",
    "depthwise: {kernels: [3, x]}": "got 'x'",
    "convolution: {grouped: 0}": "convolution.grouped: expected true or false, got 0",
    "activations: relu": "expected a list of relu, ",
    "activations: [swish]": "did you mean 'hswish'",
    "activations: [{a: 1}]": "is none that networks here have",
    "attention: none": "attention: expected true or false, got 'none'",
    "channels: 1.5": "from 1 to 1024, got 1.5",
    "about: [1]\nchannels: 8": "about: expected text",
    "about: everything": "it forbids nothing",
    "channels: 1": "it forbids nothing",
    "channels: 8\nchannels: 16": "line 2: the key `channels` stands twice",
    "[1, 2]": "expected a mapping with what a target can run",
    "": "expected a mapping",
    "a: [": "not YAML",
    "1: 2": "unknown key `1`",
    "depthwise: &a {kernels: [*a]}": "line 1: an alias contains itself",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_file_is_one_message_with_its_name(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=WRONG[text]) as caught:
        op_set_file.load(str(path))
    assert "mine.yaml" in str(caught.value)


def test_an_unknown_name_is_told():
    with pytest.raises(UserError, match="did you mean 'xnnpack'"):
        op_set_file.load("xnpack")


# ── what is left ──


def everything(space):
    return list(space)


SMALL = {
    "family": "simple_topdown", "resolution": ["64x48"], "stem": [8, 12],
    "stages": [
        {"depth": [1, 2], "width": [16, 20], "blocks": {"kernel": [3, 5, 7], "expand": 2}},
        {"depth": 1, "width": [24, 30], "kernel": [3, 9], "expand": [1, 4]},
        {"depth": 1, "width": 32, "kernel": 3, "expand": 2},
    ],
    "head": [{"width": 16}, {"width": 24}],
}  # fmt: skip


@pytest.mark.parametrize(
    "op_set",
    [
        OpSet("fives", depthwise=KernelRule(largest=5)),
        OpSet("fours", channels=4),
        OpSet("eights", channels=8),
        OpSet("threes", depthwise=KernelRule(kernels=(3, 9)), channels=4),
        OpSet("all", depthwise=KernelRule(largest=9)),
    ],
    ids=lambda op_set: op_set.name,
)
def test_what_is_left_is_what_a_look_at_every_network_finds(op_set):
    space = Space(SMALL, "small")
    runs = [arch for arch in everything(space) if not op_set.broken(arch)]
    found = reachable.reachable(space, op_set)
    for gene in space.genes:
        kept = {arch.values[gene.at] for arch in runs} - {None}
        assert set(found.choices(gene.path)) == kept, gene.path
    for part in everything(found.space):
        assert found.space.arch(found.of_whole(part).to_dict()) == part
    assert {found.of_whole(part) for part in everything(found.space)} >= set(runs)
    assert not op_set.broken(found.anchor)
    least, most = reachable.ends(found, op_set, lambda arch: costs.cost(arch).macs)
    macs = sorted(costs.cost(arch).macs for arch in runs)
    assert [costs.cost(arch).macs for arch in (least, most)] == [macs[0], macs[-1]]


def test_a_gate_closes_where_nothing_behind_it_runs():
    """Without attention DaViT is gone: every mask that keeps a block of it, whatever the order in the block."""
    found = reachable.reachable(Space.load("hrnet_davit"), OpSet("convolutions", attention=False))
    assert found.choices("davit.mask") == ("0000",)
    assert ("davit.mask", "1000") in found.cut
    for part in itertools.islice(drawn(found.space, 3), 5):
        assert not OpSet("convolutions", attention=False).broken(part)


@pytest.mark.parametrize(
    ("name", "op_set", "words"),
    [
        ("litepose", op_set_file.load("tensorrt-dla"), r"head.fuse.0 \(FusionDeconv\): deconvolution 4x4, .* channels, "
         r"then relu; the rule is `transposed.kernels: \[2\]`; no choice changes that"),
        ("levitpose", OpSet("plain", attention=False), "the rule is `attention: false`; that is with stages"),
        ("s_vipnas_mbv3", OpSet("old", activations=("relu", "gate")), r"stem \(StemConv\): .*, then hswish"),
        ("t_vipnas", op_set_file.load("mdla-2"), r"key.stages.0.0 \(GroupedBottleneck\): grouped convolution 3x3"),
    ],
)  # fmt: skip
def test_where_nothing_is_left_one_message_says_what_no_choice_can_keep(name, op_set, words):
    with pytest.raises(UserError, match=words) as caught:
        reachable.reachable(Space.load(name), op_set)
    assert f"op set {op_set.name} runs no {name} network" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_choices_that_only_fail_together_are_told(monkeypatch):
    monkeypatch.setattr(reachable, "_doomed", lambda space, op_set: {})  # as if each choice alone could be kept
    with pytest.raises(
        UserError,
        match=r"no litepose-tiny network was found that it runs; each choice alone .* The nearest breaks 6: head",
    ):
        reachable.reachable(Space.load("litepose-tiny"), op_set_file.load("tensorrt-dla"))


def test_a_part_of_a_space_has_the_same_genes():
    for name in SPACES:
        space = Space.load(name)
        half = {gene.path: gene.choices[: (len(gene.choices) + 1) // 2] for gene in space.genes}
        part = space.restricted(half)
        paths = {gene.path for gene in part.genes}
        assert paths <= {gene.path for gene in space.genes}
        assert all(gene.choices == tuple(half[gene.path]) for gene in part.genes)
        rng = random.Random(3)
        for _ in range(5):
            arch = part.sample(rng)
            whole = space.arch(arch.to_dict())
            assert whole.to_dict() == arch.to_dict()
            assert whole.plan(JOINTS) == arch.plan(JOINTS)
        assert part.restricted({}) == part
