#!/bin/sh
# A shell script that is told all by its variables.
set -eu
printf '{"sum": %s, "label": "%s"}\n' "$((COUNT_FROM + COUNT_STEP__SIZE))" "$COUNT_LABEL" > "$EXPERIMENTSTASH_RUN_DIR/metrics.json"
