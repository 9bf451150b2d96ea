"""``cascadecast demo``: an embedded Kafka, workers, a stream and a live view, started and ended as one."""
