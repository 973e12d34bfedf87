"""The learning rate's schedule, the number of steps and the batch size do not fit each other.

Failure: a schedule that ends before the training leaves the rest of it at a rate of 0, one that ends long after leaves
the rate high; a warm-up that is longer than the training never reaches the rate. A batch of 4 with the rate that the
model zoo has for 128 diverges or forgets the pretrained weights, and a class with few boxes goes first.
Number: total_steps against num_steps (the rate that is left at the end, at least `max_left` of the base); warmup_steps,
and steps of a manual schedule, against num_steps; images that num_steps x batch_size see; the rate against that of the
base configuration of the same backbone, scaled with the batch (with its root for Adam), off by `max_ratio` or more.
Source: object_detection/utils/learning_schedules.py; the configurations in object_detection/configs/tf2; Goyal et al.,
Accurate, Large Minibatch SGD, 2017; Malladi et al., 2022 for Adam.
"""

from collections.abc import Iterator, Sequence

from detray.audit.pipeline import StatedPipeline
from detray.audit.rule import ERROR, INFO, SUSPECT, WARNING, Fact, Limits, SummaryRule, Threshold
from detray.audit.rules.pipeline.told import told
from detray.audit.summary import Summary
from detray.pipeline.schedule import Schedule, base_of, cosine_share, schedule_of

TRAIN = "train"


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    pipeline = data.pipeline
    if pipeline is None or "train_config" not in pipeline.file.lines:
        return []
    schedule = schedule_of(pipeline.file.config.train_config.optimizer)
    facts = [*_length(pipeline, data.n_images(TRAIN) if TRAIN in data.splits else 0)]
    if schedule is not None:
        facts += [*_cosine(pipeline, schedule, limits), *_steps(pipeline, schedule), *_rate(pipeline, schedule, limits)]
    return facts


def _length(pipeline: StatedPipeline, n_images: int) -> Iterator[Fact]:
    file, train = pipeline.file, pipeline.file.config.train_config
    place = "train_config.num_steps"
    if train.num_steps == 0:
        observed = "num_steps is 0, with which the TF2 trainer stops at once unless it is given --num_train_steps"
        yield told(pipeline, "endless", observed, file.write(place, "10000"))
    elif (seen := train.num_steps * train.batch_size) < n_images:
        observed = f"{train.num_steps} steps of {train.batch_size} images see {seen} of {n_images} training images"
        fix = file.write(place, str(-(-20 * n_images // max(train.batch_size, 1)))) + ", which is 20 epochs"
        yield told(pipeline, "epochs", observed, fix, severity=WARNING)


def _cosine(pipeline: StatedPipeline, schedule: Schedule, limits: Limits) -> Iterator[Fact]:
    cosine, file = schedule.stated.cosine_decay_learning_rate, pipeline.file
    if cosine is None:
        return
    n, total, warmup = file.config.train_config.num_steps, cosine.total_steps, cosine.warmup_steps
    base, place = cosine.learning_rate_base, schedule.place
    if total < warmup:
        observed = f"total_steps {total} is below warmup_steps {warmup}, which the API refuses"
        yield told(pipeline, "refused", observed, file.write(f"{place}.warmup_steps", str(total // 20)), severity=ERROR)
    elif warmup and base < cosine.warmup_learning_rate:
        observed = f"learning_rate_base {base:g} is below warmup_learning_rate {cosine.warmup_learning_rate:g}"
        fix = file.write(f"{place}.warmup_learning_rate", f"{base / 3:.3g}")
        yield told(pipeline, "refused", f"{observed}, which the API refuses", fix, severity=ERROR)
    elif n and total < n:
        observed = f"the rate is 0 from step {total} on: the last {n - total} of {n} steps learn nothing"
        yield told(pipeline, "short", observed, file.write(f"{place}.total_steps", str(n)), count=n - total)
    elif (
        n and n > warmup and (left := cosine_share(n, total, warmup, cosine.hold_base_rate_steps)) >= limits["max_left"]
    ):
        observed = f"training ends at step {n} of the schedule's {total}, with {left:.0%} of the rate left"
        fix = file.write(f"{place}.total_steps", str(n))
        yield told(pipeline, "long", observed, fix, threshold="max_left")


def _steps(pipeline: StatedPipeline, schedule: Schedule) -> Iterator[Fact]:
    """Warm-ups and steps that lie behind the training's end."""
    file, n, stated = pipeline.file, pipeline.file.config.train_config.num_steps, schedule.stated
    cosine, falling, manual = (
        stated.cosine_decay_learning_rate,
        stated.exponential_decay_learning_rate,
        stated.manual_step_learning_rate,
    )
    warmup = [("warmup_steps", cosine.warmup_steps)] if cosine else []
    warmup += [("burnin_steps", falling.burnin_steps)] if falling else []
    for name, steps in warmup if n else []:
        if steps >= n and not (cosine and cosine.total_steps < steps):
            observed = f"{name} is {steps} and training ends at step {n}, before the rate reaches {schedule.rate:g}"
            yield told(pipeline, "warmup", observed, file.write(f"{schedule.place}.{name}", str(n // 20)))
    late = [one.step for one in manual.schedule if n and one.step >= n] if manual else []
    if late:
        observed = f"the rate's step at {late[0]} lies behind the training's end at {n}"
        fix = f"write `step: {n * 2 // 3}` in {file.at(f'{schedule.place}.schedule[0]')}"
        yield told(pipeline, "late", observed, fix, count=len(late), severity=SUSPECT)


def _rate(pipeline: StatedPipeline, schedule: Schedule, limits: Limits) -> Iterator[Fact]:
    file, train = pipeline.file, pipeline.file.config.train_config
    base = base_of(file.architecture) if file.architecture is not None else None
    if base is None or not train.batch_size or not schedule.rate:
        return
    fitting = schedule.fitting(base, train.batch_size)
    ratio = max(schedule.rate / fitting, fitting / schedule.rate)
    if not ratio >= limits["max_ratio"]:  # nor where the rate is no number
        return
    is_high = schedule.rate > fitting
    observed = (
        f"a rate of {schedule.rate:g} for {train.batch_size} images a step is {ratio:.1f} times too"
        f" {'high' if is_high else 'low'} by {base.name}, which has {base.learning_rate:g} for {base.batch_size}"
    )
    fix = file.write(f"{schedule.place}.{schedule.field}", f"{fitting:.2g}")
    cosine = schedule.stated.cosine_decay_learning_rate
    if cosine is not None and cosine.warmup_steps and cosine.warmup_learning_rate > fitting:  # which the API refuses
        fix += f" and `warmup_learning_rate: {fitting / 3:.2g}`"
    yield told(pipeline, "rate", observed, fix, severity=WARNING if is_high else INFO, threshold="max_ratio")


RULE = SummaryRule(
    code="pipeline-schedule",
    family="pipeline",
    severity=WARNING,
    scope="dataset",
    problem="steps, learning rate and batch size do not fit each other",
    fix="let total_steps equal num_steps, and the rate grow with the batch",
    doc=__doc__,
    thresholds=(
        Threshold("max_ratio", 4.0, "times", 1.0, 1e6, "from this factor on the rate is not what the batch asks for"),
        Threshold("max_left", 0.25, "of the rate", 0.0, 1.0, "from this share on too much is left at the end"),
    ),
    check=_check,
)
