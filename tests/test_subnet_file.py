"""Architectures on disk: our subnet.json, LitePose's own JSON, the published ones, and files that are none of these."""

import copy
import json
import os
import random
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from litepose_nas import Space, UserError, cost
from litepose_nas.formats import subnet_file as sf
from litepose_nas.resolve import published, resolve
from tests.helpers.odd_json import TREES, changed, places

# name: (image, stem, stage widths, head widths), then for 14 and 17 joints: parameters, MACs, MACs as the paper counts
PUBLISHED = {
    "litepose-xs": (
        (256, 16, (16, 32, 48, 80), (16, 24, 24)),
        (1_675_552, 882_892_800, 1_202_266_112),
        (1_675_912, 885_841_920, 1_205_215_232),
    ),
    "litepose-s": (
        (448, 16, (16, 32, 48, 120), (32, 24, 32)),
        (2_731_240, 3_614_139_648, 4_981_285_120),
        (2_731_624, 3_624_375_552, 4_991_521_024),
    ),
    "litepose-m": (
        (448, 16, (24, 48, 72, 120), (64, 40, 32)),
        (3_533_808, 5_263_675_648, 7_841_568_000),
        (3_534_336, 5_275_717_888, 7_853_610_240),
    ),
    "litepose-l": (
        (512, 24, (24, 64, 96, 160), (64, 40, 32)),
        (5_738_120, 9_961_996_288, 13_713_080_320),
        (5_738_672, 9_979_297_792, 13_730_381_824),
    ),
    "litepose-prune-s": (
        (512, 16, (16, 32, 48, 80), (32, 24, 16)),
        (1_709_032, 3_485_958_144, 4_685_004_800),
        (1_709_368, 3_496_181_760, 4_695_228_416),
    ),
    "litepose-prune-m": (
        (512, 24, (24, 48, 72, 120), (48, 40, 24)),
        (3_472_064, 6_848_528_384, 9_547_169_792),
        (3_472_592, 6_864_257_024, 9_562_898_432),
    ),
    "litepose-prune-l": (
        (512, 24, (32, 64, 96, 160), (64, 48, 32)),
        (5_812_744, 10_895_425_536, 15_279_783_936),
        (5_813_392, 10_914_299_904, 15_298_658_304),
    ),
}


def litepose_json(image=256, stem=16, widths=(16, 32, 48, 80), head=(16, 24, 24), depths=(6, 8, 10, 10)):
    stages = [
        {"num_blocks": depth, "stride": stride, "channel": width, "block_setting": [[6, 7]] * depth}
        for depth, stride, width in zip(depths, (2, 2, 2, 1), widths, strict=True)
    ]
    return {"img_size": image, "input_channel": stem, "deconv_setting": list(head), "backbone_setting": stages}


def stage(data, i, **changes):
    data = copy.deepcopy(data)
    data["backbone_setting"][i].update(changes)
    return data


def saved(tmp_path, data, name="net.json"):
    path = tmp_path / name
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


def test_the_table_is_all_there_is():
    assert [name for name in published() if name.startswith("litepose-")] == sorted(PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_costs_to_the_unit(name):
    (image, stem, widths, head), *rows = PUBLISHED[name]
    data = json.loads(resolve_path(name).read_text())
    for joints, (params, macs, macs_litepose) in zip((14, 17), rows, strict=True):
        subnet = resolve(name, joints).subnet
        assert (subnet.joints, subnet.input) == (joints, (image, image))
        counted = cost(subnet.arch, joints=joints)
        assert (counted.params, counted.macs, counted.macs_litepose) == (params, macs, macs_litepose)
        assert data["cost_by_joints"][str(joints)] == counted._asdict() == subnet.cost._asdict()
        if joints == data["joints"]:
            assert data["cost"] == counted._asdict()
    tree = resolve(name).subnet.arch.tree
    assert (tree.stem, tuple(s.width for s in tree.stages)) == (stem, widths)
    assert [(s.depth, s.kernel, s.expand) for s in tree.stages] == [(d, 7, 6) for d in (6, 8, 10, 10)]
    assert tuple(part.width for part in tree.head) == head
    assert data["source"]["network"].lower().replace("search-", "") == name.removeprefix("litepose-")


def resolve_path(name):
    from litepose_nas import resources

    return resources.find(name, "mobile_configs", ".json")


@pytest.mark.parametrize("name", PUBLISHED)
def test_litepose_json_of_a_published_net_is_that_net(name, tmp_path):
    image, stem, widths, head = PUBLISHED[name][0]
    path = saved(tmp_path, litepose_json(image, stem, widths, head))
    assert resolve(path, 14).subnet.arch == resolve(name).subnet.arch
    assert resolve(path).subnet.joints == 17


@pytest.mark.parametrize("space", ["litepose", "litepose-blocks", "litepose-tiny"])
def test_round_trip(space, tmp_path):
    space, rng = Space.load(space), random.Random(0)
    for i in range(4):
        subnet = sf.Subnet(space.sample(rng), 5 + i, {"score": 0.5, "source": {"run": "x"}})
        sf.write(tmp_path / "subnet.json", subnet)
        assert sf.read(tmp_path / "subnet.json") == subnet
        assert "space_tree" not in json.loads((tmp_path / "subnet.json").read_text())
    assert os.listdir(tmp_path) == ["subnet.json"]


@pytest.fixture
def written(tmp_path):
    """Return the path of a subnet.json."""
    subnet = sf.Subnet(Space.load("litepose-tiny").smallest, 5, {"score": {"ap": 0.5}, "seed": 0})
    sf.write(tmp_path / "subnet.json", subnet)
    return tmp_path / "subnet.json"


def test_any_flipped_bit_is_refused_or_changes_nothing(written):
    whole, subnet = written.read_bytes(), sf.read(written)
    start = whole.index(b'"sum"')
    for place in {*range(start - 3, start + 20), *range(0, len(whole), 5)}:
        for bit in range(8) if start - 3 <= place < start + 20 else [place % 7]:
            written.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
            try:
                assert sf.read(written) == subnet, (place, bit)
            except UserError as error:
                assert str(written) in str(error)  # noqa: PT017


def test_who_edits_it_takes_the_sum_away(written):
    text = written.read_text()
    edited = text.replace('"joints": 5', '"joints": 6')
    written.write_text(edited)
    with pytest.raises(UserError, match=r"sum is that of other contents; .* if you have edited it, remove the line"):
        sf.read(written)
    written.write_text("".join(line for line in edited.splitlines(keepends=True) if '"sum"' not in line))
    assert sf.read(written).joints == 6
    written.write_text(json.dumps(json.loads(text), sort_keys=True))  # said in other bytes
    assert sf.read(written).joints == 5


def test_the_sum_is_no_part_of_what_is_known_of_a_network(written):
    assert "sum" not in sf.read(written).info
    before = written.read_bytes()
    sf.write(written, sf.read(written))
    assert written.read_bytes() == before


def test_a_space_of_ones_own_goes_along(tmp_path):
    tree = json.loads(Space.load("litepose-tiny").source)
    tree["stem"] = [8, 12]
    space = Space(tree, name="mine")
    subnet = sf.Subnet(space.widest, 3)
    sf.write(tmp_path / "subnet.json", subnet)
    again = sf.read(tmp_path / "subnet.json")
    assert again.arch == subnet.arch
    assert again.arch.space.name == "mine"


def test_a_kernel_of_each_block_is_a_point_of_the_space_by_blocks(tmp_path):
    data = litepose_json()
    data["backbone_setting"][1]["block_setting"] = [[6, 7], [3, 5]] * 4
    arch = sf.read(saved(tmp_path, data)).arch
    assert arch.space == Space.load("litepose-blocks")
    blocks = [part.block for part in arch.plan(17) if part.name.startswith("stages.1.")]
    assert [block.kernel for block in blocks] == [7, 5] * 4
    assert [block.mid for block in blocks] == [16 * 6, 32 * 3] + [32 * 6, 32 * 3] * 3


def test_other_numbers_make_a_space_of_their_own(tmp_path):
    data = litepose_json(image=300, stem=20, widths=(18, 30, 44, 100), head=(10, 20, 30), depths=(1, 2, 3, 12))
    data["backbone_setting"][3]["block_setting"][4] = [2, 13]
    subnet = sf.read(saved(tmp_path, data), 3)
    assert subnet.arch.space.name == "litepose-own"
    assert subnet.input == (300, 300)
    by_name = {part.name: part.block for part in subnet.arch.plan(3)}
    assert by_name["stem"].cout == 20
    assert by_name["stages.3.4"][:4] == (100, 200, 100, 13)
    assert by_name["stages.3.5"][:4] == (100, 600, 100, 7)
    assert "stages.3.11" in by_name
    assert "stages.3.12" not in by_name
    assert [by_name[f"head.fuse.{i}"].cout for i in range(3)] == [10, 20, 30]
    sf.write(tmp_path / "own.json", subnet)
    assert sf.read(tmp_path / "own.json").arch == subnet.arch


GOOD = litepose_json()
REFUSED = {
    "stride": (stage(GOOD, 3, stride=2), "backbone_setting.3.stride: expected 1, got 2"),
    "residual": (stage(GOOD, 3, channel=48), "stages 3 and 4 both have 48"),
    "blocks": (stage(GOOD, 0, num_blocks=5), "block_setting: expected a list of 5"),
    "stages": ({**GOOD, "backbone_setting": GOOD["backbone_setting"][:3]}, "expected a list of 4 stages, got 3"),
    "deconvs": ({**GOOD, "deconv_setting": [16, 24]}, "deconv_setting: expected a list of 3"),
    "pair": (stage(GOOD, 0, block_setting=[[6, 7]] * 5 + [[6]]), "block_setting.5: expected a list of 2"),
    "float": ({**GOOD, "img_size": 256.0}, "img_size: expected a whole number"),
    "bool": ({**GOOD, "input_channel": True}, "input_channel: expected a whole number"),
    "negative": ({**GOOD, "deconv_setting": [16, -24, 24]}, "deconv_setting.1: expected a whole number"),
    "huge": (stage(GOOD, 1, channel=10**30), "backbone_setting.1.channel: expected a whole number"),
    "even": (stage(GOOD, 2, block_setting=[[6, 4]] * 10), "expected an odd kernel size, got 4"),
    "word": ({**GOOD, "backbone_setting": "four"}, "backbone_setting: expected a list of 4 stages, got 'four'"),
    "not a stage": ({**GOOD, "backbone_setting": [1, 2, 3, 4]}, "backbone_setting.0: expected a mapping"),
    "misspelt": ({"imgsize": 256, **{k: v for k, v in GOOD.items() if k != "img_size"}}, "did you mean 'imgsize'"),
    "too big": (litepose_json(widths=(8000, 8000, 8000, 8001)), "no pose network"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_litepose_json_cannot_say(case, tmp_path):
    data, reason = REFUSED[case]
    path = saved(tmp_path, data)
    with pytest.raises(UserError) as error:
        sf.read(path)
    assert reason in str(error.value)
    assert str(path) in str(error.value)


OURS = sf.Subnet(Space.load("litepose-tiny").smallest, 5).to_json()
TINY = json.loads(Space.load("litepose-tiny").source)


def without(key):
    return {name: value for name, value in OURS.items() if name != key}


HOSTILE = {
    "empty": ("", "empty; expected"),
    "cut": ('{\n "arch": {\n', "line 3"),
    "list": ("[1, 2]", "expected a subnet.json"),
    "number": ("7", "expected a subnet.json"),
    "null": ("null", "expected a subnet.json"),
    "nothing known": ({"a": 1}, "missing key `schema_version`"),
    "nan": ('{"img_size": NaN}', "NaN is not JSON"),
    "twice": ('{"arch": 1, "arch": 2}', "'arch' stands twice"),
    "digits": ('{"joints": ' + "9" * 10_000 + "}", "not usable JSON"),
    "deep": ("[" * 200_000, "not"),
    "half a character": ('{"arch": "\\ud800"}', "not usable JSON"),
    "large": (" " * (1 << 20) + "{}", "larger than 1 MB"),
    "no arch": (without("arch"), "missing key `arch`"),
    "misspelt key": ({**without("joints"), "jonits": 5}, "did you mean 'jonits'"),
    "version": ({**OURS, "schema_version": 9}, "schema_version is 9"),
    "space": ({**OURS, "space": "litepos"}, "did you mean 'litepose'"),
    "space is a path": ({**OURS, "space": "/etc/passwd"}, "'/etc/passwd' is not one"),
    "space is a list": ({**OURS, "space": []}, "space: expected the name"),
    "arch is a list": ({**OURS, "arch": [1]}, "arch: expected a map"),
    "gene": ({**OURS, "arch": {**OURS["arch"], "stemm": 8}}, "did you mean 'stem'"),
    "value": ({**OURS, "arch": {**OURS["arch"], "stem": 9}}, "`stem` is 9"),
    "value is a map": ({**OURS, "arch": {**OURS["arch"], "stem": {}}}, "`stem` is {}"),
    "huge value": ({**OURS, "arch": {**OURS["arch"], "stem": 10**99}}, "arch: expected a map"),
    "no value": ({**OURS, "arch": {}}, "`resolution` is missing"),
    "joints": ({**OURS, "joints": 0}, "joints: expected a whole number"),
    "many joints": ({**OURS, "joints": 10**9}, "joints: expected a whole number"),
    "input": ({**OURS, "input": [1, 1]}, "input is [1, 1]"),
    "tree": ({**OURS, "space_tree": 5}, "space_tree: expected a mapping"),
    "tree of nothing": ({**OURS, "space_tree": {}}, "space_tree: "),
    "endless depth": ({**OURS, "space_tree": {"depth": 10**9, "blocks": {"kernel": 3}}}, "too large"),
    "deep depths": (
        {**OURS, "space_tree": {"depth": 64, "blocks": {"depth": 64, "blocks": {"depth": 64, "blocks": []}}}},
        "too large",
    ),
    "words for numbers": ({**OURS, "space_tree": {**TINY, "stem": ["a", "b"]}}, "stem: expected a whole number"),
    "no stages": ({**OURS, "space_tree": {**TINY, "stages": [1, 2, 3, 4]}}, "space_tree"),
    "mapped stem": ({**OURS, "space_tree": {**TINY, "stem": {"a": 1}}}, "space_tree"),
    "bad resolution": ({**OURS, "space_tree": {**TINY, "resolution": "²"}, "arch": {}}, "expected pixels"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_broken_and_hostile_files(case, tmp_path):
    data, reason = HOSTILE[case]
    path = saved(tmp_path, data)
    with pytest.raises(UserError) as error:
        sf.read(path)
    assert reason in str(error.value)
    assert str(path) in str(error.value)
    assert len(str(error.value)) < 2000


def test_a_resolution_that_is_no_size(tmp_path):
    tree = {**TINY, "resolution": "²"}
    arch = {path: value for path, value in OURS["arch"].items() if path != "resolution"}
    path = saved(tmp_path, {**OURS, "space_tree": tree, "arch": arch})
    with pytest.raises(UserError, match="expected pixels"):
        sf.read(path)


def test_not_text_and_not_there(tmp_path):
    path = tmp_path / "net.json"
    path.write_bytes(b'{\n"a": "\xff\xfe"}')
    with pytest.raises(UserError, match="line 2: not text"):
        sf.read(path)
    for missing in (tmp_path / "none.json", tmp_path, "a\0b"):
        with pytest.raises(UserError, match="cannot be read"):
            sf.read(missing)


def test_info_may_not_pose_as_the_file_itself(tmp_path):
    with pytest.raises(UserError, match="`cost` of `info`"):
        sf.write(tmp_path / "subnet.json", sf.Subnet(Space.load("litepose-tiny").smallest, 5, {"cost": {}}))
    assert not os.listdir(tmp_path)


def test_targets(tmp_path):
    with pytest.raises(UserError, match="did you mean 'litepose-xs'"):
        resolve("litepose-xz")
    with pytest.raises(UserError, match="a folder; accepted"):
        resolve(tmp_path)
    with pytest.raises(UserError, match="no such file"):
        resolve(tmp_path / "net.json")
    (tmp_path / "net.pth").write_bytes(b"PK")
    with pytest.raises(UserError, match="litepose-nas import"):
        resolve(tmp_path / "net.pth")
    for joints in (0, -1, 10**9):
        with pytest.raises(UserError, match="joints: expected a whole number"):
            resolve("litepose-xs", joints)


def test_targets_need_no_torch(tmp_path):
    path = saved(tmp_path, GOOD)
    code = (
        "import sys; from litepose_nas.resolve import resolve; resolve('litepose-xs', 14).subnet.cost; "
        f"resolve({str(path)!r}); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


QUICK = settings(max_examples=40)


@QUICK
@given(data=st.data(), junk=TREES)
@pytest.mark.parametrize("whole", [GOOD, {**OURS, "space_tree": TINY}], ids=["theirs", "ours"])
def test_junk_anywhere_is_read_or_refused(whole, data, junk):
    mixed = changed(whole, data.draw(st.sampled_from(places(whole))), "replace", junk)
    try:
        subnet = sf.from_json(json.loads(json.dumps(mixed)), "junk")
    except UserError as error:
        message = str(error)
    else:
        assert subnet.cost.macs > 0
        return
    assert message.startswith("junk")


@QUICK
@given(text=st.text(max_size=40) | st.sampled_from(['{"', "{}", "[]", '{"img_size":', "\ufeff{}"]))
def test_any_text_is_refused(text, tmp_path):
    path = tmp_path / "net.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(UserError, match=r"net\.json"):
        sf.read(path)
