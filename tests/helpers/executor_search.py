"""A toy search as a program, on any executor, and its evaluations.

`python -m tests.helpers.executor_search FOLDER local|ray WORKERS`

What is to happen to whom stands in the folder: `slow` holds seconds, `deadly` numbers whose worker dies.
"""

import functools
import json
import os
import signal
import sys
import time
from contextlib import closing
from pathlib import Path

from litepose_nas.errors import UserError
from litepose_nas.executors.open_executor import ExecutorOptions, open_executor
from litepose_nas.runs.journal import Journal
from litepose_nas.search import nsga2
from litepose_nas.search.journal import header
from litepose_nas.search.loop import ScoringJob, search_on
from tests.helpers import toy_search as toy

EVALS = 40


def make(folder):
    """What a worker calls first."""
    if (folder / "wrong").exists():
        raise UserError("this supernet is damaged")
    if (folder / "early").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    slow = float((folder / "slow").read_text()) if (folder / "slow").exists() else 0.0
    deadly = {int(word) for word in (folder / "deadly").read_text().split()} if (folder / "deadly").exists() else ()
    space = toy.space()

    def work(look):
        with (folder / "started").open("a") as file:
            file.write(f"{look.number} {os.getpid()}\n")
        if look.number in deadly and (os.getpid() != int(os.environ.get("MAIN", 0))):
            mark = folder / f"dead-{look.number}"
            if not mark.exists() or (folder / "always").exists():
                mark.write_text("")
                os.kill(os.getpid(), signal.SIGKILL)
        if look.number == 7 and (folder / "broken").exists():
            raise ZeroDivisionError("in an evaluation")
        time.sleep(slow * (1 + look.number % 3))
        return toy.results(space.arch(look.arch))

    return work


def doubling():
    """Return work that is hardly any."""
    return lambda job: 2 * job


def look(number):
    """Return what a search asks for."""
    return ScoringJob(number, toy.space().widest.to_dict())


def search(folder, engine="local", workers=None, evals=EVALS, say=print):
    """Search; return what was found."""
    problem = toy.problem(["8MMAC"])
    journal = Journal(folder / "journal", header({"": (problem.space, "")}, 0))
    searcher = nsga2.searcher(problem, 0, population=8, children=6)
    making = functools.partial(make, folder)
    crew = open_executor(ExecutorOptions(engine, workers), making(), making, say=say)
    with closing(crew):
        return search_on(problem, searcher, crew, journal, evals)


if __name__ == "__main__":
    os.environ["MAIN"] = str(os.getpid())
    place, name, count = sys.argv[1:]
    try:
        found = search(Path(place), name, int(count) or None)
    except KeyboardInterrupt:
        sys.exit("stopped")
    except UserError as error:
        sys.exit(f"error: {error}")
    out = [[one.arch.to_dict(), one.score] for one in found]
    (Path(place) / "found.json").write_text(json.dumps(out))
