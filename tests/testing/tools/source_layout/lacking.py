"""Imports a package that no one has."""

import numpie_for_tests.linalg  # noqa: F401
