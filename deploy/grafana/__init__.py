"""The dashboards: typed Python, and beside it the JSON that Grafana reads.

``python -m deploy.grafana`` writes the JSON anew.
"""
