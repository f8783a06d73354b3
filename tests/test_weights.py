"""Our own files of weights: what goes in comes out, and nothing else is taken for one."""

import json
import os
import random
import re
import struct

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from litepose_nas import Space, Supernet, UserError, build, extract
from litepose_nas.formats.subnet_file import Subnet
from litepose_nas.formats.tensor_file import read_header
from litepose_nas.resolve import METADATA, SUPERNET_METADATA, resolve
from litepose_nas.weights import load, load_supernet, save, save_supernet

TINY = Space.load("litepose-tiny")
SUBNET = Subnet(TINY.smallest, 5, {"score": 0.25})


def net_of(subnet, seed=0):
    torch.manual_seed(seed)
    net = build(subnet.arch, subnet.joints)
    for tensor in net.buffers():
        tensor.copy_(torch.rand_like(tensor) + 0.5 if tensor.is_floating_point() else torch.tensor(7))
    return net


@pytest.fixture
def path(tmp_path):
    save(net_of(SUBNET), tmp_path / "net.safetensors", SUBNET)
    return tmp_path / "net.safetensors"


def same_state(one, other):
    one, other = one.state_dict(), other.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_network_comes_back(path):
    net = load(path)
    assert same_state(net, net_of(SUBNET))
    assert net.meta == json.loads(json.dumps(SUBNET.to_json()))
    assert not net.training
    assert all(param.requires_grad for param in net.parameters())
    assert os.listdir(path.parent) == ["net.safetensors"]
    x = torch.rand(1, 3, 64, 64)
    assert all(torch.equal(a, b) for a, b in zip(net(x), net_of(SUBNET).eval()(x), strict=True))


def test_a_target_with_weights(path):
    found = resolve(path)
    assert (found.subnet, found.weights) == (SUBNET, path)
    assert resolve(str(path), 5).weights == path
    other = resolve(path, 17)  # its weights are for 5 joints
    assert (other.subnet.joints, other.weights) == (17, None)


def test_half_precision_comes_back_as_single(path):
    state = {name: t.half() if t.is_floating_point() else t for name, t in net_of(SUBNET).state_dict().items()}
    save(state, path, SUBNET)
    assert {t.dtype for t in load(path).parameters()} == {torch.float32}


def test_windows_can_be_saved(tmp_path):
    supernet = Supernet(TINY, 5)
    arch = TINY.sample(random.Random(3))
    save(supernet.subnet(arch), tmp_path / "w.safetensors", Subnet(arch, 5))
    assert same_state(load(tmp_path / "w.safetensors"), extract(supernet, arch))


def test_weights_of_another_network_are_not_saved(tmp_path):
    with pytest.raises(UserError, match=r"head\.out\.0\.refined\.project\.weight is \(10, .*not \(12"):
        save(net_of(SUBNET), tmp_path / "net.safetensors", SUBNET._replace(joints=6))
    with pytest.raises(UserError, match=r"no stages\.0\.1\..* and \d+ more"):
        save(net_of(SUBNET), tmp_path / "net.safetensors", Subnet(TINY.widest, 5))
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("maps", [False, True])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_supernet_comes_back(maps, layout, tmp_path):
    tree = json.loads(TINY.source)
    space = Space({**tree, "stem": [8, 12]}, name="mine")
    torch.manual_seed(1)
    supernet = Supernet(space, 3, kernel_maps=maps, memory_format=layout)
    supernet.store.flat.normal_()
    save_supernet(supernet, tmp_path / "s.safetensors")
    again = load_supernet(tmp_path / "s.safetensors", memory_format=layout)
    assert (again.space, again.space.name, again.joints, again.kernel_maps) == (space, "mine", 3, maps)
    assert [gene.path for gene in again.space.genes] == [gene.path for gene in space.genes]
    one, other = supernet.store.state_dict(), again.store.state_dict()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    arch = space.sample(random.Random(0))
    assert same_state(extract(again, arch), extract(supernet, arch))
    with pytest.raises(UserError, match="a supernet, not one network"):
        load(tmp_path / "s.safetensors")


def test_a_network_is_no_supernet(path):
    with pytest.raises(UserError, match="one network, not a supernet"):
        load_supernet(path)


def without_digest(metadata):
    """As files were before they had one, and a sum."""
    return {key: re.sub(r', "(digest|sum)": "\w+"', "", text) for key, text in metadata.items()}


def rewritten(path, metadata=None, change=lambda state: state):
    with_text = read_header(path).metadata if metadata is None else metadata
    save_file(change(load_file(path)), path, without_digest(with_text))
    return path


def test_foreign_and_mistaken_files(path):
    subnet = SUBNET.to_json()
    first = "stem.conv.conv.weight"
    cases = {
        "no metadata that says": ({}, lambda s: s),
        "metadata.*line 1": ({METADATA: "{"}, lambda s: s),
        "joints: expected": ({METADATA: json.dumps({**subnet, "joints": 10**9})}, lambda s: s),
        "not the tensors of the network": ({METADATA: json.dumps({**subnet, "joints": 6})}, lambda s: s),
        f"no {first}": (None, lambda s: {name: t for name, t in s.items() if name != first}),
        "unknown 'more'": (None, lambda s: {**s, "more": torch.ones(1)}),
        rf"{first} is \(1,\), not \(32, 3, 3, 3\)": (None, lambda s: {**s, first: torch.ones(1)}),
        "holds torch.int32, expected torch.float32": (None, lambda s: {**s, first: s[first].int()}),
    }
    whole = path.read_bytes()
    for reason, (metadata, change) in cases.items():
        path.write_bytes(whole)
        with pytest.raises(UserError, match=reason) as error:
            load(rewritten(path, metadata, change))
        assert str(path) in str(error.value)


def test_mistaken_supernets(tmp_path):
    path = tmp_path / "s.safetensors"
    save_supernet(Supernet(TINY, 3), path)
    data = json.loads(read_header(path).metadata[SUPERNET_METADATA])
    huge = json.loads(TINY.source)
    huge["stages"][3]["width"] = [8000]
    cases = {
        "not a supernet": None,
        "metadata: empty": "",
        "expected a mapping with the keys": "[]",
        "fewer weights in it": json.dumps({**data, "space_tree": huge}),
        "by another version": json.dumps({**data, "schema_version": 2}),
        "this program, or damaged": json.dumps({**data, "kernel_maps": "yes"}),
        "joints: expected": json.dumps({**data, "joints": "3"}),
        "not the tensors": json.dumps({**data, "joints": 2}),
        "space_tree: ": json.dumps({**data, "space_tree": {"family": "litepose"}}),
    }
    whole = path.read_bytes()
    for reason, text in cases.items():
        path.write_bytes(whole)
        rewritten(path, {} if text is None else {SUPERNET_METADATA: text})
        with pytest.raises(UserError, match=reason):
            load_supernet(path)


def header(text, length=None):
    raw = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw


DAMAGED = {
    "empty": b"",
    "short": b"\1\2\3",
    "endless": header("{}", 2**63),
    "longer than the file": header("{}", 3),
    "nothing": header(""),
    "not text": header(b"\xff\xff\xff"),
    "not json": header("{'a'}"),
    "a list": header("[1]"),
    "deep": header("[" * 100_000),
    "numbers in the metadata": header('{"__metadata__": {"a": 1}}'),
    "no shape": header('{"a": {"dtype": "F32"}}'),
    "a negative shape": header('{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}'),
}


@pytest.mark.parametrize("case", DAMAGED)
@pytest.mark.parametrize("reader", [load, load_supernet, resolve])
def test_damaged_heads(case, reader, tmp_path):
    path = tmp_path / "net.safetensors"
    path.write_bytes(DAMAGED[case])
    with pytest.raises(UserError, match=r"net\.safetensors"):
        reader(path)


@pytest.mark.parametrize("kind", ["network", "supernet"])
def test_a_flipped_bit_is_refused(kind, path, tmp_path):
    reader = load
    if kind == "supernet":
        path, reader = tmp_path / "supernet.safetensors", load_supernet
        save_supernet(Supernet(TINY, 3), path)
    whole, rng = path.read_bytes(), random.Random(0)
    start = 8 + struct.unpack("<Q", whole[:8])[0]
    damaged = []
    for place in (start, len(whole) - 1, *(rng.randrange(start, len(whole)) for _ in range(9))):
        damaged.append(bytearray(whole))
        damaged[-1][place] ^= 1 << rng.randrange(8)
    for data in (*damaged, whole.replace(b"0.25", b"0.75") if kind == "network" else whole.replace(b"demos", b"memos")):
        path.write_bytes(data)
        with pytest.raises(UserError, match=rf"{path.name}: damaged: .*restore it from a copy"):
            reader(path)


def test_what_is_said_of_a_network_is_checked_without_its_tensors(path):
    whole = path.read_bytes()
    start = whole.index(b"digest")
    for old in (b"0.25", b"sum", b"digest", b"joints"):
        place = start if old == b"digest" else whole.index(old)
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 2]) + whole[place + 1 :])
        with pytest.raises(UserError, match=rf"{path.name}: damaged: .*restore it from a copy"):
            resolve(path)


def test_a_file_from_before_there_were_digests(path):
    now = read_header(path).metadata
    assert same_state(load(rewritten(path)), net_of(SUBNET))
    assert read_header(path).metadata != now


def test_a_file_cut_short_or_with_false_offsets(path):
    whole = path.read_bytes()
    length = struct.unpack("<Q", whole[:8])[0]
    path.write_bytes(whole[:-50])
    with pytest.raises(UserError, match="damaged or cut short"):
        load(path)
    data = json.loads(whole[8 : 8 + length])
    data["stem.conv.conv.weight"]["data_offsets"] = [0, 1 << 60]
    path.write_bytes(header(json.dumps(data)) + whole[8 + length :])
    with pytest.raises(UserError, match="damaged or cut short"):
        load(path)
    with pytest.raises(UserError, match="cannot be read"):
        load(path.with_name("none.safetensors"))


@settings(max_examples=60)
@given(at=st.integers(0, 3000), junk=st.binary(min_size=1, max_size=6))
def test_junk_in_the_head_is_refused_or_harmless(at, junk, tmp_path):
    path = tmp_path / "net.safetensors"
    if not (tmp_path / "whole").exists():
        save(net_of(SUBNET), tmp_path / "whole", SUBNET)
    whole = bytearray((tmp_path / "whole").read_bytes())
    whole[at : at + len(junk)] = junk
    path.write_bytes(whole)
    try:
        net = load(path)
    except UserError as error:
        message = str(error)
    else:
        assert net.state_dict().keys() == net_of(SUBNET).state_dict().keys()
        return
    assert "net.safetensors" in message
