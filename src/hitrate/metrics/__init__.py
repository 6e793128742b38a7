"""What caches do, for Prometheus and OpenTelemetry: read when somebody asks, so that a hit costs nothing more.

Keys and namespaces are never among the labels: there is no bound to how many there are.
"""

# What is where:
#
#   figures.py            the figures, and their names
#   for_prometheus.py     prometheus
#   for_opentelemetry.py  opentelemetry; spans.py: its spans

from __future__ import annotations

from typing import TYPE_CHECKING

from hitrate.lazy import lazily

if TYPE_CHECKING:
    from hitrate.metrics.for_opentelemetry import opentelemetry
    from hitrate.metrics.for_prometheus import prometheus

__all__ = ["opentelemetry", "prometheus"]

__getattr__, __dir__ = lazily(globals(), {"opentelemetry": "for_opentelemetry", "prometheus": "for_prometheus"})
