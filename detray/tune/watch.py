"""What the person who waits is told of a tuning while it runs: of its search, then of its proof."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType

from detray.flow.epochs import Epochs
from detray.flow.flow import Flow
from detray.tune.board import Board
from detray.tune.course import Course
from detray.tune.trial import Trial, described


@dataclass
class Watch:
    """While it is entered, the trainings of a course are told as they go on; `ended` is called after each."""

    flow: Flow
    course: Course
    _stack: ExitStack = field(default_factory=ExitStack)
    _told: int = 0
    _is_proof: bool = False

    def __enter__(self) -> "Watch":
        search = self.course.search
        self._begin("search", search.ids, lambda: {trial.trial_id: trial for trial in search.trials})
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.__exit__(kind, error, at)

    def ended(self) -> None:
        """A training has ended."""
        self._count()
        if self.course.is_searched and not self._is_proof:
            self._stack.close()
            self._is_proof = True
            if proofs := self.course.proofs:
                self._begin("prove", list(proofs), lambda: proofs)

    def _begin(self, step: str, ids: Sequence[str], trials: Callable[[], Mapping[str, Trial]]) -> None:
        self.flow.progress.step(step, len(ids))
        self.flow.progress.advance(0)
        self._told = 0
        self._count()
        board = Board(self.course.search, trials)
        self._stack.enter_context(self.flow.timed(step))
        self._stack.enter_context(_interrupt_told(self.flow, board))
        self._stack.enter_context(self._epochs(board, ids))

    def _count(self) -> None:
        done = len(self.course.ends if self._is_proof else self.course.search.ends)
        if done > self._told:
            self.flow.progress.advance(done - self._told)
            self._told = done

    def _epochs(self, board: Board, ids: Sequence[str]) -> Epochs:
        """Tells each epoch of some trainings, and shows what is known of all."""
        search, progress = self.course.search, self.flow.progress

        def seen(trial_id: str, content: bytes) -> None:
            board.take(trial_id, content)
            progress.show(board.table())

        return Epochs(
            {trial_id: search.bench.workspace.below(trial_id) for trial_id in ids},
            search.space.baseline.epochs,
            partial(described, search.bench),
            progress,
            (self.course.ends if self._is_proof else search.ends).__contains__,
            seen,
            tells_before=self._is_proof,  # its first trainings began beside the last of the search
        )


@contextmanager
def _interrupt_told(flow: Flow, board: Board) -> Iterator[None]:
    """Who interrupts is told all that is known by then."""
    try:
        yield
    except KeyboardInterrupt:
        for line in board.lines():
            flow.note(line)
        flow.note("all this is kept, and the same command goes on from there")
        raise
