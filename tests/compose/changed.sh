#!/bin/sh
# Whether commits of the last six hours changed what the check of docker compose covers: 0 yes, 1 no.
# In a younger repository everything counts as changed.
cd "$(dirname "$0")/../.." || exit 2
base=$(git rev-list -1 --before='6 hours ago' HEAD) || exit 2
[ -n "$base" ] || exit 0
! git diff --quiet "$base" HEAD -- Dockerfile .dockerignore docker-compose.yaml app/runtime/compose_env.py \
    requirements.lock tests/compose
