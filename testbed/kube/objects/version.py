"""Which Kubernetes it is that the testbed behaves like, as the API and the nodes tell it."""

from __future__ import annotations

import testbed

KUBERNETES = ("1", "36", "0")
GIT_VERSION = f"v{'.'.join(KUBERNETES)}+testbed.{testbed.__version__}"
"""Semantic versioning: what follows `+` says who built it, and counts for no comparison."""
