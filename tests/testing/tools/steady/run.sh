#!/bin/sh
# Runs the tool as many users' scripts do: neither with exec nor with a trap.
"$PYTHON" "$(dirname "$0")/main.py" "$@"
echo "the script goes on"
