"""What became of forecasts: kept until the truth is known, scored, learned from, and verified by a path of its own."""
