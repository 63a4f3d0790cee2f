"""The configuration schema, generated from the top-level protos/ by scripts/make_protos.py."""
