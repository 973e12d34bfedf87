"""The whole configuration, put together from the sections that stand beside their code."""

from typing import Annotated

from msgspec import Meta
from msgspec.structs import replace

from detray.audit.settings import AuditSettings
from detray.clean.settings import CleanSettings
from detray.cluster.settings import ClusterSettings
from detray.detectors.settings import DetectorSettings, PredictSettings, TrainSettings
from detray.diagnose.settings import DiagnoseSettings
from detray.evaluate.settings import EvaluateSettings
from detray.formats.settings import DatasetSettings
from detray.report.settings import ReportSettings
from detray.settings import Section
from detray.split.settings import DivideSettings
from detray.store import absolute
from detray.tune.settings import TuneSettings


class Config(Section, frozen=True):
    """One configuration file."""

    name: Annotated[str, Meta(min_length=1, max_length=200, description="goes into the column run of every table")] = (
        "detray"
    )
    output: Annotated[str, Meta(min_length=1, description="folder or URI of the results")] = "out/detray"
    hive: Annotated[
        str | None,
        Meta(
            description="folder or URI that gets the tables of every stage too, partitioned by run:"
            " STAGE/TABLE/run_id=ID/part-*.parquet; null: none"
        ),
    ] = None
    dataset: DatasetSettings = DatasetSettings()
    cluster: ClusterSettings = ClusterSettings()
    audit: AuditSettings = AuditSettings()
    split: DivideSettings = DivideSettings()
    detector: DetectorSettings = DetectorSettings()
    train: TrainSettings = TrainSettings()
    predict: PredictSettings = PredictSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    diagnose: DiagnoseSettings = DiagnoseSettings()
    tune: TuneSettings = TuneSettings()
    clean: CleanSettings = CleanSettings()
    report: ReportSettings = ReportSettings()


def anchored(config: Config) -> Config:
    """``config`` with every path that is relative to the current directory made absolute.

    Workers have directories of their own, and the configuration written beside the results must
    run from anywhere. Paths below ``dataset.root`` stay relative to it.
    """

    def there(place: str | None) -> str | None:
        return place and absolute(place)

    def place(stated: dict[int, int] | str | None) -> dict[int, int] | str | None:
        return there(stated) if isinstance(stated, str) else stated

    return replace(
        config,
        output=absolute(config.output),
        hive=there(config.hive),
        dataset=replace(config.dataset, root=absolute(config.dataset.root)),
        detector=replace(
            config.detector,
            path=there(config.detector.path),
            weights=there(config.detector.weights),
            io=replace(config.detector.io, anchors=there(config.detector.io.anchors)),
        ),
        predict=replace(config.predict, category_map=place(config.predict.category_map)),
        evaluate=replace(
            config.evaluate,
            against=there(config.evaluate.against),
            hierarchy=there(config.evaluate.hierarchy),
            image_labels=there(config.evaluate.image_labels),
            expect_file=there(config.evaluate.expect_file),
        ),
        clean=replace(config.clean, decisions=tuple(map(absolute, config.clean.decision_files)) or None),
        diagnose=replace(
            config.diagnose,
            train_detections=there(config.diagnose.train_detections),
            base_detections=there(config.diagnose.base_detections),
        ),
    )
