"""The engine of one partition, without Kafka: event time, what is due, and the models that answer."""
