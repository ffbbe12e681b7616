"""The frame inspector: what stands in a frame, whether its MIC fits, and what its payload says.

The functions behind `edge-agent frame`, by the same code as the daemon's. docs/frames.md describes the JSON.
"""

from edge_agent.inspector.answer import inspect_frame
from edge_agent.inspector.describe import describe
from edge_agent.inspector.question import KEY_NAMES

__all__ = ["KEY_NAMES", "describe", "inspect_frame"]
