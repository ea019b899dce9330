# One image for every component of Airflow and for the command `goodstanding`.

FROM python:3.11-slim-bookworm AS build

WORKDIR /opt/goodstanding
COPY pyproject.toml requirements.lock ./

# The lock also has what the tests need; the image gets what the project needs at run time, and setuptools to
# make the project known to Python. Compiled bytecode makes every start two to three times faster.
RUN pinned() { awk -v name="^$1==" '/^[^ ]/ {keep = $0 ~ name} keep' requirements.lock; } \
 && pinned uv > /tmp/uv.txt \
 && pinned setuptools > /tmp/setuptools.txt \
 && python -m venv /opt/uv \
 && /opt/uv/bin/pip install --no-cache-dir --require-hashes -r /tmp/uv.txt \
 && python -m venv --without-pip /opt/venv \
 && /opt/uv/bin/uv pip install --no-cache --python /opt/venv/bin/python --compile-bytecode \
    --require-hashes --constraint requirements.lock --requirement pyproject.toml --requirement /tmp/setuptools.txt

# Editable: the DAGs, the SQL and the shops lie beside the packages and are found from there.
COPY . .
RUN /opt/uv/bin/uv pip install --no-cache --python /opt/venv/bin/python --no-deps --no-build-isolation --editable . \
 && /opt/venv/bin/python -m compileall -q .


FROM python:3.11-slim-bookworm

# LightGBM computes with OpenMP.
RUN apt-get update \
 && apt-get install -y --no-install-recommends libgomp1 \
 && rm -rf /var/lib/apt/lists/*

# Whatever user the containers run as has group 0, so volumes that begin as copies of these are theirs to write.
RUN install -d -m 0775 -g 0 /var/lib/goodstanding /var/log/goodstanding

COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/goodstanding /opt/goodstanding

# The user may have no entry in /etc/passwd: its name and home are given here.
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
