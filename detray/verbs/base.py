"""What a stage is, and what it is given."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, TypeVar

from detray.cluster.executor import Executor, Json
from detray.flow.flow import Flow
from detray.flow.outcome import Outcome, Progress, Silent, Table
from detray.store import Store
from detray.verbs.config import Config
from detray.verbs.engine import Engine

Task = TypeVar("Task")


@dataclass
class Old:
    """What a stage did that still passes receipts around itself."""

    receipts: list[Json]
    counts: dict[str, int] = field(default_factory=dict)
    facts: Json = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    seeds: dict[str, int] = field(default_factory=dict)
    summary: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    keep_names: bool = False


@dataclass
class Context:
    """What a stage may use; ``engine`` chooses another executor for each stage, where there is one."""

    config: Config
    store: Store
    executor: Executor
    progress: Progress = field(default_factory=Silent)
    trust_model: bool = False
    engine: Engine | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Add the wall time of the block to ``seconds[step]``."""
        start = perf_counter()
        try:
            yield
        finally:
            self.seconds[step] = self.seconds.get(step, 0.0) + perf_counter() - start

    def run_tasks(
        self,
        label: str,
        function: Callable[[Task], Json] | None,
        tasks: Mapping[str, Task],
        done: Mapping[str, bytes],
        *,
        build: Callable[[], Callable[[Task], Json]] | None = None,
        gpus: float = 0,
    ) -> list[Json]:
        """Run the tasks whose shard (the key) has no receipt in ``done``; all receipts, in key order.

        ``function`` writes its shard with `store.Stage.write` under the task's key and returns the
        receipt. With ``build`` actors make the function, each once, and ``function`` is not used.
        """
        receipts = {key: json.loads(done[key]) for key in tasks if key in done}
        left = [task for key, task in tasks.items() if key not in receipts]
        self.progress.step(label, len(tasks))
        self.progress.advance(len(receipts))
        with self.timed(label):
            if build is not None:
                results = self.executor.map_actors(build, left, gpus=gpus, note=self.progress.note)
            elif function is not None:
                results = self.executor.map(function, left, cpus=self.config.cluster.cpus_per_task)
            for receipt in results:
                receipts[receipt["shard"]] = receipt
                self.progress.advance()
        return [receipts[key] for key in sorted(tasks)]


@dataclass(frozen=True)
class StageDefinition:
    """A stage: what it writes, what must be there before it, and how it runs.

    ``run`` is given the context, the open stage and the receipts of shards that are already whole.
    ``needs`` names the stages that must be current for a configuration; ``tries`` those that are
    made current too, and that it goes on without where they fail; ``uses`` those whose results it
    reads where they are complete. ``sections`` names the configuration sections that
    its result depends on; ``inputs`` the outside files and folders it reads.
    """

    name: str
    tables: tuple[str, ...]
    sections: tuple[str, ...]
    run: Callable[[Context, Flow], Outcome] | None = None
    old: Any = None
    needs: Callable[[Config], tuple[str, ...]] = lambda config: ()
    tries: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    inputs: Callable[[Config], Sequence[str]] = lambda config: ()


__all__ = ["Context", "Old", "Outcome", "Progress", "Silent", "StageDefinition", "Table"]
