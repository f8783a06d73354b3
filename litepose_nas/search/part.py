"""Searching a part of a space: what is proposed and told outside are architectures of the whole space."""

from __future__ import annotations

from litepose_nas.search.problem import Searcher
from litepose_nas.search.ranking import Result
from litepose_nas.space import Arch, Space


class PartSearcher:
    """A searcher of a part of a space, for whoever knows the whole space alone."""

    def __init__(self, searcher: Searcher, part: Space, whole: Space):
        self._searcher, self._part, self._whole = searcher, part, whole

    def ask(self, n: int) -> list[Arch]:
        return [self._whole.arch(arch.to_dict()) for arch in self._searcher.ask(n)]

    def tell(self, arch: Arch, result: Result) -> None:
        self._searcher.tell(self._part.arch(arch.to_dict()), result)
