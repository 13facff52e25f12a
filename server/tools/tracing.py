"""Traces of every call for whoever names a collector: the SDK makes the spans, here they get an exporter. Off unless asked.

A span tells the method, the tool, and how it ended; never arguments or answers.
"""

import os
from collections.abc import Mapping

from server.errors import InvalidInput

ASKED = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""OpenTelemetry's own variables, see https://opentelemetry.io/docs/specs/otel/protocol/exporter/."""


def trace_if_asked(environment: Mapping[str, str] = os.environ) -> bool:
    """Send spans to the collector that the environment names, over HTTP; whether it names one.

    Raises:
        InvalidInput: it names one, and the libraries for it are not installed.
    """
    if not any(environment.get(name) for name in ASKED):
        return False
    try:
        from opentelemetry import trace  # noqa: PLC0415 - most servers do without
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - as above
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - as above
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - as above
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - as above
    except ImportError as error:
        raise InvalidInput(
            f"{' or '.join(ASKED)} asks for traces, and {error.name} is not installed. "
            "Install opentelemetry-sdk and opentelemetry-exporter-otlp-proto-http, or unset the variable."
        ) from error
    named = Resource.create({"service.name": environment.get("OTEL_SERVICE_NAME", "anomalyst")})
    provider = TracerProvider(resource=named)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return True
