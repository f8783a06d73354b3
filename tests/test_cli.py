"""The command line: quick help, results for people and machines, and one readable message for each mistake."""

import json
import random
import subprocess
import sys

import pytest
import torch

from litepose_nas import Space, Subnet, build, cost, doctor, save
from litepose_nas.resolve import published, resolve
from tests.helpers.released import formula_state, released_shapes

# What facts the paper's authors and torch's counter give: params, exact MACs, MACs as published; 14 and 17 joints.
PUBLISHED = {
    "litepose-xs": ((1_675_552, 882_892_800, 1_202_266_112), (1_675_912, 885_841_920, 1_205_215_232)),
    "litepose-s": ((2_731_240, 3_614_139_648, 4_981_285_120), (2_731_624, 3_624_375_552, 4_991_521_024)),
    "litepose-m": ((3_533_808, 5_263_675_648, 7_841_568_000), (3_534_336, 5_275_717_888, 7_853_610_240)),
    "litepose-l": ((5_738_120, 9_961_996_288, 13_713_080_320), (5_738_672, 9_979_297_792, 13_730_381_824)),
    "litepose-prune-s": ((1_709_032, 3_485_958_144, 4_685_004_800), (1_709_368, 3_496_181_760, 4_695_228_416)),
    "litepose-prune-m": ((3_472_064, 6_848_528_384, 9_547_169_792), (3_472_592, 6_864_257_024, 9_562_898_432)),
    "litepose-prune-l": ((5_812_744, 10_895_425_536, 15_279_783_936), (5_813_392, 10_914_299_904, 15_298_658_304)),
}


@pytest.fixture
def command(tmp_path, monkeypatch, command):
    """Commands run in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return command


def refused(result, *words):
    code, _, err = result
    assert code == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1, err
    assert "Traceback" not in err
    for word in words:
        assert word in err


def test_help_is_immediate_and_imports_no_torch():
    code = "import sys; from litepose_nas.cli import app; app(['--help'], standalone_mode=False); "
    # Its own time, not the clock's: on a busy machine anything is slow.
    code += "import time; print(time.process_time()); sys.exit('torch' in sys.modules)"
    times = []
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Usage" in done.stdout
        times.append(float(done.stdout.split()[-1]))
    assert min(times) < 0.5


def test_the_profile_of_published_networks_needs_no_torch():
    code = "import sys; sys.argv = ['litepose-nas', 'profile', 'litepose-xs']; from litepose_nas.cli import main\ntry: main()\nexcept SystemExit: pass\nassert 'torch' not in sys.modules"  # noqa: E501
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_costs_to_the_unit(command, name):
    for joints, (params, macs, macs_litepose) in zip((14, 17), PUBLISHED[name], strict=True):
        code, out, _ = command(f"profile {name} --joints {joints} --json")
        found = json.loads(out)
        assert code == 0
        assert (found["params"], found["macs"], found["macs_litepose"]) == (params, macs, macs_litepose)
        assert sum(block["macs"] for block in found["blocks"]) == macs


def test_names_do_in_python_too(command):
    import litepose_nas as ln

    assert ln.cost("litepose-xs", joints=14).macs == PUBLISHED["litepose-xs"][0][1]
    net = ln.build("litepose-xs", joints=14)
    assert sum(p.numel() for p in net.parameters()) == PUBLISHED["litepose-xs"][0][0]
    command("space sample litepose-tiny --out archs")
    assert ln.cost("archs/subnet-0.json") == ln.cost(ln.Space.load("litepose-tiny").sample(random.Random(0)))


def test_every_published_network_is_in_the_table():
    assert set(PUBLISHED) == {name for name in published() if name.startswith("litepose-")}


def test_profile_for_people(command):
    code, out, _ = command("profile litepose-xs --joints 14 --input 128x192")
    assert code == 0
    assert "head.out.1" in out
    assert "128x192 input, 14 joints" in out


def test_space_commands(command):
    code, out, _ = command("space list")
    assert code == 0
    assert "litepose-blocks" in out
    assert "litepose" in [each["name"] for each in json.loads(command("space list --json")[1])]
    code, out, _ = command("space show litepose-blocks")
    assert "stages.0.blocks.*.kernel" in out
    assert json.loads(command("space show litepose-tiny --json")[1])["genes"]["stem"] == [8, 16]
    assert int(command("space count litepose-tiny")[1]) == Space.load("litepose-tiny").size
    assert json.loads(command("space count litepose-tiny --json")[1])["size"] == Space.load("litepose-tiny").size


def test_samples_depend_on_the_seed_and_can_be_profiled(command):
    first = command("space sample litepose -n 3 --seed 5 --json")[1]
    assert first == command("space sample litepose -n 3 --seed 5 --json")[1]
    assert first != command("space sample litepose -n 3 --seed 6 --json")[1]
    command("space sample litepose -n 3 --seed 5 --out archs")
    for i, sample in enumerate(json.loads(first)):
        assert json.loads(command(f"profile archs/subnet-{i}.json --json")[1])["macs"] == sample["cost"]["macs"]


def test_doctor(command):
    code, out, _ = command("doctor")
    assert code == 0
    assert "litepose-tiny" in out
    assert all(finding["ok"] is not False for finding in json.loads(command("doctor --json")[1]))


def test_doctor_lists_runtimes_here_and_in_environments_of_their_own(tmp_path, monkeypatch):
    for name in ("litert", "half"):
        (tmp_path / ".runtimes" / name).mkdir(parents=True)
    (tmp_path / ".runtimes" / "litert" / ".installed").touch()
    monkeypatch.setattr("litepose_nas.doctor.version", {"onnxruntime": "1.2.3"}.get)
    (found,) = (each for each in doctor.examine(tmp_path) if each.what == "runtimes")
    assert found.state == "torch, onnxruntime 1.2.3, .runtimes/litert"


def test_data_toy(command):
    code, out, _ = command("data toy people --train 3 --val 2 --size 64")
    assert code == 0
    assert "written to people" in out


def test_export_of_an_untrained_network(command):
    command("space sample litepose-tiny --out archs")
    code, out, err = command("export archs/subnet-0.json --untrained --out net.onnx")
    assert code == 0, err
    assert "batch 3: largest difference" in out


def test_untrained_means_random_weights_also_where_there_are_others(command):
    onnx = pytest.importorskip("onnx")
    arch = Space.load("litepose-tiny").smallest
    net = build(arch, 5)
    with torch.no_grad():
        net.stem.conv.bn.bias.fill_(7.0)
    save(net, "net.safetensors", Subnet(arch, 5))
    found = {}
    for flag in ("", "--untrained"):
        code, out, err = command(f"export net.safetensors {flag} --input 32x48 --json --out net.onnx")
        assert code == 0, err
        assert json.loads(out)["input"] == [32, 48]
        model = onnx.load("net.onnx")
        meta = {p.key: json.loads(p.value) for p in model.metadata_props}["litepose_nas"]
        assert meta["cost"]["macs"] == cost(arch, (32, 48), 5).macs
        found[meta["untrained"]] = [onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer]
    assert any((tensor == 7).any() for tensor in found[False])
    assert not any((tensor == 7).any() for tensor in found[True])


def test_import_then_profile(command):
    torch.save({"state_dict": formula_state(released_shapes(resolve("litepose-xs").subnet.arch, 14))}, "xs.pth.tar")
    code, out, err = command("import xs.pth.tar --arch litepose-xs --joints 14")
    assert code == 0, err
    assert "matched     " in out
    assert json.loads(command("profile xs.safetensors --json")[1])["params"] == PUBLISHED["litepose-xs"][0][0]
    refused(command("export xs.safetensors --joints 17"), "14 joints")
    refused(command("import xs.pth.tar --arch litepose-xs --joints 17"), "14", "17")
    refused(command("import xs.pth.tar --arch litepose-m"), "stages.0.width is 16 in the file, 24 asked")
    code, out, err = command("import xs.pth.tar --space litepose --json")
    assert code == 0, err
    assert json.loads(out)["missing"] == []
    refused(command("profile xs-supernet.safetensors"), "a supernet, not one network")


def test_mistakes_are_told_in_one_line(command, tmp_path):
    refused(command("profile litepose-sx"), "litepose-sx", "did you mean 'litepose-s'")
    refused(command("profile LITEPOSE-XS"), "did you mean 'litepose-xs'")
    refused(command("profile nothing.json"), "no such file")
    refused(command("profile litepose"), "a search space", "space sample litepose")
    refused(command("profile litepose-xs --input ''"), "input size ''")
    refused(command("profile litepose-xs --input 12x"), "12x", "256x192")
    refused(command("space show litepos"), "did you mean 'litepose'")
    refused(command("space show ."), "a folder")
    refused(command("space show mine.yaml"), "no such file")
    refused(command("export litepose-xs"), "--untrained")
    refused(command("export litepose-xs --untrained --format onx"), "did you mean 'onnx'")
    refused(command("export litepose-xs --untrained --out net.pb"), "--out net.pb", "ends in .onnx")
    refused(command("import none.pth"), "none.pth")
    refused(command("import none.pth --out net.pth"), "--out net.pth", "ends in .safetensors")
    (tmp_path / "broken.json").write_text('{"space": "litepose", ')
    refused(command("profile broken.json"), "broken.json", "line 1")
    (tmp_path / "broken.yaml").write_text("family: litepose\nresolution: [64]\nstem: [16, 8]\n")
    refused(command("space count broken.yaml"), "line 3", "stem")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\x00\x00")
    refused(command("profile cut.safetensors"), "cut.safetensors")
    (tmp_path / "cut.pth").write_bytes(b"PK\x03\x04 and no more")
    refused(command("import cut.pth"), "cut.pth")
    (tmp_path / "file").write_text("")
    refused(command("space sample litepose-tiny --out file"), "file")
    wrong_options = (
        "profile litepose-xs --jonts 3",
        "profile litepose-xs --joints 99999",
        "space sample litepose -n 0",
        "space sample litepose -n 10001",
    )
    for wrong in ("profil litepose-xs", "profile", *wrong_options):
        code, _, err = command(wrong)
        assert code == 2
        assert "Traceback" not in err
