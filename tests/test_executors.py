"""Engines: the same search wherever it runs, whoever is killed; and nobody left behind."""

import functools
import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from litepose_nas import UserError
from litepose_nas.executors.base import DONE, READY, Reply
from litepose_nas.executors.open_executor import ExecutorOptions, open_executor
from litepose_nas.executors.processes import ProcessExecutor
from litepose_nas.executors.serial import SerialExecutor
from litepose_nas.executors.worker_pool import WorkerPool
from litepose_nas.runs.journal import Journal
from litepose_nas.search import finalists, nsga2
from litepose_nas.search.journal import header
from litepose_nas.search.loop import search_on
from tests.helpers import executor_search, tiny
from tests.helpers import toy_search as toy
from tests.helpers.commands import environment
from tests.helpers.executors import Shuffled, linux, needs_ray

ENGINES = [("local", 1), ("local", 2), pytest.param("ray", 2, marks=needs_ray)]
POOLS = ENGINES[1:]


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """The search in this process that no other may differ from."""
    folder = tmp_path_factory.mktemp("straight")
    return [[one.arch.to_dict(), one.score] for one in executor_search.search(folder)]


def start(folder, engine, workers, *words, mark="", **more):
    """Start a search as a program; `mark` is in the environment of all its processes."""
    env = environment(MARK=mark, **more)
    command = [sys.executable, "-m", "tests.helpers.executor_search", str(folder), engine, str(workers), *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=env, text=True, start_new_session=True, **pipes)


def finish(folder, engine, workers, *more):
    process = start(folder, engine, workers, *more)
    out, errors = process.communicate(timeout=180)
    assert process.returncode == 0, errors
    return json.loads((folder / "found.json").read_text()), out


def started(folder):
    """Return (number, process) of every evaluation that was begun."""
    path = folder / "started"
    return [tuple(map(int, line.split())) for line in path.read_text().splitlines()] if path.exists() else []


def marked(mark):
    """Return the processes in whose environment a word stands, dead ones that nobody buried included."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"MARK={mark}".encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def gone(mark, within=15.0):
    """Wait until no process has the word in its environment; return those that have."""
    limit = time.monotonic() + within
    while (left := marked(mark)) and time.monotonic() < limit:
        time.sleep(0.1)
    return left


def wait_for(process, condition, within=90):
    limit = time.monotonic() + within
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < limit
        time.sleep(0.01)


# ── the same everywhere ──


def results(look):
    found = toy.results(toy.space().arch(look.arch))
    return {**found, "score": found["score"] + look.again / 100}


def shuffled_search(path, engine, evals=50):
    problem = toy.problem(["8MMAC"])
    journal = Journal(path, header({"": (problem.space, "")}, 0))
    searcher = nsga2.searcher(problem, 0, population=8, children=6)
    found = search_on(problem, searcher, engine, journal, evals)
    best = finalists.finalists(found, problem.budget, 3)
    return found, finalists.score_again(problem, best, engine, journal)


@pytest.mark.parametrize(("workers", "cut"), [(1, 0.3), (2, 0.8), (3, 0.5), (7, 0.1), (9, 0.97)])
def test_neither_workers_nor_their_speed_nor_a_cut_change_what_is_found(tmp_path, workers, cut):
    folder, seed = tmp_path, workers
    expected = shuffled_search(folder / "one", SerialExecutor(results))
    records = Journal(folder / "one", header({"": (toy.space(), "")}, 0)).records
    assert [record.get("n") for record in records[:50]] == [*range(1, 51)]
    engine = Shuffled(results, workers, seed)
    found, again = shuffled_search(folder / "many", engine)
    assert engine.most == min(workers, 8)  # no round is larger
    assert (_plain(found), again) == (_plain(expected[0]), expected[1])
    data = (folder / "many").read_bytes()
    (folder / "cut").write_bytes(data[: int(cut * len(data))])
    found, again = shuffled_search(folder / "cut", Shuffled(results, 10 - workers, seed + 1))
    assert (_plain(found), again) == (_plain(expected[0]), expected[1])
    records = Journal(folder / "cut", header({"": (toy.space(), "")}, 0)).records
    assert sorted(record["n"] for record in records if "n" in record) == [*range(1, 51)]


def _plain(found):
    return [(one.arch, one.score, {**one.result, "seconds": 0}) for one in found]


@pytest.mark.parametrize(("engine", "workers"), POOLS)
def test_every_engine_finds_the_same_and_says_nothing(straight, tmp_path, engine, workers):
    (tmp_path / "slow").write_text("0.02")
    mark = uuid.uuid4().hex
    process = start(tmp_path, engine, workers, mark=mark)
    out, errors = process.communicate(timeout=180)
    assert (process.returncode, out, errors) == (0, "", "")
    assert json.loads((tmp_path / "found.json").read_text()) == straight
    begun = started(tmp_path)
    assert sorted(number for number, _ in begun) == [*range(1, executor_search.EVALS + 1)]
    assert len({pid for _, pid in begun}) == workers
    assert process.pid not in {pid for _, pid in begun}
    if Path("/proc").exists():
        assert gone(mark) == []


# ── killed ──


@pytest.mark.parametrize("times", [2, pytest.param(10, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("engine", "workers"), ENGINES)
def test_killed_at_random_moments_it_ends_the_same(straight, tmp_path, engine, workers, times):
    (tmp_path / "slow").write_text("0.03" if times == 2 else "0.1")
    rng, kills, mark, ready = random.Random(times), 0, uuid.uuid4().hex, 0.0
    for number in range(times):
        before, begun = len(started(tmp_path)), time.monotonic()
        process = start(tmp_path, engine, workers, mark=mark)
        if number % 3 == 2:  # on its way to an evaluation, while workers start
            time.sleep(rng.uniform(0, ready))
        else:
            wait_for(process, lambda before=before: len(started(tmp_path)) > before, within=90 if times == 2 else 300)
            ready = time.monotonic() - begun
            time.sleep(rng.uniform(0, 0.4))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
        assert engine == "ray" or gone(mark) == []
    assert kills == times
    other = ("local", 1) if engine == "ray" else (engine, 3 - workers)  # it may go on elsewhere, too
    found, _ = finish(tmp_path, *(other if times == 2 and workers == 2 else (engine, workers)))
    assert found == straight
    records = Journal(tmp_path / "journal", header({"": (toy.space(), "")}, 0)).records
    assert sorted(record["n"] for record in records) == [*range(1, executor_search.EVALS + 1)]
    assert len(started(tmp_path)) <= executor_search.EVALS + times * workers  # what was in flight, and no more
    assert gone(mark, 120.0) == []  # Ray's own helpers look for their master every few seconds only


@pytest.mark.parametrize(("engine", "workers"), POOLS)
def test_a_worker_killed_in_an_evaluation_costs_that_alone(straight, tmp_path, engine, workers):
    (tmp_path / "slow").write_text("0.01")
    (tmp_path / "deadly").write_text("1 9 23")
    found, out = finish(tmp_path, engine, workers)
    assert found == straight
    assert out.count("a worker was lost, what it had in hand goes to another\n") == 3
    numbers = [number for number, _ in started(tmp_path)]
    assert sorted(numbers) == sorted([*range(1, executor_search.EVALS + 1), 1, 9, 23])


@pytest.mark.parametrize(("engine", "workers"), POOLS)
def test_an_evaluation_that_kills_every_worker_ends_the_search(tmp_path, engine, workers):
    (tmp_path / "deadly").write_text("9")
    (tmp_path / "always").write_text("")
    process = start(tmp_path, engine, workers)
    _, errors = process.communicate(timeout=180)
    assert process.returncode == 1
    assert "error: 3 workers have died with the same work: ScoringJob(number=9" in errors
    assert "short of memory" in errors
    assert len(Journal(tmp_path / "journal", header({"": (toy.space(), "")}, 0)).records) >= 7


@pytest.mark.parametrize(("engine", "workers"), POOLS)
def test_what_goes_wrong_in_a_worker_is_told(tmp_path, engine, workers):
    (tmp_path / "broken").write_text("")
    process = start(tmp_path, engine, workers)
    _, errors = process.communicate(timeout=180)
    assert process.returncode == 1
    assert "RuntimeError: a worker failed:\nTraceback" in errors
    assert "ZeroDivisionError: in an evaluation" in errors


@linux
@pytest.mark.parametrize(("engine", "workers"), ENGINES)
def test_after_ctrl_c_nobody_is_left(tmp_path, engine, workers):
    (tmp_path / "slow").write_text("0.3")
    mark = uuid.uuid4().hex
    process = start(tmp_path, engine, workers, mark=mark)
    wait_for(process, lambda: len(started(tmp_path)) > workers)
    assert len(marked(mark)) >= (workers + 1 if workers > 1 else 1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: all of them get it
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (1, "stopped\n")
    assert gone(mark) == []


@linux
def test_processes_end_with_their_parent_in_the_middle_of_a_job(tmp_path):
    (tmp_path / "slow").write_text("30")
    mark = uuid.uuid4().hex
    process = start(tmp_path, "local", 2, mark=mark)
    wait_for(process, lambda: len(started(tmp_path)) == 2)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert gone(mark, 5.0) == []


# ── this process's own ──


def test_processes_do_jobs_and_are_gone_when_closed():
    crew = ProcessExecutor(executor_search.doubling, 2)
    pids = crew.pids
    try:
        crew.submit(1)
        crew.submit(2)
        assert crew.free == 0
        assert sorted(crew.wait().result for _ in range(2)) == [2, 4]
        assert crew.free == 2
        os.kill(pids[0], signal.SIGKILL)  # with nothing in hand
        for job in (3, 4, 5, 6):
            crew.submit(job)
            assert crew.wait().result == 2 * job
    finally:
        crew.close()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.parametrize(
    ("word", "said"), [("wrong", "this supernet is damaged"), ("early", "all workers have died before they were ready")]
)
def test_a_worker_that_cannot_begin_says_why(tmp_path, word, said):
    crew = ProcessExecutor(functools.partial(executor_search.make, tmp_path), 1)
    (tmp_path / word).write_text("")
    crew.close()
    crew = ProcessExecutor(functools.partial(executor_search.make, tmp_path), 1)
    try:
        crew.submit(None)
        with pytest.raises(UserError, match=said):
            crew.wait()
    finally:
        crew.close()


def test_unknown_engines_and_sizes_are_refused():
    with pytest.raises(UserError, match=r"--engine 'rya': did you mean 'ray'\?"):
        open_executor(ExecutorOptions("rya"), print, executor_search.doubling)
    with pytest.raises(UserError, match="--workers 0: expected 1 or more"):
        ExecutorOptions("local", 0).check()


def test_without_ray_the_way_to_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"ray is not installed; get it with: pip install 'litepose-nas\[ray\]'"):
        open_executor(ExecutorOptions("ray"), print, executor_search.doubling)


class Played(WorkerPool):
    """Workers who do what a script says; none is replaced."""

    def __init__(self, script):
        super().__init__(2, lambda text: None)
        self.script, self.sent = script, []

    def _start(self):
        pass

    def _send(self, worker, job):
        self.sent.append((worker, job))

    def _next(self):
        return self.script.pop(0)

    def close(self):
        pass


def test_a_lost_job_goes_to_whoever_is_free_when_nobody_comes_instead():
    ready, done = Reply(READY), Reply(DONE, "found", 1.0)
    crew = Played([("a", ready), ("b", ready), ("a", None), ("b", done), ("b", done)])
    crew.submit(1)
    crew.submit(2)
    assert crew.wait().job == 2
    assert crew.wait().job == 1
    assert crew.sent == [("a", 1), ("b", 2), ("b", 1)]


def test_with_no_room_for_one_worker_the_others_go_on(tmp_path):
    said = []
    crew = ProcessExecutor(functools.partial(executor_search.make, tmp_path), 2, said.append)
    try:
        number = 1
        while number == 1 or len(set((tmp_path / "started").read_text().split()[1::2])) < 2:  # both are ready
            for at in (number, number + 1):
                crew.submit(executor_search.look(at))
            assert sorted(crew.wait().job.number for _ in range(2)) == [number, number + 1]
            number += 2
        (tmp_path / "early").write_text("")  # from now on no worker can begin
        os.kill(crew.pids[0], signal.SIGKILL)
        (tmp_path / "slow").write_text("0")
        while crew.workers == 2:  # the one that is left works on
            crew.submit(executor_search.look(number))
            assert crew.wait().job.number == number
            number += 1
        assert said[-1] == "3 workers have died before they were ready: going on with 1"
        assert (crew.free, len(crew.pids)) == (1, 1)
    finally:
        crew.close()


# ── a cluster ──


@needs_ray
def test_a_cluster_that_is_not_there(tmp_path):
    process = start(tmp_path, "ray", 2, RAY_ADDRESS="nonsense")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "RAY_ADDRESS=nonsense: no Ray cluster can be joined there" in errors.splitlines()[-1]


@needs_ray
@pytest.mark.slow
def test_a_machine_of_the_cluster_killed_in_the_middle_costs_what_it_had_in_hand(straight, tmp_path):
    (tmp_path / "slow").write_text("0.2")
    command = [sys.executable, "-m", "tests.helpers.executor_nodes", str(tmp_path)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "killed\n" in done.stdout
    assert "a worker was lost, what it had in hand goes to another" in done.stdout
    assert json.loads((tmp_path / "found.json").read_text()) == straight
    assert len({pid for _, pid in started(tmp_path)}) == 2
    assert len(started(tmp_path)) <= executor_search.EVALS + 1


# ── a supernet ──


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A supernet that has hardly been trained, and what a search of it in one process leaves."""
    room = tmp_path_factory.mktemp("trained")
    source, space = tiny.make_room(room)
    source = source._replace(name="people")
    tiny.supernet(room / "net", source, space, steps=6)
    words = ["search", "net", "--budget", "20MMAC", "--evals", "8", "--data", "people", "--method", "nsga2"]
    tiny.finish([*words, "--out", "straight"], room)
    left = tiny.left_by_search(room / "straight", room / "subnet.json")
    return room, words, left


@pytest.mark.parametrize(("engine", "workers"), POOLS)
def test_scores_are_the_same_bits_on_every_engine(trained, engine, workers):
    room, words, expected = trained[0], trained[1], dict(trained[2])
    out = f"{engine}-{workers}"
    more = ["--engine", engine, "--workers", str(workers), "--out", out]
    tiny.finish([*words, *more], room)
    left = tiny.left_by_search(room / out, room / "subnet.json")
    for journal in (left, expected):  # a journal is in the order in which evaluations ended
        lines = [journal.pop(name) for name in [*journal] if name.startswith("journal ")]
        journal["journal"] = sorted(map(json.dumps, lines))
    tiny.same(left, expected)
    assert len(expected["journal"]) > 10
