#!/usr/bin/env bash
set -euo pipefail
# Nextflow stages the object as a link in the folder of the task; runs stay in that folder too.
export CELLFERRY_HOME=.cellferry
cellferry annotate "$object" --group-key "$group_key" --out "$prefix" --quiet $arguments
printf '"%s":\n    cellferry: ' "$process_name" > versions.yml
cellferry --version | sed 's/.* //' >> versions.yml
