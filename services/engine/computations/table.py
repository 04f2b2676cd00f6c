"""The computations that jobs run, each with the types of its input and of its result."""

from __future__ import annotations

from services.engine.computations import (
    attribution_report,
    batch_inference,
    batch_segment,
    dataset_export,
    dataset_import,
    import_attribution,
    model_deletion,
    model_training,
    row_deletion,
)
from services.engine.computations.batch_inference import LineCounts
from services.engine.computations.batch_scoring import InferenceSpec
from services.engine.computations.computation import Computation, Result
from services.engine.computations.training_data import TrainingSpec

ATTRIBUTION_REPORT = Computation(
    "attribution report", attribution_report.Spec, attribution_report.Report, attribution_report.run
)
BATCH_INFERENCE = Computation("batch inference", InferenceSpec, LineCounts, batch_inference.run)
BATCH_SEGMENT = Computation("batch segment", batch_segment.Spec, LineCounts, batch_segment.run)
DATASET_EXPORT = Computation(
    "dataset export", dataset_export.Spec, dataset_export.Exported, dataset_export.run
)
DATASET_IMPORT = Computation(
    "dataset import", dataset_import.Spec, dataset_import.Imported, dataset_import.run
)
IMPORT_ATTRIBUTION = Computation(
    "import attribution", import_attribution.Spec, Result, import_attribution.run
)
MODEL_DELETION = Computation(
    "model deletion", model_deletion.Spec, model_deletion.ModelsRewritten, model_deletion.run
)
MODEL_TRAINING = Computation("model training", TrainingSpec, model_training.Trained, model_training.run)
ROW_DELETION = Computation("row deletion", row_deletion.Spec, row_deletion.RowsDeleted, row_deletion.run)
