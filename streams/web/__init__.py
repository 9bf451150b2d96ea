"""The live page of a worker and the JSON API behind it."""
