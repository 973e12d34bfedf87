"""The whole configuration, put together from the sections that stand beside their code."""

from typing import Annotated

from msgspec import Meta

from detray.audit.settings import AuditSettings
from detray.clean.settings import CleanSettings
from detray.cluster.settings import ClusterSettings
from detray.detectors.settings import DetectorSettings, PredictSettings, TrainSettings
from detray.diagnose.settings import DiagnoseSettings
from detray.evaluate.settings import EvaluateSettings
from detray.formats.settings import DatasetSettings
from detray.report.settings import ReportSettings
from detray.settings import Section
from detray.tune.settings import TuneSettings


class Config(Section, frozen=True):
    """One configuration file."""

    name: Annotated[str, Meta(min_length=1, max_length=200, description="goes into the column run of every table")] = (
        "detray"
    )
    output: Annotated[str, Meta(min_length=1, description="folder or URI of the results")] = "out/detray"
    dataset: DatasetSettings = DatasetSettings()
    cluster: ClusterSettings = ClusterSettings()
    audit: AuditSettings = AuditSettings()
    detector: DetectorSettings = DetectorSettings()
    train: TrainSettings = TrainSettings()
    predict: PredictSettings = PredictSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    diagnose: DiagnoseSettings = DiagnoseSettings()
    tune: TuneSettings = TuneSettings()
    clean: CleanSettings = CleanSettings()
    report: ReportSettings = ReportSettings()
