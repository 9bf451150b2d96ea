"""Alerts on posts that will be large: a ranker, and how good its alerts are beside those people use today."""

from forecasters.alerting.evaluation import AlertEvaluation, evaluate_alerts
from forecasters.alerting.growth_curves import GrowthCurves
from forecasters.alerting.plan import AlertPlan
from forecasters.alerting.ranker import AlertRanker

__all__ = ["AlertEvaluation", "AlertPlan", "AlertRanker", "GrowthCurves", "evaluate_alerts"]
