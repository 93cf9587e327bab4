"""Every run of the tests draws the same examples, so a failure can be looked at again."""

import os
import signal

from hypothesis import HealthCheck, settings

settings.register_profile(
    "project",
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("project")

# most of JAX's programs run once or twice here, and take longer to optimise than to run
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

# a shell starts its background jobs deaf to Ctrl-C, and what they start is deaf too
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
