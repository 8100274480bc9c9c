"""The model of a tool with a src layout."""

NAME = "a model"
