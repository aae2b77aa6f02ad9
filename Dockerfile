# Airflow with this project in it, from the hashed lock alone. The same image runs every Airflow
# service of docker-compose.yml.
FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1
WORKDIR /opt/customer-marts
RUN python -m venv /opt/venv
ENV VIRTUAL_ENV=/opt/venv PATH=/opt/venv/bin:$PATH
# The dependencies are a layer of their own: a change of our code does not install them again.
COPY requirements-docker.lock ./
RUN sed -n '/^uv==/,/^ *# via/p' requirements-docker.lock > /tmp/uv.txt \
    && pip install --require-hashes --only-binary :all: --requirement /tmp/uv.txt \
    && uv pip sync --require-hashes --only-binary :all: --compile-bytecode requirements-docker.lock
COPY pyproject.toml LICENSE ./
COPY dags dags
COPY dbt_project dbt_project
COPY expectations expectations
COPY scripts scripts
# Editable: the package finds dbt_project/ and expectations/ beside it, as in a checkout.
RUN uv pip install --no-deps --no-build-isolation --editable .

FROM python:3.11-slim-bookworm
ENV VIRTUAL_ENV=/opt/venv PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/customer-marts/dags \
    AIRFLOW__CORE__LOAD_EXAMPLES=False \
    DO_NOT_TRACK=1 \
    MARTS_HOME=/var/lib/customer-marts
# 50000 is the user id of Airflow's own images, so that volumes can be shared with them.
RUN useradd --uid 50000 --gid 0 --home-dir /opt/airflow --create-home --shell /bin/bash airflow \
    && install --directory --owner airflow --group 0 --mode 0770 \
        /opt/airflow/logs /var/lib/customer-marts
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/customer-marts /opt/customer-marts
WORKDIR /opt/customer-marts
USER 50000:0
# No EXPOSE, HEALTHCHECK or default service: docker-compose.yml gives each service its own.
CMD ["airflow", "version"]
