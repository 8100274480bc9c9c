#!/bin/sh
# Halves a number so many times.
set -e
steps=1
[ "$1" != --steps ] || steps=$2
value=$(awk -v steps="$steps" 'BEGIN { value = 1; for (step = 0; step < steps; step++) value /= 2; print value }')
echo "$value"
echo "{\"value\": $value}" >"${EXPERIMENTSTASH_RUN_DIR:-.}/metrics.json"
