"""A worker: partitions owned, events taken in, forecasts made and published, between Faust's callbacks."""
