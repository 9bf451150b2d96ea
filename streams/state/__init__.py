"""The durable state of a partition: a log of segments, how it is written, read, exported and verified."""
