"""Event files and captured streams, published again."""
