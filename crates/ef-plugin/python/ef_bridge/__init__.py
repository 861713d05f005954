"""Serves evaluators and judges written in Python to ef, over the plugin protocol (docs/plugins.md)."""
