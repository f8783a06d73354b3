"""An audit of a supernet that is hardly trained: stopped anywhere it ends the same; what is asked is what is done."""

import csv
import json
import shutil

import pytest

from litepose_nas import Space, UserError, costs, load
from litepose_nas.budget import Budget
from litepose_nas.pose.people import DivergedError
from litepose_nas.runs.run import Run
from litepose_nas.search.problem import Problem
from litepose_nas.steps import audit
from litepose_nas.steps.audit import AuditOptions, spread_over_cost
from litepose_nas.train.recipe import Length
from tests.helpers import tiny
from tests.helpers.commands import run

ASKED = AuditOptions(nets=3, seeds=2, length=Length(steps=3))


def planned(trained, source, **more):
    options = ASKED._replace(supernet=str(trained.folder), device="cpu", **more)
    return audit.plan(options, lambda _: source)


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """Return the folder, the people, and a trained supernet of one small resolution."""
    folder = tmp_path_factory.mktemp("room")
    source, space = tiny.make_room(folder)
    tiny.supernet(folder / "supernet", source, space, steps=4)
    return folder, source, Run.open(folder / "supernet")


def left(folder):
    """Return what an audit left, without the seconds it took."""
    lines = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    found = [{key: value for key, value in line.items() if key not in ("seconds", "sum")} for line in lines]
    weights = {file.name: file.read_bytes() for file in (folder / "weights").iterdir()}
    return found, weights, (folder / "audit.csv").read_text(), (folder / "audit.svg").read_text()


@pytest.fixture(scope="module")
def straight(room):
    folder, source, trained = room
    ready = planned(trained, source)
    with Run.create(audit.VERB, settings=ready.settings, out=folder / "straight") as going:
        found = audit.audit(going, ready)
    return folder / "straight", ready, found


def test_every_network_is_scored_and_trained_with_every_seed(straight):
    folder, ready, found = straight
    assert [net.arch for net in found.nets] == ready.archs
    assert all(len(net.alone) == 2 for net in found.nets)
    losses = {one["loss"] for net in found.nets for one in (net.inherited, *net.alone)}
    assert len(losses) == 9  # no two trainings are one
    for at, arch in enumerate(ready.archs):
        net = load(folder / "weights" / f"{at:02}-1.safetensors")
        assert net.meta["arch"] == arch.to_dict()
        assert net.meta["score"]["loss"] == found.nets[at].alone[1]["loss"]
    assert not (folder / "trainings").exists()
    told = json.loads((folder / "audit.json").read_text())
    assert told["ranked_by"] == found.by == "loss"
    assert set(told["against"]) == {"ap", "loss"}
    assert told["against"]["loss"]["between_seeds"]["tau"]["value"] is not None
    with (folder / "audit.csv").open(newline="") as file:
        assert [int(row["macs"]) for row in csv.DictReader(file)] == [net.cost.macs for net in found.nets]


@pytest.mark.parametrize("stop", [2, 8, 15])
def test_interrupted_it_goes_on_to_the_same_end(room, straight, stop, monkeypatch):
    folder, source, trained = room
    place = folder / f"stopped-{stop}"
    ready = planned(trained, source)
    steps = 0

    def tick(done, total, text, line):
        nonlocal steps
        steps += not line
        if steps == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Run.create(audit.VERB, settings=ready.settings, out=place) as going:
        audit.audit(going, ready, tick)
    before = (place / "journal.jsonl").read_text()
    trained_again = []
    plain = audit.train_alone
    monkeypatch.setattr(audit, "train_alone", lambda *args: trained_again.append(args[2:4]) or plain(*args))
    again = audit.load(Run.open(place), "cpu", lambda _: source)
    assert again.archs == ready.archs
    with Run.resume(place) as going:
        audit.audit(going, again)
    assert len(trained_again) == 6 - (stop - 1) // 3  # none that had ended
    assert (place / "journal.jsonl").read_text().startswith(before)
    assert left(place) == left(straight[0])


def test_what_does_not_train_is_a_finding(room, straight, monkeypatch):
    folder, source, trained = room

    def diverge(*args, **kwargs):
        raise DivergedError("too far")

    monkeypatch.setattr(audit, "fit", diverge)
    ready = planned(trained, source, nets=2, seeds=1)
    with Run.create(audit.VERB, settings=ready.settings, out=folder / "diverged") as going:
        found = audit.audit(going, ready)
    assert [net.alone for net in found.nets] == [({"ap": 0.0, "loss": "inf"},)] * 2
    assert "2 failed" in (folder / "diverged" / "audit.svg").read_text()


def test_networks_are_spread_over_the_cost():
    space = Space.load("litepose-tiny")
    problem = Problem(space, Budget(), costs.cost, many=costs.columns(space))
    archs = spread_over_cost(problem, 24, 0)
    macs = [costs.cost(arch).macs for arch in archs]
    assert macs == sorted(macs)
    assert len(set(archs)) == 24
    assert macs[-1] > 5 * macs[0]
    assert archs == spread_over_cost(problem, 24, 0) != spread_over_cost(problem, 24, 1)
    with pytest.raises(UserError, match="--nets 9999: litepose-tiny has only 4096 networks to draw from"):
        spread_over_cost(problem, 9999, 0)


def test_lengths(room):
    _, source, trained = room

    def plan(**asked):
        ready = planned(trained, source, **{"nets": 2, "seeds": None, "length": Length(), **asked})
        return len(ready.archs), ready.settings

    assert plan()[1]["steps"] == trained.settings["steps"]
    assert plan(length=Length(epochs=2))[1]["steps"] == 22  # 22 pictures of 24, by two
    (_, short), (_, long) = (plan(length=Length(hours=hours)) for hours in (0.01, 0.1))
    assert short["steps"] < long["steps"]
    nets, quick = plan(nets=None)
    assert (quick["quick"], nets, quick["seeds"]) == (True, audit.QUICK_NETS, audit.SEEDS)
    assert quick["steps"] <= trained.settings["steps"]


def test_the_command(room, tmp_path, monkeypatch, capsys):
    folder, _, _ = room
    monkeypatch.chdir(tmp_path)
    words = f"litepose-nas audit {folder / 'supernet'} --nets 2 --seeds 1 --steps 1"
    assert run(f"{words} --dry-run", monkeypatch) == 0
    assert "2 networks of" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
    assert run(f"{words} --out here", monkeypatch) == 0
    out = capsys.readouterr().out
    assert "against the loss of networks trained alone:" in out
    assert "too few networks for strata of cost" in out
    assert out.splitlines()[-1].startswith(f"next: litepose-nas search {folder / 'supernet'} --budget ")
    assert run("litepose-nas audit --resume --out here --json", monkeypatch) == 0
    assert json.loads(capsys.readouterr().out)["networks"] == 2
    assert run("litepose-nas audit --resume --out here --nets 4", monkeypatch) == 2
    assert "leave out --nets" in capsys.readouterr().err
    assert run(f"litepose-nas audit {folder / 'supernet'} --steps 4 --hours 1", monkeypatch) == 2
    assert "--steps and --hours: give one of them" in capsys.readouterr().err


def test_a_supernet_that_changed_or_broke_is_refused(room, straight, tmp_path, monkeypatch, capsys):
    folder, source, _ = room
    place, other = tmp_path / "supernet", tmp_path / "audit"
    shutil.copytree(folder / "supernet", place)
    shutil.copytree(straight[0], other)
    trained = Run.open(place)
    ready = planned(trained, source)
    ready.context.info["supernet"]["sha256"] = "another"
    before = (other / "journal.jsonl").read_bytes()
    with pytest.raises(UserError, match="a journal of another supernet"), Run.resume(other) as going:
        audit.audit(going, ready)
    assert (other / "journal.jsonl").read_bytes() == before
    (place / "weights" / "last.safetensors").write_bytes(b"half")
    monkeypatch.chdir(tmp_path)
    assert run("litepose-nas audit supernet --nets 2", monkeypatch) == 2
    assert "last.safetensors" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
