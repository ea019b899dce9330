#!/bin/sh
# Ends with 0 where commits of the last six hours changed a file that the check of docker compose covers, else
# with 1: the image and its packages, the compose file, and the modules that containers call by their names.
# In a younger repository everything counts as changed.
cd "$(dirname "$0")/../.." || exit 2
base=$(git rev-list -1 --before='6 hours ago' HEAD) || exit 2
[ -n "$base" ] || exit 0
! git diff --quiet "$base" HEAD -- Dockerfile .dockerignore docker-compose.yaml pyproject.toml \
    requirements.lock app/runtime/compose_env.py app/runtime/airflow_env.py app/runtime/airflow_api.py \
    app/runtime/keys.py tests/compose
