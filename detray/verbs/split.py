"""The stage ``split``."""

from detray.flow.data import names_of
from detray.flow.flow import Flow
from detray.formats.resolve import resolve, stated_path
from detray.formats.selecting import Parts, one_numbering
from detray.split.flow import split
from detray.split.steps import DivideWork
from detray.verbs.base import Context, Outcome, StageDefinition


def check(context: Context) -> None:
    """Refuse splits that cannot be one."""
    Parts(tuple(resolve(context.config.dataset)), {}, "").check()


def run(context: Context, flow: Flow) -> Outcome:
    """Hand the flow the settings, and how the data set's format is written."""
    config, store = context.config, context.store
    dataset = config.dataset
    folder = f"{(store.root if '://' in store.root else store.path()).rstrip('/')}/{STAGE.name}"
    sources = tuple(resolve(dataset))
    names = one_numbering({source.split: names_of(flow.data, source.split) for source in sources}, sources[0].format)
    root = stated_path(dataset.root, ".", "dataset.root", folder=True)
    label_map = dataset.label_map and stated_path(dataset.label_map, dataset.root, "dataset.label_map")
    work = DivideWork(
        flow.data, config.name, config.split, Parts(sources, names, folder), root, dataset.also, label_map
    )
    return split(flow, work, folder)


STAGE = StageDefinition(
    name="split",
    tables=("divided",),
    sections=("split", "dataset"),
    run=run,
    check=check,
    needs=lambda config: ("audit",),
    is_for_people=True,
)
