"""Alerts: rules over forecasts, what they open and resolve, and where that goes."""
