"""Calls drawn at random, right and wrong ones, each held to what the docstrings say: see `__main__.py`."""
