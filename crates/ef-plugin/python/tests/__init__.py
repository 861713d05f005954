"""The bridge's own tests: `python -m unittest discover tests -t .` in the folder above."""
