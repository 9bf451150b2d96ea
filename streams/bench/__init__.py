"""What `cascadecast bench` measures: one file a subject, each with a `run` that returns rows."""
