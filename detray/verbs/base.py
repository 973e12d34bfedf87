"""What a stage is, and what it is given."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from detray.flow.executor import Executor
from detray.flow.flow import Flow
from detray.flow.outcome import Outcome, Progress, Silent, Table
from detray.store import Store
from detray.verbs.config import Config
from detray.verbs.engine import Engine


@dataclass
class Context:
    """What a stage may use; ``engine`` chooses another executor for each stage, where there is one.

    ``command`` is what a person wrote, as the shell takes it; with ``overwrite`` the results of another data set in the
    output folder are deleted.
    """

    config: Config
    store: Store
    executor: Executor
    progress: Progress = field(default_factory=Silent)
    trust_model: bool = False
    engine: Engine | None = None
    command: str = ""
    overwrite: bool = False


@dataclass(frozen=True)
class StageDefinition:
    """A stage: what it writes, what must be there before it, and how it runs.

    ``run`` takes from the context what its flow needs, and runs it. ``check`` refuses what can be known before any
    stage of the command starts.
    ``needs`` names the stages that must be current for a configuration; ``tries`` those that are
    made current too, and that it goes on without where they fail; ``uses`` those whose results it
    reads where they are complete (``stage/table``: that table, where it has rows). ``sections``
    names the configuration sections that its result depends on; ``inputs`` the outside files and
    folders it reads; ``pictures`` the folders of the data set's pictures, if it looks at these;
    ``gpus``: whether its tasks hold GPUs; ``modules``: what it imports that a plain install leaves out.
    ``is_for_people``: no other stage reads its files beside the tables, so a change of these is an edit and no
    damage. ``then`` says with which command a person goes on.
    """

    name: str
    tables: tuple[str, ...]
    sections: tuple[str, ...]
    run: Callable[[Context, Flow], Outcome]
    check: Callable[[Context], None] = lambda context: None
    needs: Callable[[Config], tuple[str, ...]] = lambda config: ()
    tries: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    inputs: Callable[[Config], Sequence[str]] = lambda config: ()
    pictures: Callable[[Config], Sequence[str]] = lambda config: ()
    gpus: Callable[[Config], bool] = lambda config: False
    modules: Callable[[Config], Sequence[str]] = lambda config: ()
    is_for_people: bool = False
    then: Callable[[Config, Outcome], str | None] = lambda config, outcome: None


def command(verb: str, config: Config) -> str:
    """The command that goes on with another verb from the same results."""
    return f"detray {verb} --output {shlex.quote(config.output)}"


__all__ = ["Context", "Outcome", "Progress", "Silent", "StageDefinition", "Table", "command"]
