"""Hostile input for every decoder: mutated examples, reproducible by seed. ``make fuzz`` runs ten million of them."""
