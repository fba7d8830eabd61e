# The wheel is built and installed in one stage, and the second one gets the result without pip's leavings.
FROM python:3.13-slim AS build
WORKDIR /src
RUN python -m venv /opt/helpdesk
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY alembic alembic
COPY connectors connectors
COPY helpdesk helpdesk
COPY workers workers
RUN /opt/helpdesk/bin/pip install --no-cache-dir --disable-pip-version-check -c constraints.txt .

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin helpdesk \
    && install -d -o helpdesk -g helpdesk -m 700 /data
COPY --from=build /opt/helpdesk /opt/helpdesk
ENV PATH=/opt/helpdesk/bin:$PATH HELPDESK_DATA=/data PYTHONUNBUFFERED=1
USER helpdesk
# No `.env` of the host is read here: settings are the container's environment.
WORKDIR /data
VOLUME /data
EXPOSE 8000 2525
# For `up` and `api`. A worker listens on nothing; compose.yaml switches the check off for it.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/ready', timeout=4)"]
ENTRYPOINT ["helpdesk"]
CMD ["up", "--host", "0.0.0.0"]
