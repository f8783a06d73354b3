"""samples.json: what is written is read back, and what is not such a file is refused in one message."""

import json
import random

import pytest

from litepose_nas.errors import UserError
from litepose_nas.latency import samples as samples_file
from litepose_nas.latency.samples import LatencySample, LatencySamples, digest
from litepose_nas.space import Space


def made():
    rng, rows = random.Random(0), []
    for name in ("litepose", "s_vipnas_mbv3"):
        space = Space.load(name)
        for role in samples_file.ROLES:
            ms = rng.uniform(1, 50)
            rows.append(LatencySample(space.sample(rng), ms, 1.1 * ms, 7, role, None if role == "random" else 0.9 * ms))
    device = {"processor": "simulated", "cores": 2, "system": "Linux"}
    told = ({"governor": "ondemand", "mhz": [600, 1800], "celsius": 61.5}, {"celsius": 70, "pi_throttled": 5})
    return LatencySamples(device, "onnxruntime", "1.0", 1, "fp32", 1, 17, 0.013, rows, -0.02, told)


def test_what_is_written_is_read_back(tmp_path):
    path, samples = tmp_path / "samples.json", made()
    samples_file.write(path, samples)
    assert samples_file.read(path) == samples
    rewritten = samples._replace(rewrites=("cut_kernels",))
    samples_file.write(path, rewritten)
    assert samples_file.read(path) == rewritten
    samples_file.write(path, samples)
    data = json.loads(path.read_text())
    assert list(data)[:2] == ["kind", "version"]
    assert set(data["spaces"]) == {"litepose", "s_vipnas_mbv3"}
    assert data["samples"][0].keys() == {"space", "arch", "input", "ms", "median_ms", "rounds", "role"}


def test_files_without_drift_and_conditions_are_read():
    data = made().to_json()
    del data["drift"], data["conditions"]
    samples = samples_file.from_json(json.loads(json.dumps(data)), "here")
    assert (samples.drift, samples.conditions) == (0.0, ())
    assert "conditions" not in samples.to_json()


def test_a_digest_knows_choices_not_words():
    tree = json.loads(Space.load("litepose").source)
    assert digest(Space({**tree, "about": "mine"}, "mine")) == digest(Space.load("litepose"))
    assert digest(Space({**tree, "stem": [8, 16]})) != digest(Space.load("litepose"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.update(kind="latency profile"), "latency measure"),
        (lambda d: d.update(version=2), "this program reads 1"),
        (lambda d: d.update(noise=float("1e999")), "noise"),
        (lambda d: d.pop("threads"), "threads: expected a whole number"),
        (lambda d: d.update(rewrites="cut_kernels"), "rewrites: expected a list of names"),
        (lambda d: d["spaces"]["litepose"]["tree"].update(stem=[8, 16]), "the digest differs"),
        (lambda d: d["spaces"].pop("litepose"), "not among `spaces`"),
        (lambda d: d["samples"][1].update(ms=0), "samples.1: ms: expected a number above zero"),
        (lambda d: d["samples"][1].update(input=[1, 1]), "measure again"),
        (lambda d: d["samples"][1]["arch"].update(stem=7), "`stem` is 7"),
        (lambda d: d["samples"].append(3), "samples.6: expected a mapping"),
        (lambda d: d["samples"][0].update(role="other"), "one of random, extreme, anchor"),
        (lambda d: d.update(drift="much"), "drift: expected a number"),
        (lambda d: d["conditions"][1].update(pi_throttled="0x5"), "conditions.1: expected what the device told"),
        (lambda d: d["conditions"][0].update(mhz=[600]), "conditions.0: expected what the device told"),
    ],
)
def test_what_is_wrong_is_named(change, words):
    data = json.loads(json.dumps(made().to_json()))
    change(data)
    with pytest.raises(UserError, match="here") as error:
        samples_file.from_json(data, "here")
    assert words in str(error.value)


def test_a_truncated_file_is_named(tmp_path):
    path = tmp_path / "samples.json"
    samples_file.write(path, made())
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match=r"samples\.json, line \d+"):
        samples_file.read(path)
