"""Seeded faults against a real Kafka, workers and a replay; what comes out must be what an undisturbed pass computes.

`stream` makes the input, `schedule` the faults, `installation` runs it all, `expected` is the undisturbed pass and
`comparison` holds both against each other.
"""
