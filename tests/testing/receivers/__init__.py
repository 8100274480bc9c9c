"""Programs as their authors write them, one for each library that reads a command line."""

import sys

from absl import logging

# Whoever sets up logging closes the streams of all handlers: absl's is the one that pytest shows here.
logging.get_absl_handler().python_handler.stream = sys.__stderr__
