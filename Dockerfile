# One image for every component of Airflow and for the command `goodstanding`.

FROM python:3.11-slim-bookworm AS build

WORKDIR /opt/goodstanding
COPY pyproject.toml requirements.lock ./

# The lock also lists the packages of the tests; the image gets only the run-time packages, and setuptools to
# install the project. Compiled bytecode makes every start two to three times faster.
RUN pinned() { awk -v name="^$1==" '/^[^ ]/ {keep = $0 ~ name} keep' requirements.lock; } \
 && pinned uv > /tmp/uv.txt \
 && pinned setuptools > /tmp/setuptools.txt \
 && python -m venv /opt/uv \
 && /opt/uv/bin/pip install --no-cache-dir --require-hashes -r /tmp/uv.txt \
 && python -m venv --without-pip /opt/venv \
 && /opt/uv/bin/uv pip install --no-cache --python /opt/venv/bin/python --compile-bytecode \
    --require-hashes --constraint requirements.lock --requirement pyproject.toml --requirement /tmp/setuptools.txt

# Editable, because the code finds the DAGs, the SQL and the shops beside its packages.
COPY . .
RUN /opt/uv/bin/uv pip install --no-cache --python /opt/venv/bin/python --no-deps --no-build-isolation --editable . \
 && /opt/venv/bin/python -m compileall -q .


FROM python:3.11-slim-bookworm

# LightGBM needs OpenMP.
RUN apt-get update \
 && apt-get install -y --no-install-recommends libgomp1 \
 && rm -rf /var/lib/apt/lists/*

# The containers run as any user in group 0. A new volume starts as a copy of these folders, so that user can
# write to it.
RUN install -d -m 0775 -g 0 /var/lib/goodstanding /var/log/goodstanding

COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/goodstanding /opt/goodstanding

# The user may have no entry in /etc/passwd, so these set its name and home.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOME=/var/lib/goodstanding \
    USER=goodstanding \
    GOODSTANDING_HOME=/var/lib/goodstanding \
    GOODSTANDING_LANDING=/landing

WORKDIR /opt/goodstanding
USER 50000:0
ENTRYPOINT ["python", "-m", "app.runtime.airflow_env"]
CMD ["airflow", "version"]
