"""The results of an experiment, as the API returns them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from services.router.domain.metrics import Metric

Verdict = Literal["better", "worse", "no difference shown", "too few units"]


class Estimate(BaseModel):
    """An estimate with the ends of its 95 % interval; null where the units show nothing."""

    value: float | None
    low: float | None
    high: float | None


class OneLook(BaseModel):
    """Welch's t-test: valid if the time of this look was decided beforehand."""

    absolute: Estimate
    relative: Estimate
    p: float | None


class Comparison(BaseModel):
    """A variant against the first one. All but `one_look` is valid at any look."""

    absolute: Estimate
    relative: Estimate
    p: float | None = Field(description="always-valid p-value")
    adjusted_p: float | None = Field(
        description="by Benjamini and Hochberg: over the variants of the first metric, and over all others"
    )
    one_look: OneLook
    chance_to_win: float | None = Field(description="posterior probability that the variant is better")
    verdict: Verdict
    guardrail: Literal["safe", "harmed", "undecided"] | None = Field(
        description="only for a metric with a margin"
    )


class VariantMetric(BaseModel):
    """A metric of a variant."""

    variant: str
    mean: Estimate = Field(description="per unit; of a ratio, the ratio")
    comparison: Comparison | None = Field(description="null for the first variant")


class MetricResult(BaseModel):
    """A metric of all variants."""

    metric: Metric
    adjusted_by: float | None = Field(
        description="slope θ of CUPED: what is subtracted per unit of the same metric before the exposure; "
        "null without adjustment"
    )
    aa_false_positive_rate: float | None = Field(
        None,
        description="share of splits of the control into halves in which a t-test differs at 5 %: about "
        "0.05; null below a thousand people",
    )
    variants: list[VariantMetric]


class Preference(BaseModel):
    """The people who prefer a variant to the first one: more credit for items that it picked."""

    wins: int
    losses: int
    ties: int
    share: float | None = Field(description="(wins + ties / 2) / people, above 0.5 for the variant")
    low: float | None = Field(description="lower end of the 95 % interval of the share, by a bootstrap")
    high: float | None
    p: float | None = Field(description="of wins against losses, valid at any look")
    one_look_p: float | None = Field(description="exact sign test: valid for a look decided beforehand")
    verdict: Verdict


class VariantCredit(BaseModel):
    """The credit of a variant for the items that it picked."""

    variant: str
    credit: float
    comparison: Preference | None = Field(description="null for the first variant")


class PreferenceResult(BaseModel):
    """A metric of an interleaving experiment."""

    metric: Metric
    variants: list[VariantCredit]


class BanditVariant(BaseModel):
    """A variant of a bandit over all periods."""

    variant: str
    weight: float = Field(description="in the present period")
    units: int = Field(description="people whose time for a reward is over")
    mean: Estimate = Field(description="reward per person, each counted by 1 / propensity")
    best: float = Field(description="posterior probability to be the best variant")


class BanditPeriod(BaseModel):
    """The weights of a period, which is a version of the experiment."""

    version: int
    began_at: datetime
    weights: dict[str, float]
    units: dict[str, int]


class BanditResult(BaseModel):
    """The knowledge of a bandit."""

    next_at: datetime | None = Field(description="when the weights change next; null unless it runs")
    variants: list[BanditVariant]
    periods: list[BanditPeriod] = Field(description="the newest hundred, oldest first")


class Window(BaseModel):
    """A window of time of a switchback."""

    number: int = Field(description="windows since 1970")
    began_at: datetime
    variant: str
    people: int


class ShadowResult(BaseModel):
    """The answers of a variant that nobody saw, beside those that were shown to the same requests."""

    variant: str
    answers: int
    overlap: float | None = Field(None, description="mean share of the shown items that it has too")
    filled: float | None = Field(None, description="items of all answers over those that they could have had")
    distinct_items: int
    milliseconds: float | None = Field(None, description="median time of an answer")
    milliseconds_95: float | None = Field(None, description="95th percentile")
    shown_milliseconds: float | None = Field(None, description="median of the shown answers")
    shown_milliseconds_95: float | None = None


class VariantUnits(BaseModel):
    """The people of a variant."""

    variant: str
    weight: float
    units: int = Field(description="people who count: users, and visitors who did not log in")
    disabled: bool


class GroupSizes(BaseModel):
    """The sizes of the variants among people with something in common."""

    kind: Literal["day", "device"] = Field(
        description="day: of the first exposure, in UTC; device: mobile, tablet or desktop"
    )
    value: str
    units: dict[str, int] = Field(description="variant → people")
    p: float | None = Field(description="χ² test of the sizes, for one look; null below a hundred people")
    sequential_p: float | None = Field(description="the same for any number of looks")


class VariantAnswers(BaseModel):
    """The first answers to the units of a variant."""

    variant: str
    answers: int
    fallback_share: float = Field(
        description="share in which popular items stood in for those of the variant's strategy"
    )
    milliseconds: float = Field(description="median of their times, without HTTP")
    milliseconds_95: float = Field(description="95th percentile")


class VariantEvents(BaseModel):
    """Events by people of a variant of the metrics' types: models and popular lists learn from them."""

    variant: str
    events: int
    of_answers: float = Field(description="share of those that name an answer of the experiment by its id")


class Health(BaseModel):
    """Reasons to believe the results, or not to."""

    is_valid: bool
    problems: list[str] = Field(description="sentences; empty if nothing is wrong")
    sample_ratio_p: float | None = Field(description="χ² test of the sizes, for one look")
    sample_ratio_sequential_p: float | None = Field(description="the same for any number of looks")
    groups: list[GroupSizes] = Field([], description="people by the day of the first exposure, and by device")
    answers: list[VariantAnswers] = Field([], description="how the variants answer")
    events: list[VariantEvents] = Field([], description="the events that the answers of variants brought")
    crossed_units: int = Field(description="people who met several variants; they do not count")
    merged_units: int = Field(
        description="people who were exposed as a visitor and as a user; they count once"
    )
    bots: int = Field(description="people with more events on a day than a person has; they do not count")


class Planning(BaseModel):
    """The time that it takes to show an effect on the first metric, with a power of 80 %."""

    relative_effect: float
    required_units: int | None = Field(
        description="people of the first variant and of the smallest other one"
    )
    units: int
    days_left: float | None = Field(description="if people arrive as they did so far")
    detectable_effect: float | None = Field(description="the smallest relative effect that the units show")


class Triggered(BaseModel):
    """Results of people to whom some variant would have answered something else, from that answer on."""

    units: list[VariantUnits]
    sample_ratio_p: float | None = Field(description="χ² test of the sizes, for one look")
    sample_ratio_sequential_p: float | None = Field(description="the same for any number of looks")
    metrics: list[MetricResult]


class Results(BaseModel):
    """The results of a phase of an experiment."""

    name: str
    phase: int
    versions: list[int] = Field(description="the versions of the phase, which are one measurement")
    began_at: datetime | None
    counted_at: datetime | None = Field(
        None, description="when exposures and events were counted: now, or by the monitor for a large phase"
    )
    counted_until: datetime | None = Field(
        description="when its first variant was disabled; later exposures do not count"
    )
    units: list[VariantUnits]
    health: Health
    planning: Planning
    metrics: list[MetricResult] = Field(description="of a design that gives each unit one variant")
    triggered: Triggered | None = Field(None, description="only with trigger_share")
    preferences: list[PreferenceResult] = Field([], description="only of the design interleaving")
    bandit: BanditResult | None = Field(None, description="only of the design bandit")
    shadows: list[ShadowResult] = Field([], description="only of the design shadow")
    windows: list[Window] = Field(
        [], description="only of the design switchback, whose units are windows: the newest hundred"
    )


class DecisionRecord(BaseModel):
    """A decision, and the results that were known when it was made."""

    name: str
    version: int
    variant: str | None = Field(description="the variant that is kept; null for none")
    reason: str
    decided_by: str = Field(description="identifies the key of the caller")
    decided_at: datetime
    results: Results | None = Field(
        description="later events do not change them; null if they could not be read in time, or for a "
        "decision of a release that did not store them"
    )


class OffPolicyResult(BaseModel):
    """Estimated events per answer of a definition that nobody has seen."""

    placement: str
    experiment: str
    event: str
    answers: int
    effective_answers: float = Field(description="(Σw)² / Σw²: answers of the same precision without weights")
    support: float = Field(description="share of the definition's items that some variant shows")
    refusal: str | None = Field(None, description="why nothing is estimated; null if it is")
    logged: Estimate = Field(description="events per answer as it was")
    ips: Estimate = Field(description="by inverse propensities: items that no variant shows earn nothing")
    snips: Estimate = Field(description="self-normalised: they earn as much as the others")
    dr: Estimate = Field(description="doubly robust: they earn what their item did for other visitors")
