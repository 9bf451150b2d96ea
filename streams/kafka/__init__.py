"""The ways to Kafka that all of us share: clients, security, topics as declared, partitions of keys."""
