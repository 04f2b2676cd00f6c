"""The results of a simulated experiment beside the truth, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from services.router.commands.simulated_visitors import Sent, Truth

SURE: Final = 0.95
"""The probability to be the best variant with which a bandit has found it."""


def finding(results: Any) -> str:
    """Return what the results say of the treatment: better, worse, or why neither is shown."""
    if results.get("bandit"):
        control, treatment = (each["best"] for each in results["bandit"]["variants"])
        if max(control, treatment) < SURE:
            return "no difference shown"
        return "better" if treatment > control else "worse"
    by_metric = (results.get("preferences") or results["metrics"])[0]
    return str(by_metric["variants"][1]["comparison"]["verdict"])


def best(results: Any) -> str:
    """Return the probability and the share of a bandit's treatment; empty for another design."""
    if not results.get("bandit"):
        return ""
    control, treatment = results["bandit"]["variants"]
    share = treatment["weight"] / (control["weight"] + treatment["weight"])
    return f", the best with {treatment['best']:.1%}, a share of {share:.0%}"


def report(name: str, truth: Truth, sent: Sent, results: Any) -> str:
    """Return the truth and the results as a table of text."""
    parts = _split
    if results.get("bandit") or results.get("preferences"):
        parts = _bandit if results.get("bandit") else _preferences
    return "\n".join([f"{name}: {sent.count} visitors", *parts(truth, sent, results)]) + "\n"


def _split(truth: Truth, sent: Sent, results: Any) -> list[str]:
    rows = results["metrics"][0]["variants"]
    units = [each["units"] for each in results["units"]]
    comparison = rows[1]["comparison"]
    relative, look = comparison["relative"], comparison["one_look"]["relative"]
    effect = _percent(truth.treatment / truth.control - 1)
    return [
        *_means(truth, sent, rows, units),
        f"relative effect: true {effect}, estimated {_percent(relative['value'])}",
        f"  95 % at any look: {_percent(relative['low'])} to {_percent(relative['high'])}",
        f"  finding: {comparison['verdict']}",
        f"  95 % at one look: {_percent(look['low'])} to {_percent(look['high'])}",
        f"sample ratio p: {results['health']['sample_ratio_p']}",
        *results["health"]["problems"],
    ]


def _means(truth: Truth, sent: Sent, rows: Any, units: Sequence[int]) -> Iterator[str]:
    """Yield a line for each variant: its visitors, their events, and the mean beside the truth."""
    yield "variant      sent  counted  events  mean     true"
    for row, counted in zip(rows, units, strict=True):
        variant = row["variant"]
        visitors = sent.visitors[variant]
        actions = sent.shown[variant] / visitors if sent.shown[variant] else 1.0
        yield (
            f"{variant:10} {visitors:6} {counted:8} {sent.events[variant]:7}  "
            f"{row['mean']['value'] or 0:.4f}   {truth.rate(variant) * actions:.4f}"
        )


def _preferences(truth: Truth, sent: Sent, results: Any) -> list[str]:
    rows = results["preferences"][0]["variants"]
    lines = ["variant      clicks  credited  true rate"]
    for row in rows:
        variant = row["variant"]
        lines.append(f"{variant:10} {sent.events[variant]:8} {row['credit']:9.0f}  {truth.rate(variant):.4f}")
    preference = rows[1]["comparison"]
    return [
        *lines,
        f"prefer the treatment: sent {sent.wins}, counted {preference['wins']}",
        f"prefer the control: sent {sent.losses}, counted {preference['losses']}",
        f"  p at any look: {_p(preference['p'])}; at one look: {_p(preference['one_look_p'])}",
        f"  finding: {preference['verdict']}",
    ]


def _bandit(truth: Truth, sent: Sent, results: Any) -> list[str]:
    variants, periods = results["bandit"]["variants"], results["bandit"]["periods"]
    return [
        *_means(truth, sent, variants, [each["units"] for each in variants]),
        *(f"{each['variant']} is the best with a probability of {each['best']:.1%}" for each in variants),
        *(
            f"  version {each['version']}: weight {each['weights']['treatment']:.2f} of the treatment, "
            f"{sum(each['units'].values())} visitors"
            for each in periods
        ),
        f"  {sent.visitors['treatment'] / sent.count:.0%} of the visitors got the treatment",
        *results["health"]["problems"],
    ]


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:+.1%}"


def _p(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
