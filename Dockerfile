# An image that works: `docker build --tag rushes .`, then compose.yaml, or
#     docker run --env-file .env --volume rushes:/var/lib/rushes rushes
# The first stage holds what is needed to install, and is thrown away.

# The Python that the tests run on.
FROM python:3.11-slim AS build
RUN python -m pip install --no-cache-dir --disable-pip-version-check uv \
    && python -m venv --without-pip /opt/rushes
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src ./src
# By uv, because pip takes no constraints with hashes for a package that lies in a folder.
RUN python -m uv pip install --no-cache --python /opt/rushes/bin/python \
        --constraint constraints.txt --build-constraint constraints.txt '.[azure,otel]'

FROM python:3.11-slim
# Numbers, so that whoever forbids root can see that this is not root.
RUN groupadd --gid 10001 rushes \
    && useradd --uid 10001 --gid 10001 --home-dir /var/lib/rushes --no-create-home --shell /usr/sbin/nologin rushes \
    && install --directory --owner=10001 --group=10001 --mode=0700 /var/lib/rushes /srv/media
COPY --from=build /opt/rushes /opt/rushes
ENV PATH=/opt/rushes/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    RUSHES_HOME=/var/lib/rushes \
    RUSHES_LOG_LEVEL=info \
    RUSHES_LOG_FORMAT=json
WORKDIR /var/lib/rushes
USER 10001:10001
VOLUME /var/lib/rushes
# It drains: a create that is on its way is waited for. Allow 120 s before a kill.
STOPSIGNAL SIGTERM
# Of `serve --host 0.0.0.0`, which refuses to start before there is a key: `rushes keys create NAME`.
EXPOSE 8000
# Whether a worker could work: the database answers, and its tables are of this release. For `serve`, compose.yaml asks
# its /ready instead.
HEALTHCHECK --interval=60s --timeout=20s --start-period=30s --retries=3 \
    CMD ["rushes", "db", "upgrade", "--check", "--log-level", "error"]
ENTRYPOINT ["rushes"]
CMD ["worker"]
