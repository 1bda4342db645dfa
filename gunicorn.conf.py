"""gunicorn, on App Engine as on one machine: `gunicorn -c gunicorn.conf.py main:app`."""

import os
import sys


def _stop(message):
    # Not an exception: gunicorn would show where in this file it was raised.
    sys.exit(f"Cannot start: {message}")


def _count(name, default):
    value = os.environ.get(name) or default
    if not (value.isascii() and value.isdigit() and int(value) > 0):
        _stop(f"{name}={value!r}: use a whole number from 1")
    return int(value)


# The app itself reads PORT too; gunicorn's own default would be 8000 in spite of it.
bind = f"{os.environ.get('HOST', '0.0.0.0')}:{os.environ.get('PORT', '8080')}"  # noqa: S104

# ndb and gRPC want threads, not gevent. One process: one poller, one ring of events.
worker_class = "gthread"
workers = _count("WEB_CONCURRENCY", "1")

# On App Engine not fewer than max_concurrent_requests in app.yaml.
threads = _count("THREADS", "80")

# Every open stream takes a thread. More streams than threads starve the webhook, the API and
# /healthz, and keep starving them, because queued streams take each thread that gets free.
capacity = os.environ.setdefault("REALTIME_EVENTS_CAPACITY", str(max(1, threads * 3 // 4)))
if capacity.isdecimal() and int(capacity) >= threads:  # what is no number, the module will say
    _stop(f"REALTIME_EVENTS_CAPACITY={capacity}: fewer than THREADS={threads}")
del capacity  # gunicorn knows no such setting
worker_connections = 4 * threads + 1000

# Streams and long polls are no hung workers, and App Engine has its own limit.
timeout = 0

# Streams end by themselves on SIGTERM; App Engine kills two seconds after it.
graceful_timeout = 1
keepalive = 5
