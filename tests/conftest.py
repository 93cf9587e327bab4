"""Every run of the tests draws the same examples, so a failure can be looked at again."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "project",
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("project")
