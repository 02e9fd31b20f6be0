"""The table of all rules. Each is a function of the facts about a run that returns a finding, or
None if the facts do not show it."""

from __future__ import annotations

from collections.abc import Callable

from fastnn._report import curve_rules, data_rules, layer_rules
from fastnn._report.facts import RunFacts
from fastnn._report.finding import Finding

Rule = Callable[[RunFacts], Finding | None]

RULES: tuple[Rule, ...] = (
    curve_rules.find_divergence,
    curve_rules.find_high_learning_rate,
    curve_rules.find_low_learning_rate,
    curve_rules.find_overfitting,
    curve_rules.find_underfitting,
    curve_rules.find_early_end,
    curve_rules.find_convergence,
    layer_rules.find_vanishing_gradients,
    layer_rules.find_exploding_gradients,
    layer_rules.find_dead_units,
    layer_rules.find_saturated_units,
    data_rules.find_unscaled_inputs,
    data_rules.find_unscaled_targets,
    data_rules.find_sorted_rows,
    data_rules.find_constant_predictions,
    data_rules.find_class_imbalance,
)


def find_all(facts: RunFacts) -> list[Finding]:
    """The findings of all rules."""
    found = (rule(facts) for rule in RULES)
    return [finding for finding in found if finding is not None]
