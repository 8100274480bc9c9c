"""Imports its neighbour relatively, so it only runs as a module."""

from . import model

print(model.NAME)
