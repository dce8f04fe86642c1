"""How gunicorn runs the service; read from the working directory by every `gunicorn` call."""

import os
from typing import Any

# Before numpy is imported: its own threads would only get in the way of one scoring thread a worker.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from serving.settings import Settings

wsgi_app = "serving.app:create_app()"
bind = f"0.0.0.0:{os.environ.get('PORT', '8000')}"
# One, which scores WEB_CONCURRENCY clips at a time: they share a queue, the model and the libraries.
workers = int(os.environ.get("BONAFIDE_WORKERS", "1"))
worker_class = "gthread"
# More than clips are taken in at a time: the rest answer health checks and refuse what can't wait.
threads = Settings.from_environment().request_threads
# Libraries are loaded once and shared by the workers, as the counters have to be; models come after the fork.
preload_app = True
control_socket_disable = True
timeout = 60  # without a sign of life from a worker's main loop, not of one request
graceful_timeout = 30
keepalive = 75  # longer than a router's, so that it is the router who closes
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None


def pre_fork(server: Any, worker: Any) -> None:
    taken = {getattr(other, "row", None) for other in server.WORKERS.values()}
    worker.row = next(row for row in range(len(taken) + 1) if row not in taken)


def post_worker_init(worker: Any) -> None:
    worker.wsgi.extensions["bonafide"].start(worker.row)
