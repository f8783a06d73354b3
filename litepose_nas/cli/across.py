"""litepose-nas search with several supernets, and the report of it."""

from __future__ import annotations

import time
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from litepose_nas.cli import console
from litepose_nas.cli.session import open_data, resume_hint
from litepose_nas.errors import UserError

if TYPE_CHECKING:
    from litepose_nas.budget import Budget
    from litepose_nas.data.source import Source
    from litepose_nas.executors.open_executor import ExecutorOptions
    from litepose_nas.report.across import Summary
    from litepose_nas.runs.run import Run
    from litepose_nas.search.problem import Evaluated
    from litepose_nas.search.workload import Workload
    from litepose_nas.steps.search import DetectionsFile, SearchConfig


class Several(NamedTuple):
    """What is asked for of a search across families alone."""

    supernets: list[str]
    people: float | None
    detector_macs: str | None
    boxes: Path | None
    min_box_score: float | None

    @property
    def given(self) -> list[str]:
        """The options of it that were given."""
        named = {
            "--people": self.people,
            "--detector-macs": self.detector_macs,
            "--boxes": self.boxes,
            "--min-box-score": self.min_box_score,
        }
        return [option for option, value in named.items() if value is not None]


class Wishes(NamedTuple):
    """What is asked for of any search."""

    kept: dict[str, Any]
    budget: Budget
    way: SearchConfig
    choice: ExecutorOptions
    evals: int | None
    data: str | None
    device: str
    name: str
    out: Path | None
    dry_run: bool


def is_meant(several: Several, run: Run | None) -> bool:
    """Return whether several families are to be searched; refuse what is asked for that only they can have."""
    if run is not None:
        return "supernets" in run.settings
    if len(several.supernets) > 1:
        return True
    for option in several.given:
        raise UserError(
            f"{option}: for a search across families, which takes two supernets or more; name their runs, or leave "
            f"{option} out: a budget of one supernet is of one run of its networks"
        )
    return False


def search(run: Run | None, several: Several, wishes: Wishes) -> None:
    """Search across families: from the beginning, or from where a run stands."""
    from litepose_nas.formats import subnet_file
    from litepose_nas.runs.run import Run
    from litepose_nas.steps import search as plain
    from litepose_nas.steps import search_across as step
    from litepose_nas.steps.common import duration

    kept = wishes.kept
    trained = [plain.find_supernet(named) for named in kept.get("supernets", several.supernets)]
    meant = _again(kept) if run else _asked(several, wishes, trained)
    with console.status("reading supernets and pictures"):
        ready = step.prepare(trained, meant.source, wishes.budget, wishes.device, meant.quick, *meant[2:])
    if run is None:
        each = step.seconds_each(ready)
        evals = wishes.evals or (plain.evaluations_in(plain.QUICK_MINUTES, each) if meant.quick else plain.EVALS)
        if meant.quick:
            console.out("quick preset for a processor: few networks on few pictures; a real search: --evals 200")
        console.out(
            f"{evals} networks of {', '.join(ready.parts)}, on {ready.pictures} held-out training pictures: "
            f"about {duration(evals * each / (wishes.choice.workers or 1))}"
        )
        if step.needs_boxes(trained):
            console.out(
                f"a picture has {meant.picture.number} people ({meant.people}), each a run of a top-down network"
            )
        if wishes.dry_run:
            console.out("nothing was written")
            return
        more = {"supernets": [str(one.folder) for one in trained], "data": meant.source.name, "evals": evals}
        more |= {"quick": meant.quick, **meant.picture.plain(), "people_are": meant.people}
        more |= {"boxes": list(meant.boxes) if meant.boxes else None}
        run = Run.create(plain.VERB, wishes.name, settings={**kept, **more}, out=wishes.out)
    else:
        run = Run.resume(run.folder)

    evals, start, first = int(run.settings["evals"]), time.perf_counter(), 0

    def report(family: str, one: Evaluated, number: int) -> None:
        nonlocal first
        first = first or number  # those before it are from before a resume
        each = (time.perf_counter() - start) / (number - first + 1)
        scores = f"AP {one.result['ap']:.3f}  loss {one.result['loss']:.4f}"
        words = f"{family}  {console.short(one.cost.macs, 'MAC')}  {scores}"
        line = f"{number}/{evals}  {words}  left {duration((evals - number) * each)}"
        run.log(line)
        show(number, evals, words, line)

    with run, resume_hint(run, plain.VERB):
        with console.live("searching") as show:
            found = step.search_across(run, ready, evals, run.settings["seed"], report, wishes.way, wishes.choice)
        subnet_file.write("subnet.json", found.subnet(found.comparison.winner.one))
        run.end()
    say(found)
    console.out(f"all {len(found.found)} networks: {run.folder / 'front.csv'}; the best of each: {run.folder / 'best'}")
    console.out("written to subnet.json")
    console.out("next: litepose-nas extract subnet.json")


class _Meant(NamedTuple):
    source: Source
    quick: bool
    picture: Workload
    people: str  # where their number comes from
    boxes: DetectionsFile | None


def _asked(several: Several, wishes: Wishes, trained: list[Run]) -> _Meant:
    """Return what a new search is to look at; what is impossible ends before weights or pictures are read."""
    from litepose_nas.search.workload import Workload
    from litepose_nas.steps import search as plain
    from litepose_nas.steps import search_across as step

    step.check_alike(trained, wishes.data)
    step.check_evals(wishes.evals, len(trained))
    _check(several, step.needs_boxes(trained))
    boxes = plain.DetectionsFile(str(several.boxes), several.min_box_score or 0.0) if several.boxes else None
    detector = _macs(several.detector_macs)
    asked = step.People(Fraction(str(several.people)), "as asked for") if several.people else None
    if asked:
        step.budgets_of(trained, wishes.budget, Workload(asked.number, detector))
    for one in trained:
        done, planned = plain.progress_of(one)
        if done < planned:
            console.out(f"the training of {one.folder} has not ended: it stands at step {done} of {planned}")
    source = open_data(wishes.data or trained[0].settings["data"])
    quick = plain.is_quick(wishes.evals, wishes.device)
    people = asked or step.people_in(trained, source, quick, boxes)
    return _Meant(source, quick, Workload(people.number, detector), people.told, boxes)


def _again(kept: dict[str, Any]) -> _Meant:
    """Return what a search that searches on was begun with."""
    from litepose_nas.search.workload import workload_of
    from litepose_nas.steps.search import DetectionsFile

    boxes = DetectionsFile(*kept["boxes"]) if kept["boxes"] else None
    return _Meant(open_data(kept["data"]), kept["quick"], workload_of(kept), kept["people_are"], boxes)


def say(found: Summary) -> None:
    """Print what a search across families found."""
    from litepose_nas.report.across_words import HEAD, rule, table, verdict

    console.out(rule(found))
    console.table(HEAD, table(found))
    for line in verdict(found):
        console.out(line)


def report(
    what: str, budget: list[str] | None, convention: str | None, people: float | None, out: Path | None, as_json: bool
) -> None:
    """Tell again what a search across families found, and choose again if another budget or number is given."""
    from litepose_nas.budget import Budget
    from litepose_nas.formats import subnet_file
    from litepose_nas.report import across_page, page
    from litepose_nas.report.across import reread_across, summarise_across
    from litepose_nas.report.across_words import to_json

    past = reread_across(what)
    texts = budget or [limit.text for limit in past.budget.limits]
    limits = Budget.of(texts, convention or past.budget.convention)
    if people and not past.needs_boxes:
        raise UserError(f"--people: all networks of {past.folder} see whole pictures, whoever is in them; leave it out")
    picture = past.picture._replace(people=Fraction(str(people))) if people else past.picture
    found = summarise_across(past, limits, picture)
    folder = out or past.folder / "report"
    across_page.write(found, folder)
    again = bool(budget or people)
    if again:
        subnet_file.write("subnet.json", found.subnet(found.comparison.winner.one))
    if as_json:
        console.as_json(to_json(found))
        return
    if past.cut:
        console.out(f"{past.journal}: its last line is cut in the middle ({past.cut} bytes), and left out")
    say(found)
    console.out(f"written to {folder / page.PAGE}, with each table and picture beside it")
    if again:
        console.out("written to subnet.json")
        console.out("next: litepose-nas extract subnet.json")
    elif past.needs_boxes:
        console.out(f"next: litepose-nas report {past.folder} --people {float(2 * picture.people):.3g}")


def _check(several: Several, needs_boxes: bool) -> None:
    """Refuse what nobody would read."""
    if several.given and not needs_boxes:
        raise UserError(
            f"{several.given[0]}: all of these networks see whole pictures, whoever is in them; leave it out"
        )
    if several.min_box_score is not None and not several.boxes:
        raise UserError("--min-box-score: of which boxes? name their file with --boxes")


def _macs(text: str | None) -> int:
    """Return how many MACs a text such as 2GMAC stands for."""
    from litepose_nas.budget import Limit

    if text is None:
        return 0
    limit = Limit.of(text)
    if limit.field != "macs":
        raise UserError(f"--detector-macs {text!r}: expected MACs, such as 2GMAC")
    return int(limit.most)
