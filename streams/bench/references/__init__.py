"""What users would write instead, run by ``cascadecast bench pipeline`` on the same core over the same topic."""
