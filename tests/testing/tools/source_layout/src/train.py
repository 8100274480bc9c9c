"""Imports its own package by the name `src`, so it only runs as a module."""

from src.model import NAME

print(NAME)
