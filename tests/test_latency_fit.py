"""From measured networks to milliseconds of others: what simulated devices of known truth are told of."""

import itertools
import json
import random
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from litepose_nas import UserError, costs
from litepose_nas.budget import Budget
from litepose_nas.latency import fit as fitting
from litepose_nas.latency import profile as profile_file
from litepose_nas.latency.features import ALL_KINDS, FEATURES, features
from litepose_nas.latency.fit import ONE, FitErrors, LatencyFit
from litepose_nas.latency.profile import LatencyClock, SpaceProfile
from litepose_nas.search import guided
from litepose_nas.search.encoding import Genome
from litepose_nas.search.loop import run_search
from litepose_nas.search.problem import Problem
from litepose_nas.search.workload import Workload, workload_of
from litepose_nas.space import Space
from litepose_nas.task_kind import TaskKind
from tests.helpers.devices import SimulatedDevice
from tests.helpers.worlds import world

PLAIN = SimulatedDevice()
CLIFF = SimulatedDevice(depthwise={3: 2.7, 5: 3.0, 7: 24, 9: 23, 11: 23}, noise=0.02)
STARVED = SimulatedDevice(overhead=0.05, gigabytes=3, packed=16, noise=0.02)
DEVICES = {"plain": PLAIN, "cliff": CLIFF, "starved": STARVED}
NONE = FitErrors(0, 0, 0, 0, 0, 0)


def clock_of(weights, space, fields=("latency_ms", "latency_ms_bound"), factor=1.25):
    fit = LatencyFit("given", dict(weights), factor, 0.95, 40, 1.0, NONE, NONE, None, 0.01)
    return LatencyClock(fields, "given.json", None, SpaceProfile(space.name, "", 17, ((1, 1), (2000, 2000)), fit))


# ── features ──


@pytest.mark.parametrize("name", ["litepose", "s_vipnas_mbv3", "s_vipnas_res50", "mobilevitpose", "hrnet_davit"])
def test_features_add_up_and_columns_of_networks_have_the_same_bits(name):
    space = Space.load(name)
    genome = Genome(space)
    rows = genome.draw(48, np.random.default_rng(0), 3.0)
    archs = [genome.arch(row) for row in rows]
    for arch in archs[:8]:
        found = features(arch, 17)
        assert sum(found[f"{kind}_macs"] for kind in ALL_KINDS) == found["macs"] == costs.cost(arch).macs
        assert all(found[f"{kind}_padded"] >= found[f"{kind}_macs"] for kind in ALL_KINDS)
    rng = random.Random(0)
    clock = clock_of({ONE: 1.0, **{name: rng.random() / 1e6 for name in FEATURES}}, space)
    quick = costs.columns(space, 17, [clock])(rows)
    exact = list(map(costs.timed_by([clock]), archs))
    for field in ("macs", "params", "latency_ms", "latency_ms_bound"):
        assert quick[field].tolist() == [getattr(one, field) for one in exact]
    assert [cost[:5] for cost in exact] == list(map(costs.cost, archs))
    assert exact[0].latency_ms == pytest.approx(profile_file.network_ms(clock, archs[0], 17)[0], rel=1e-12)


# ── what the fit knows of a device ──


def held_out(device, space, fitted, count, seed):
    rng = random.Random(seed)
    archs = [space.sample(rng) for _ in range(count)]
    clock = clock_of(fitted.weights, space, factor=fitted.factor)
    predicted = np.array([profile_file.network_ms(clock, arch, 17) for arch in archs])
    return predicted, np.array([device.sampled(arch, rng).ms for arch in archs])


def test_the_fit_recovers_devices_and_its_bound_covers_what_it_says():
    below = []
    for number, (device, name) in enumerate(itertools.product(DEVICES.values(), ("litepose", "s_vipnas_mbv3"))):
        space = Space.load(name)
        (known,) = profile_file.make([("simulated", device.samples(space, 40, seed=number))]).spaces
        predicted, measured = held_out(device, space, known.fit, 60, seed=100 + number)
        errors = fitting.errors_of(predicted[:, 0], measured)
        assert errors.mape < 0.04
        assert errors.within_10 >= 0.97
        assert errors.mape < 0.6 * known.fit.baseline.mape
        assert known.fit.errors.mape == pytest.approx(errors.mape, abs=0.015)
        assert not known.fit.no_better
        below += (measured <= predicted[:, 1]).tolist()
    assert len(below) == 360
    assert 0.91 <= np.mean(below) <= 0.98


def test_weights_are_never_negative_so_more_of_anything_takes_longer():
    space = Space.load("litepose")
    profile = profile_file.make([("simulated", CLIFF.samples(space, 40))])
    clock = profile_file.clock(profile, "simulated", space)
    assert min(clock.known.fit.weights.values()) > 0
    low, high = (profile_file.network_ms(clock, end, 17)[0] for end in (space.smallest, space.widest))
    rng = random.Random(0)
    assert all(low <= profile_file.network_ms(clock, space.sample(rng), 17)[0] <= high for _ in range(50))


def test_where_time_is_macs_it_says_that_macs_alone_do_as_well():
    space, rng = Space.load("litepose"), random.Random(0)
    archs = [space.sample(rng) for _ in range(25)]
    ms = [costs.cost(arch).macs / 1e8 * rng.lognormvariate(0, 0.05) for arch in archs]
    found = fitting.fit([features(arch, 17) for arch in archs], ms, [False] * 25, 0.01)
    assert found.errors.mape >= found.baseline.mape or found.errors.mape > 0.9 * found.baseline.mape
    assert found.model == fitting.BASELINE or not found.no_better


def test_few_networks_promise_less_and_fewer_are_refused():
    space = Space.load("litepose")
    samples = PLAIN.samples(space, 12)
    (known,) = profile_file.make([("few", samples)]).spaces
    assert known.fit.covered == pytest.approx(12 / 13)
    with pytest.raises(UserError, match=r"few: 8 networks of litepose, and a fit needs 10; measure more"):
        profile_file.make([("few", samples._replace(samples=samples.samples[:8]))])


# ── the file ──


@pytest.fixture(scope="module")
def profile():
    both = [PLAIN.samples(Space.load(name), 14) for name in ("litepose", "s_vipnas_mbv3")]
    return profile_file.make([("a.json", both[0]), ("b.json", both[1])])


def test_a_profile_is_read_as_it_was_written_and_can_be_fitted_again(profile, tmp_path):
    path = tmp_path / "pi5.json"
    profile_file.write(path, profile)
    assert profile_file.read(path) == profile
    assert profile_file.read(path).sha256 == profile.sha256
    again = [(str(path), one) for one in profile_file.read_samples(path)]
    assert profile_file.make(again) == profile
    rewritten = profile._replace(rewrites=("cut_kernels",))
    profile_file.write(path, rewritten)
    assert profile_file.read(path) == rewritten
    assert "(cut_kernels)" in rewritten.words
    assert rewritten.sha256 != profile.sha256


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"threads": 2}, r"b.json: measured with threads 2, and a.json with 1; a profile is of one device"),
        ({"runtime": "ncnn"}, "measured with runtime 'ncnn'"),
        ({"batch": 4}, "measured with batch 4"),
        ({"rewrites": ("cut_kernels",)}, r"measured with rewrites \('cut_kernels',\), and a.json with \(\)"),
        ({"device": {"processor": "other"}}, "measured with processor 'other'"),
    ],
)
def test_what_was_measured_elsewhere_makes_no_common_profile(change, words):
    one = PLAIN.samples(Space.load("litepose"), 12)
    with pytest.raises(UserError, match=words):
        profile_file.make([("a.json", one), ("b.json", one._replace(**change))])


def test_a_profile_serves_no_other_space_batch_or_size(profile):
    litepose = Space.load("litepose")
    tree = json.loads(litepose.source)
    with pytest.raises(UserError, match=r"p.json: knows networks of litepose, s_vipnas_mbv3, and none of levitpose; "):
        profile_file.clock(profile, "p.json", Space.load("levitpose"))
    with pytest.raises(UserError, match=r"knows networks of another litepose, whose choices differ, .*latency measure"):
        profile_file.clock(profile, "p.json", Space({**tree, "stem": [8, 16]}, "litepose"))
    with pytest.raises(UserError, match="measured with 4 pictures at once"):
        profile_file.clock(profile._replace(batch=4), "p.json", litepose)
    clock = profile_file.clock(profile, "p.json", litepose)
    with pytest.raises(UserError, match="and 1024x1024 is beyond them"):
        profile_file.network_ms(clock, litepose.smallest, 17, (1024, 1024))
    restless = clock._replace(known=clock.known._replace(fit=clock.known.fit._replace(noise=0.08)))
    with pytest.raises(UserError, match=r"measured with 8.0% noise, so no budget can be promised"):
        restless.check_promise()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.update(kind="latency samples"), "fit it first: litepose-nas latency fit"),
        (lambda d: d.update(version=2), "this program reads 1"),
        (lambda d: d.pop("threads"), "damaged"),
        (lambda d: d["spaces"].clear(), "no space in it"),
        (lambda d: d["spaces"][0]["fit"].update(factor="1e999"), "damaged"),
        (lambda d: d["spaces"][0]["fit"]["weights"].update(secrets=1.0), "unknown feature secrets"),
        (lambda d: d["spaces"][0]["fit"]["weights"].update(macs=-1.0), "damaged"),
        (lambda d: d["spaces"][0].update(inputs=[]), "no input size"),
    ],
)
def test_what_is_wrong_with_a_profile_is_named(profile, change, words):
    data = json.loads(json.dumps(profile.to_json()))
    change(data)
    with pytest.raises(UserError, match=words) as error:
        profile_file.from_json(data, "here.json")
    assert str(error.value).startswith("here.json")


def test_a_profile_cut_anywhere_is_one_message(profile, tmp_path):
    path = tmp_path / "p.json"
    profile_file.write(path, profile)
    whole = path.read_bytes()
    for end in (0, 1, 100, len(whole) // 2, len(whole) - 3):
        path.write_bytes(whole[:end])
        with pytest.raises(UserError, match="latency fit"):
            profile_file.read(path)


# ── searching by it ──


def evaluated(seed, known, budget, objectives=()):
    problem = known.problem._replace(budget=budget, objectives=objectives)
    journal = Kept()
    searcher = guided.searcher(problem, seed, start=20, round=10)
    return run_search(problem, searcher, lambda arch: known.evaluate(arch, seed), journal, 80)


class Kept:
    """A journal in memory."""

    path = Path("memory")

    def __init__(self):
        self.records = []

    def append(self, record):
        self.records.append(record)
        return record


def test_a_search_by_milliseconds_finds_faster_networks_of_equal_score():
    """In a world where every score and every time is known, on a device where large kernels are slow."""
    known = world("litepose", "additive", 1)
    profile = profile_file.make([("simulated", CLIFF.samples(known.space, 40))])
    clock = profile_file.clock(profile, "simulated", known.space)
    timed = Problem(known.space, Budget(), costs.timed_by([clock]), many=costs.columns(known.space, clocks=[clock]))
    ratios = []
    for seed in (0, 1):
        by_macs = evaluated(seed, known, Budget.of(["2GMAC"]))
        limit = np.median([CLIFF.true(one.arch) for one in by_macs])
        budget = Budget.of([f"{limit}ms"], times={"": "latency_ms_bound"})
        by_time = evaluated(seed, known._replace(problem=timed), budget, ("latency_ms",))
        assert all(one.cost.latency_ms_bound <= limit for one in by_time)
        assert np.mean([CLIFF.true(one.arch) <= limit for one in by_time]) >= 0.95
        pairs = [[(known.true(o.arch), CLIFF.true(o.arch)) for o in found] for found in (by_macs, by_time)]
        best = min(max(score for score, _ in found) for found in pairs)
        for level in np.linspace(best - 6, best, 7):
            first, second = (min(ms for score, ms in found if score >= level) for found in pairs)
            ratios.append(first / second)
    assert np.exp(np.mean(np.log(ratios))) > 1.2


def test_a_picture_takes_the_time_of_its_people_and_of_their_detector():
    picture = Workload(Fraction(5, 2), detector_ms=3.0)
    cost = costs.with_times(costs.Cost(1, 2, 3, 4, 5), {"latency_ms": 4.0, "latency_ms_bound": 5.0})
    whole = picture.cost(cost, TaskKind.TOPDOWN)
    assert (whole.latency_ms, whole.latency_ms_bound, whole.macs) == (13.0, 15.5, 3)
    assert picture.cost(cost, TaskKind.BOTTOMUP) == cost
    budget = Budget.of(["pi5:25ms"], times={"pi5": "latency_ms_bound"})
    of_a_run = picture.budget(budget, TaskKind.TOPDOWN)
    assert of_a_run.limits[0].most == pytest.approx(8.8)
    assert Budget.of([of_a_run.limits[0].text], times={"pi5": "latency_ms_bound"}).limits == of_a_run.limits
    with pytest.raises(UserError, match="nothing is left of it, for finding boxes takes 3 ms"):
        picture.budget(Budget.of(["2ms"], times={"": "latency_ms_bound"}), TaskKind.TOPDOWN)
    assert workload_of(picture.plain()) == picture
    assert "detector_ms" not in Workload(Fraction(1)).plain()
